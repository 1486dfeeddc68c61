"""Keys by which the layers of a proxy pass information in the scope of a request."""

from __future__ import annotations

from typing import Final

BARE_QUERY: Final = "querylift.bare_query"
"""Set in a scope whose target ended in a bare ``?``, which ASGI cannot express."""

OFFER_IGNORED: Final = "querylift.offer_ignored"
"""Set in a scope whose offer of an upgrade the server has ignored, so that its body is whole."""

RETRY_SAFE: Final = "querylift.retry_safe"
"""In a scope's ``extensions``: whether the request may be sent twice, whatever its method."""
