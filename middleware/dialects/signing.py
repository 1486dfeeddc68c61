"""Finds the parts of a request that a signature covers, which must not change.

Known are AWS Signature Version 4 and 4A in a header or a presigned URL, HTTP Message
Signatures (RFC 9421) and the drafts before it, OAuth 1 (RFC 5849), shared-key schemes
named HMAC, and digests of the body (RFC 9530, RFC 3230, ``Content-MD5``).
"""

from __future__ import annotations

from .base import Part, SearchRequest
from .urlencoded import values

_EVERYTHING = frozenset(Part)
_NOTHING: frozenset[Part] = frozenset()
_BODY = frozenset({Part.BODY})
_SCHEMES = (b"aws4-", b"signature ", b"oauth ", b"hmac", b"sharedkey")
_SIGNATURES = frozenset({b"signature", b"signature-input", b"x-amz-signature"})
_DIGESTS = frozenset(
    {b"content-digest", b"repr-digest", b"digest", b"content-md5", b"x-amz-content-sha256"}
)
_PARAMS = frozenset({"X-Amz-Signature", "oauth_signature"})


def signed_parts(request: SearchRequest) -> frozenset[Part]:
    """Return the parts of a request that a signature covers."""
    found = _NOTHING
    for name, value in request.headers:
        if name in _SIGNATURES:
            return _EVERYTHING
        if name == b"authorization" and value.lstrip().lower().startswith(_SCHEMES):
            return _EVERYTHING
        if name in _DIGESTS:
            found = _BODY
    if b"ignature" in request.query_string and any(values(request.query_string, _PARAMS)):
        return _EVERYTHING
    return found
