"""What the server checks and changes in a request's head before the parser sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence

OFFER = b"upgrade~"
"""The name that the parser reads in place of ``Upgrade``, so that it does not stop at the body."""

_NAME = b"upgrade:"
_AFTER_LINE = re.compile(rb"(?<=\n)upgrade(?=:)", re.IGNORECASE)
_AT_START = re.compile(rb"(?:\A|(?<=\n))upgrade(?=:)", re.IGNORECASE)
_HOST = re.compile(rb"(?:\[[0-9A-Za-z.:%_~-]+\]|[^\x00-\x20\x7f/?#@\[\]\\:]+)(?::[0-9]*)?")

_NO_PATH = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+(?=[?#]|\Z)")


class OfferMask:
    """Renames ``Upgrade`` in the bytes of a head, however they are cut into pieces.

    A server may ignore the offer of another protocol (RFC 9110, 7.8), and this one does. The
    parser would take the rest of the connection for that protocol, and the body would be lost.

    Concurrency: owned by a connection.
    """

    def __init__(self) -> None:
        self._held = b""  # the beginning of a line that may become the name
        self._at_line = False  # whether the next byte begins a header's line

    def reset(self) -> None:
        """Expect a request line."""
        self._held, self._at_line = b"", False

    def apply(self, piece: bytes) -> bytes:
        """Return the next bytes of the head, renamed; up to seven may be held back."""
        if not piece:
            return b""
        data, at_line = self._held + piece, self._at_line
        self._held = b""
        last = data.rfind(b"\n") + 1
        tail = data[last:]
        self._at_line = not tail
        if tail and (last or at_line) and tail != _NAME and _NAME.startswith(tail.lower()):
            self._held, data, self._at_line = tail, data[:last], True
        return (_AT_START if at_line else _AFTER_LINE).sub(OFFER, data)


def check_head(headers: Sequence[tuple[bytes, bytes]], method: bytes, version: str) -> None:
    """Raise ``ValueError`` for a head that is not served, although the parser takes it."""
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if version not in ("1.0", "1.1"):  # the parser takes a line without one for HTTP/0.9
        raise ValueError("not HTTP/1.0 or HTTP/1.1")
    if hosts > 1 or (version == "1.1" and not hosts):  # RFC 9112, 3.2
        raise ValueError("not exactly one Host")
    if hosts and not is_host(headers[names.index(b"host")][1].strip(b" \t")):
        raise ValueError("Host names no host")
    if version == "1.0" and b"transfer-encoding" in names:  # RFC 9112, 6.1
        raise ValueError("chunked HTTP/1.0")
    if method == b"CONNECT":
        raise ValueError("no tunnels are served")


def is_host(value: bytes) -> bool:
    """Return whether a value of ``Host`` names a host and, at most, a port (RFC 9110, 7.2)."""
    return len(value) < 512 and _HOST.fullmatch(value) is not None


def speaks_http(line: bytes) -> bool:
    """Return whether a request line names HTTP/1, and not RTSP, ICE or nothing."""
    return line.rstrip(b"\r\n ").rpartition(b" ")[2].startswith(b"HTTP/1.")


def with_path(target: bytes, method: bytes) -> bytes:
    """Return a target in absolute form with the path that it lacks (RFC 9112, 3.2)."""
    bare = None if target.startswith(b"/") else _NO_PATH.match(target)
    if bare is None:
        return target
    query = target[bare.end() :]
    if method == b"OPTIONS" and not query:
        return b"*"
    return b"%b/%b" % (bare[0], query)


def escape(line: bytes) -> bytes:
    """Return a request line with its bytes beyond ASCII percent-encoded."""
    for byte in set(line):
        if byte > 0x7F:  # one pass for each, as a line may be long
            line = line.replace(b"%c" % byte, b"%%%02X" % byte)
    return line
