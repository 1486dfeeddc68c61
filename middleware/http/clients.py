"""What is remembered of a client from one search to the next: its pages, and its typing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ..core.outcome import Outcome, Reason, Source
from ..core.pagination import PaginationKey, PaginationMemory, Sent
from ..core.rate_limit import RateLimiter
from ..core.reformulation import Reformulation
from ..core.typing_ahead import TypingAhead
from ..dialects.base import QuerySpan
from ..errors import ConfigurationError
from ..runtime.clock import SYSTEM_CLOCK, Clock
from ..runtime.forking import forget_at_fork

__all__ = [
    "ClientOf", "Clients", "by_address", "by_connection", "by_header", "by_person", "by_tenant",
]  # fmt: skip

ClientOf = Callable[[Mapping[str, Any]], Hashable]
"""Tells clients apart, by the scope of a request."""

# Browsers send it, no page's script can set it, and programs have no reason to (Fetch Metadata).
_BROWSERS_OWN = b"sec-fetch-site"
_FORWARDED = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip"))
_ITS_OWN = frozenset((b"accept-language", b"authorization", b"cookie", b"origin", b"user-agent"))


def by_connection(scope: Mapping[str, Any]) -> Hashable:
    """Return the connection's address and a hash of ``Authorization``, which is not kept itself."""
    client = scope.get("client")
    said = [value for name, value in scope["headers"] if name == b"authorization"]
    address = client[0] if client else ""
    return (address, hash(tuple(said))) if said else address


def by_address(header: str = "") -> ClientOf:
    """Return what tells clients apart by nothing that they can make up themselves.

    That is the connection's address or, where a proxy in front sets ``header``, the last element
    of its last line: what stands before may be the client's own. Errors:
    ``ConfigurationError`` for what is no name of a header.
    """
    wanted = _checked(header) if header else b""

    def address_of(scope: Mapping[str, Any]) -> Hashable:
        found = [value for name, value in scope["headers"] if name == wanted]
        client = scope.get("client")
        return found[-1].rpartition(b",")[2].strip() if found else (client[0] if client else "")

    return address_of


def by_header(header: str) -> ClientOf:
    """Return what tells clients apart by a header that a proxy in front sets.

    Where a request has none, ``by_connection`` does. Whoever can set the header freely can
    pass for another client, and so find out whether that one searched for a text.
    Errors: ``ConfigurationError`` for what is no name of a header.
    """
    wanted = _checked(header)

    def client_key(scope: Mapping[str, Any]) -> Hashable:
        found = [value for name, value in scope["headers"] if name == wanted]
        said = [value for name, value in scope["headers"] if name == b"authorization"]
        return (*found, hash(tuple(said))) if found else by_connection(scope)

    return client_key


def by_tenant(header: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what tells from a header, set by a proxy in front, who may share rewrites.

    Requests with equal values share, and those without one share among themselves. Values are
    hashed, so that no length of theirs is kept. Errors: ``ConfigurationError`` for what
    is no name of a header.
    """
    wanted = _checked(header)

    def tenant_of(scope: Mapping[str, Any]) -> str:
        found = [value for name, value in scope["headers"] if name == wanted]
        return hashlib.sha256(b"\n".join(found)).hexdigest()[:32] if found else ""

    return tenant_of


def _checked(header: str) -> bytes:
    if not header.isascii() or not header.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"{header!r} is no name of a header; write it like X-Forwarded-For"
        )
    return header.lower().encode()


def by_person(header: str = "") -> ClientOf:
    """Return what tells one person who types from all others, or ``None`` of everybody's requests.

    A browser's own requests are one person's (by Fetch Metadata, or by an agent that calls itself
    Mozilla and says what its reader reads), and those with ``header``, by which a proxy in front
    tells clients apart; those of a program, such as an app that asks for all of its users, are
    not. People are told apart by all that differs between them: that header, what a proxy says of
    where requests come from or, where none does, the connection itself, cookies, ``Authorization``,
    and what the browser says of itself and of its page. Only hashes are kept.
    Errors: ``ConfigurationError`` for what is no name of a header.
    """
    wanted = _checked(header) if header else b""

    def person(scope: Mapping[str, Any]) -> Hashable:
        told = agent = reader = False
        said: list[bytes] = []
        proxied = False
        for name, value in scope["headers"]:
            if name in (wanted, _BROWSERS_OWN):
                told = True
            if name == wanted or name in _FORWARDED:
                proxied = True
                said += (name, value)
            elif name in _ITS_OWN:
                said += (name, value)
                # Fetch Metadata is sent to secure origins and to this machine only.
                agent = agent or (name == b"user-agent" and value.startswith(b"Mozilla/"))
                reader = reader or name == b"accept-language"
        if not (told or (agent and reader)):
            return None
        client = scope.get("client")
        # A proxy in front may send what one browser asks over any of its connections.
        peer = client and (client[0] if proxied else tuple(client))
        return (peer, hash(tuple(said)))

    return person


class Clients:
    """Decides about the texts to which an earlier search of the same client matters.

    A later page is sent with what its first page was sent with, or as it came. With a
    ``TypingAhead``, texts that are still being typed are left alone; without, which is
    the default, no text is looked at for that. With an ``RateLimiter``, a client that asks
    for too many new texts has the further ones left alone.

    ``client_key`` tells clients apart; by default those who share an address and have no
    ``Authorization`` are one. ``typing_key`` tells apart who types, which one person does; what it
    answers ``None`` to is nobody's typing. By default it is ``client_key`` where that is given, and
    ``by_person`` otherwise. ``rate_limit_key`` is whose allowance a new text is taken from, by
    default the address that asks.

    Concurrency: any thread. Each process has its own: where the first page went
    to another one, the later pages go on as they came.
    """

    def __init__(
        self,
        *,
        pages: PaginationMemory | None = None,
        typing: TypingAhead | None = None,
        rate_limiter: RateLimiter | None = None,
        client_key: ClientOf | None = None,
        typing_key: ClientOf | None = None,
        rate_limit_key: ClientOf | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.pages = PaginationMemory() if pages is None else pages
        self.typing = typing
        self.rate_limiter = rate_limiter
        self._client_key = client_key or by_connection
        self._rate_limit_key = rate_limit_key or by_address()
        self._typing_key = typing_key or client_key or by_person()
        self._clock = clock
        self._guard()
        forget_at_fork(self)

    def _guard(self, *, after_fork: bool = False) -> None:
        for each in (self.pages, self.typing, self.rate_limiter):
            if each is not None:
                each.guard(threading.Lock(), after_fork=after_fork)

    def forget(self) -> None:
        """Take new locks in a forked child: the parent's threads may have held the old ones."""
        self._guard(after_fork=True)

    def allows(self, scope: Mapping[str, Any]) -> Callable[[], bool] | None:
        """Return what tells whether a new text of the client may be put before the engine."""
        rate_limiter = self.rate_limiter
        if rate_limiter is None:
            return None
        return lambda: rate_limiter.take(self._rate_limit_key(scope), self._clock.now())

    def later_page(
        self, span: QuerySpan, scope: Mapping[str, Any], tenant: str, path: str
    ) -> Reformulation:
        """Return what a later page is sent with."""
        first = None
        if len(self.pages):
            key = PaginationKey(tenant, self._client_key(scope), path, span.text, span.expands)
            first = self.pages.first(key, self._clock.now())
        if first is None:
            return Reformulation.untouched(span.text, Reason.PAGED)
        query, added = first
        return Reformulation(span.text, query, Outcome.REWRITTEN, None, Source.MEMO, added=added)

    def under_way(
        self, spans: Sequence[QuerySpan], scope: Mapping[str, Any], tenant: str, path: str
    ) -> str | None:
        """Return the text of a request that is still being typed.

        A page that searches at every key asks for one text in several places, the first one's.
        """
        if self.typing is None or not spans or spans[0].skip is not None:
            return None
        typist = self._typing_key(scope)
        if typist is None:
            return None
        text = spans[0].text
        who = (tenant, typist, path)
        return text if self.typing.under_way(who, text, self._clock.now()) else None

    def sent(
        self,
        spans: Sequence[QuerySpan],
        results: Sequence[Reformulation],
        scope: Mapping[str, Any],
        tenant: str,
        path: str,
    ) -> None:
        """Take note of what the first pages in a request are sent with."""
        pages, client, now = self.pages, None, 0.0
        for span, result in zip(spans, results, strict=True):
            changed = result.outcome is Outcome.REWRITTEN
            # While nothing is noted, there is nothing to take back.
            if span.skip is not None or not (changed or len(pages)):
                continue
            if client is None:
                client, now = self._client_key(scope), self._clock.now()
            key = PaginationKey(tenant, client, path, span.text, span.expands)
            pages.note(key, Sent(result.query, result.added) if changed else None, now)
