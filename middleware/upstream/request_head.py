"""The bytes of a request to the upstream, and what none of them may be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import RequestRefusedError

__all__ = ["HeaderLines", "one_chunk", "request_head"]

HeaderLines = Sequence[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_tokens: set[bytes] = set()
_MAX_TOKENS = 1000


def request_head(method: bytes, target: bytes, lines: HeaderLines) -> bytes:
    """The bytes of a request's head. Raises ``RequestRefusedError`` where they would split."""
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
        method,
        target,
        b"".join([b"%b: %b\r\n" % line for line in lines]),
    )
    count = len(lines) + 2
    if (
        head.count(b"\r\n") != count
        or head.count(b"\n") != count
        or head.count(b"\r") != count
        or b"\0" in head
        or not (_known(method) and all(_known(name) for name, _ in lines))
    ):
        raise RequestRefusedError("the request's head has characters that HTTP forbids")
    return head


def one_chunk(content: bytes) -> bytes:
    """A body as its one chunk."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"


def _known(name: bytes) -> bool:
    """Tell whether a name is a token; the few that there are repeat."""
    if name in _tokens:
        return True
    if not _TOKEN.fullmatch(name):
        return False
    if len(_tokens) < _MAX_TOKENS:
        _tokens.add(name)
    return True
