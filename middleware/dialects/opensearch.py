"""OpenSearch: the searches of Elasticsearch, and the asynchronous search of its own plugin."""

from __future__ import annotations

from .base import SearchRequest
from .elasticsearch import ElasticsearchDialect

_ASYNCHRONOUS = "/_plugins/_asynchronous_search"


class OpenSearchDialect(ElasticsearchDialect):
    """Finds the texts of a search of OpenSearch 1, 2 and 3."""

    name = "opensearch"
    paths = (*ElasticsearchDialect.paths, _ASYNCHRONOUS)

    def searches(self, request: SearchRequest) -> bool:
        """Return whether a request searches indices."""
        if request.path.rstrip("/") == _ASYNCHRONOUS and not self.renamed:
            return request.method == "POST"
        return super().searches(request)
