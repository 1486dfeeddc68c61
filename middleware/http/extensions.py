"""What the layers of a proxy tell each other in the scope of a request."""

from __future__ import annotations

from typing import Final

__all__ = ["BARE_QUERY", "RETRY_SAFE"]

BARE_QUERY: Final = "querylift.bare_query"
"""In a scope whose target ended in a ``?`` with nothing behind it, for which ASGI has no word."""

RETRY_SAFE: Final = "querylift.retry_safe"
"""True in the ``extensions`` of one that may be sent twice whatever its method: a search."""
