"""The bytes of a request to the upstream, and the check that they are one request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import RequestRefusedError

HeaderLines = Sequence[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_known_tokens: set[bytes] = set()
_MAX_KNOWN = 1000


def request_head(method: bytes, target: bytes, lines: HeaderLines) -> bytes:
    """Return the bytes of a request's head.

    Errors: ``RequestRefusedError`` if they could be read as more than one request.
    """
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
        method,
        target,
        b"".join([b"%b: %b\r\n" % line for line in lines]),
    )
    count = len(lines) + 2
    names = {method, *[name for name, _ in lines]}
    if (
        head.count(b"\r\n") != count
        or head.count(b"\n") != count
        or head.count(b"\r") != count
        or b"\0" in head
        or not (names <= _known_tokens or _are_tokens(names))
    ):
        raise RequestRefusedError("the request's head has characters that HTTP forbids")
    return head


def one_chunk(content: bytes) -> bytes:
    """Return a body in chunked coding, as one chunk."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"


def _are_tokens(names: set[bytes]) -> bool:
    """Return whether all names are tokens, and remember them, as the same ones come again."""
    if not all(_TOKEN.fullmatch(name) for name in names - _known_tokens):
        return False
    if len(_known_tokens) < _MAX_KNOWN:
        _known_tokens.update(names)
    return True
