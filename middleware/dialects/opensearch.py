"""OpenSearch: what Elasticsearch has, and an asynchronous search by another name."""

from __future__ import annotations

from .base import SearchRequest
from .elasticsearch import ElasticsearchDialect

__all__ = ["OpenSearchDialect"]

_ASYNCHRONOUS = "/_plugins/_asynchronous_search"


class OpenSearchDialect(ElasticsearchDialect):
    """Finds the texts of a search of OpenSearch 1, 2 and 3."""

    name = "opensearch"
    paths = (*ElasticsearchDialect.paths, _ASYNCHRONOUS)

    def searches(self, request: SearchRequest) -> bool:
        """Tell whether a request is a search of indices."""
        if request.path.rstrip("/") == _ASYNCHRONOUS and not self.renamed:
            return request.method == "POST"
        return super().searches(request)
