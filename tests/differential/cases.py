"""What one case sends, how the upstream answers it, and builders for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["Case", "Plan", "answer", "cases", "chunked", "head", "plan", "post"]


@dataclass(frozen=True)
class Plan:
    """How the upstream answers each request of a case but the last ones, which all cases have.

    ``pieces`` are written one after the other; ``None`` is an answer that tells what came.
    """

    pieces: tuple[bytes, ...] | None = None
    early: bool = False
    """Whether the answer is written before the request's body is read, which then stays unread."""
    then: str = "keep"
    """What follows: ``keep`` the connection, ``close`` it, ``reset`` it, or one of three others.

    ``drain`` reads what comes until the other side closes, ``end`` closes the sending side before
    that, and ``wait`` reads nothing until the client is gone.
    """


@dataclass(frozen=True)
class Case:
    """One connection of a client.

    ``pieces`` are written one after the other, and a client waits for ``awaits`` before the second
    one. Requests that are well formed follow them, so that nobody waits for more, and so that it
    shows whether the connection was kept.
    """

    pieces: tuple[bytes, ...]
    plan: Plan = field(default_factory=Plan)
    awaits: bytes = b""
    leaves: bool = False
    """Whether the client closes its sending side instead of sending more."""
    heads: frozenset[int] = frozenset()
    """Which answers, by number from 0, are to HEAD and so have no body."""
    loose: bool = False
    """Whether it is up to timing if the connection is kept, as a part of a body may be unread."""
    varies: bool = False
    """Whether it is up to timing what nginx answers; then all that ours comes to is listed."""
    kind: str = ""
    name: str = ""


def head(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/x",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = b"a",
    body: bytes = b"",
) -> bytes:
    """Return a request; ``host`` is the value of its first line."""
    first = b"%b %b %b" % (method, target, version)
    named = [] if host is None else [b"Host: " + host]
    return b"\r\n".join([first, *named, *lines]) + b"\r\n\r\n" + body


def post(*lines: bytes, body: bytes = b"abcde", method: bytes = b"POST") -> bytes:
    """Return a request with a body, and no line that frames it but those given."""
    return head(*lines, method=method, body=body)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a body in chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def answer(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    """Return an answer of the upstream, and no line that frames it but those given."""
    return b"\r\n".join([status, b"X-From: upstream", *lines]) + b"\r\n\r\n" + body


def plan(*pieces: bytes, early: bool = False, then: str = "keep") -> Plan:
    """Return how the upstream answers."""
    return Plan(pieces, early, then)


def cases(
    kind: str, table: Mapping[str, bytes | tuple[bytes, ...] | Case | Plan]
) -> tuple[Case, ...]:
    """Return the cases of a table: name -> bytes, a case, or how a plain GET is answered."""
    made = []
    for name, given in table.items():
        if isinstance(given, Case):
            made.append(replace(given, kind=kind, name=name))
        elif isinstance(given, Plan):
            made.append(Case((head(),), given, kind=kind, name=name))
        else:
            pieces = (given,) if isinstance(given, bytes) else given
            made.append(Case(pieces, kind=kind, name=name))
    return tuple(made)
