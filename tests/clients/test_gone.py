"""What each client makes of an upstream that is down: to it, the proxy's 502 is the server's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from middleware import ReverseProxy
from middleware.serving.server import bound_socket, served_in_thread

from .conftest import PLAIN


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Run a proxy in front of nothing."""
    with bound_socket("127.0.0.1", 0) as bound:
        upstream = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with served_in_thread(ReverseProxy(upstream, rules=[])) as url:
            yield url


def _elasticsearch(base: str) -> Any:
    module = pytest.importorskip("elasticsearch", exc_type=ImportError)
    with module.Elasticsearch(base, max_retries=0) as client:
        return client.search(index="shop", query={"match": {"t": PLAIN}})


def _opensearch(base: str) -> Any:
    module = pytest.importorskip("opensearchpy", exc_type=ImportError)
    with module.OpenSearch(base, max_retries=0) as client:
        return client.search(index="shop", body={"query": {"match": {"t": PLAIN}}})


def _solr(base: str) -> Any:
    client = pytest.importorskip("pysolr", exc_type=ImportError).Solr(f"{base}/solr/shop")
    try:
        return client.search(PLAIN)
    finally:
        client.get_session().close()


def _meilisearch(base: str) -> Any:
    module = pytest.importorskip("meilisearch", exc_type=ImportError)
    return module.Client(base, "key").index("shop").search(PLAIN)


def _typesense(base: str) -> Any:
    module = pytest.importorskip("typesense", exc_type=ImportError)
    client = module.Client({"nodes": [base], "api_key": "key", "num_retries": 0})
    try:
        return client.collections["shop"].documents.search({"q": PLAIN, "query_by": "t"})
    finally:
        client.api_call.close()


def _algolia(base: str) -> Any:
    module = pytest.importorskip("algoliasearch.search.client", exc_type=ImportError)
    from algoliasearch.http.hosts import Host, HostsCollection
    from algoliasearch.search.config import SearchConfig

    config, where = SearchConfig("APP", "key"), urlsplit(base)
    config.hosts = HostsCollection([Host(str(where.hostname), "http", where.port)])
    client = module.SearchClientSync.create_with_config(config)
    try:
        return client.search_single_index("shop", {"query": PLAIN})
    finally:
        client.close()


@pytest.mark.filterwarnings("ignore:.*is deprecated on v30:DeprecationWarning")  # typesense's own
@pytest.mark.parametrize(
    ("search", "error"),
    [
        (_elasticsearch, "ApiError"),
        (_opensearch, "TransportError"),
        (_solr, "SolrError"),
        (_meilisearch, "MeilisearchApiError"),
        (_typesense, "ServerError"),
        (_algolia, "AlgoliaUnreachableHostException"),
    ],
)
def test_it_is_an_error_of_the_clients_own(
    base: str, search: Callable[[str], Any], error: str
) -> None:
    """None fails to read it, and each that reads a body tells why in the proxy's words."""
    with pytest.raises(Exception, match=r"no connection to the upstream|Unreachable") as caught:
        search(base)
    assert type(caught.value).__name__ == error
