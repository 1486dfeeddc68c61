"""OpenSearch: the searches of Elasticsearch, and the asynchronous search of its own plugin."""

from __future__ import annotations

from .base import SearchRequest
from .elasticsearch import ElasticsearchDialect
from .urlencoded import Params

_ASYNCHRONOUS = "/_plugins/_asynchronous_search"


class OpenSearchDialect(ElasticsearchDialect):
    """Finds the texts of a search of OpenSearch 1, 2 and 3."""

    name = "opensearch"
    paths = (*ElasticsearchDialect.paths, _ASYNCHRONOUS)

    def indices(self, request: SearchRequest, params: Params) -> str | None:
        """Return the path of the indices; an asynchronous search names them in a parameter."""
        if request.path.rstrip("/") != _ASYNCHRONOUS:
            return super().indices(request, params)
        index = params.get("index") or ""
        return None if "/" in index or index in (".", "..") else f"/{index}".rstrip("/")

    def searches(self, request: SearchRequest) -> bool:
        """Return whether a request searches indices."""
        if request.path.rstrip("/") == _ASYNCHRONOUS and not self.renamed:
            return request.method == "POST"
        return super().searches(request)
