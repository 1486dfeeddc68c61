"""The dialect in use until the upstream's own is known."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.outcome import Reason
from ..base import Dialect, Part, QuerySpan, SearchRequest


class PendingDialect(Dialect):
    """Rewrites nothing: each request gets one empty span, skipped as ``DIALECT_UNKNOWN``."""

    name = "pending"
    pages = False
    writes_by_get = True  # the API may turn out to be one where it does

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return an empty span that carries the reason."""
        return (QuerySpan(Part.QUERY_STRING, 0, 0, "", str.encode, skip=Reason.DIALECT_UNKNOWN),)
