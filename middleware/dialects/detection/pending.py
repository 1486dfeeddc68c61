"""What stands for an upstream's dialect until it is known."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.outcome import Reason
from ..base import Part, QuerySpan, SearchRequest

__all__ = ["PendingDialect"]


class PendingDialect:
    """Says of each request that nobody knows whether it is a search, and reads none of them.

    The one slot that it gives is empty and stays so; it carries the reason. Concurrency: immutable.
    """

    writes_by_get = True  # it may turn out to be one that does
    name = "undecided"
    pages = False

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell no: what is not understood streams through."""
        return False

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return a place of no bytes with the reason."""
        return (QuerySpan(Part.QUERY_STRING, 0, 0, "", str.encode, skip=Reason.DIALECT_UNKNOWN),)
