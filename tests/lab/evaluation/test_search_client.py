"""A running search API as the retriever, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from middleware import ConfigurationError
from middleware.lab.evaluation.search_client import (
    DIALECTS,
    SearchClient,
    SearchClientError,
    location,
)


class _Api(BaseHTTPRequestHandler):
    """Answers in the shape of the API that the path names, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, Any]]] = []
    waiting: ClassVar[threading.Event] = threading.Event()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on stderr."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._answer(parts.path, parse_qs(parts.query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._answer(urlsplit(self.path).path, json.loads(body))

    def _answer(self, path: str, asked: Any) -> None:
        type(self).asked.append((path, asked))
        ids = [] if "nothing" in json.dumps(asked) else ["d2", "d1", "d2"]
        shapes: dict[str, Any] = {
            "/elasticsearch": {"hits": {"hits": [{"_id": i} for i in ids]}},
            "/opensearch": {"hits": {"hits": [{"_id": i} for i in ids]}},
            "/solr": {"response": {"docs": [{"id": i} for i in ids]}},
            "/meilisearch": {"hits": [{"id": i} for i in ids]},
            "/typesense": {"hits": [{"document": {"id": i}} for i in ids]},
            "/algolia": {"hits": [{"objectID": i} for i in ids]},
            "/plain": {"results": [{"id": i} for i in ids]},
            "/text": "no JSON at all",
            "/deep": {"data": {"found": [{"key": 7}]}},
        }
        if path == "/silent":
            type(self).waiting.wait(10)
            return  # the client has gone
        known = shapes.get(path)
        content = b"<p>" if path == "/text" else json.dumps(known).encode()
        self.send_response(200 if known else 500)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def api() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Serve the APIs on a free port; gives the origin and what was asked."""
    _Api.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", _Api.asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_asked_and_read(
    api: tuple[str, list[tuple[str, Any]]], dialect: str
) -> None:
    """The text arrives whole, ids come back once each in order, and no hits is no error."""
    origin, asked = api
    upstream = SearchClient(f"{origin}/{dialect}", dialect=dialect)
    text = "50% off & more? é"
    assert [name for name, _ in upstream.search(text)] == ["d2", "d1"]
    assert text in json.dumps(asked[-1][1], ensure_ascii=False)
    assert upstream.search("nothing") == []


def test_a_request_of_ones_own(api: tuple[str, list[tuple[str, Any]]]) -> None:
    """A URL or a body with the query's place in it, and a path to the ids."""
    origin, asked = api
    by_url = SearchClient(f"{origin}/deep?text={{query}}&n=3", ids="data.found.*.key")
    assert by_url.search("a b") == [("7", 1.0)]
    assert asked[-1][1] == {"text": ["a b"], "n": ["3"]}
    body = '{"search": {"match": "{query}", "top": 5}}'
    by_body = SearchClient(f"{origin}/deep", body=body, ids="data.found.*.key")
    assert by_body.search('say "hi"') == [("7", 1.0)]
    assert asked[-1][1] == {"search": {"match": 'say "hi"', "top": 5}}


def test_a_failing_upstream_stops_the_measurement(
    api: tuple[str, list[tuple[str, Any]]],
) -> None:
    """A query that got no answer must not count as one without hits."""
    origin, _ = api
    with pytest.raises(SearchClientError, match=r"/unknown answered with status 500$"):
        SearchClient(f"{origin}/unknown?q={{query}}&apikey=K9").search("x")
    with pytest.raises(SearchClientError, match=r"/text did not answer with JSON$"):
        SearchClient(f"{origin}/text?q={{query}}&apikey=K9").search("x")
    with pytest.raises(SearchClientError, match=r"no document ids at hits\.\*\.id"):
        SearchClient(f"{origin}/deep").search("x")


def test_an_upstream_that_is_not_there_is_unreachable() -> None:
    """The place is told, and no more of the URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        port = taken.getsockname()[1]
        upstream = SearchClient(f"http://127.0.0.1:{port}/s?q={{query}}&apikey=K9")
        with pytest.raises(SearchClientError, match="unreachable") as told:
            upstream.search("x")
    assert f"http://127.0.0.1:{port}/s is" in str(told.value)
    assert "K9" not in str(told.value)


def test_a_silent_upstream_times_out(api: tuple[str, list[tuple[str, Any]]]) -> None:
    """The error names the limit, and no more of the URL than its location."""
    origin, _ = api
    slow = SearchClient(f"{origin}/silent?q={{query}}&apikey=K9", timeout=0.05)
    try:
        with pytest.raises(SearchClientError, match=r"/silent did not answer within 0\.05 s$"):
            slow.search("x")
    finally:
        _Api.waiting.set()


def test_proxies_of_the_environment_are_ignored(
    api: tuple[str, list[tuple[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A measured upstream is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    origin, _ = api
    assert SearchClient(f"{origin}/plain").search("x")


def test_a_location_has_no_secrets() -> None:
    """Neither a key of the query nor a fragment is left."""
    assert location("http://h:8/a/{query}?key=K9#K9") == "http://h:8/a/{query}"


@pytest.mark.parametrize(
    "url", ["http://bob:pw@host/", "bob:pw@host", "http://bob:pw/9@host/", "http://[bob:pw@host"]
)
def test_credentials_in_the_url_are_refused_and_not_repeated(url: str) -> None:
    """They would end up in results; a header does not."""
    with pytest.raises(ConfigurationError) as told:
        SearchClient(url)
    assert "bob" not in str(told.value)
    assert "pw" not in str(told.value)
    if url == "http://bob:pw@host/":
        assert "--header" in str(told.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "localhost:9200"}, "not an http or https URL"),
        ({"url": "http://h", "dialect": "sql"}, "none of"),
        ({"url": "http://h", "headers": [("a b", "K9")]}, "not the name of a header"),
        ({"url": "http://h", "headers": [("a", "K9\n")]}, "the header a has a character"),
        ({"url": "http://h", "body": '{"q": "fixed"}'}, "{query}"),
        ({"url": "http://h", "body": "{query}"}, "{query}"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """Before the first request."""
    with pytest.raises(ConfigurationError, match=message):
        SearchClient(**options)
