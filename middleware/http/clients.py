"""What is remembered of a client between searches: first pages, typing, and its rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..core.arguments import checked
from ..core.outcome import Outcome, Reason, Source
from ..core.pagination import PaginationKey, PaginationMemory, SentQuery
from ..core.rate_limit import RateLimiter
from ..core.reformulation import Reformulation
from ..core.typing_ahead import TypingAhead
from ..dialects.base import QuerySpan
from ..runtime.clock import SYSTEM_CLOCK, Clock
from ..runtime.forking import reset_after_fork
from .client_keys import ClientKey, by_address, by_browser, by_connection, header_of


class Clients:
    """Decides about texts for which earlier searches of the same client matter.

    A later page, a count and values of facets are sent with the query of the search that they
    belong to, or as they came. With a ``TypingAhead``,
    texts that are still being typed are not rewritten. With a ``RateLimiter``, a client that sends
    too many new texts gets no rewrites for the others.

    ``client_key`` identifies a client (default: ``by_connection``). ``typing_key`` identifies a
    person who types; its ``None`` means that a request has no such person. The default is
    ``client_key`` if given, else ``by_browser``. ``rate_limit_key`` identifies whose rate a new
    text counts against (default: ``by_address``). ``tenant_of`` returns who may share the rewrites
    of a request, such as a tenant or an index (default: everybody).

    Concurrency: any thread. Each process remembers for itself: if a first page went to another
    process, its later pages go on as they came.
    """

    @checked
    def __init__(
        self,
        *,
        pages: PaginationMemory | None = None,
        typing: TypingAhead | None = None,
        rate_limiter: RateLimiter | None = None,
        client_key: ClientKey | None = None,
        typing_key: ClientKey | None = None,
        rate_limit_key: ClientKey | None = None,
        tenant_of: Callable[[Mapping[str, Any]], str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.pages = PaginationMemory() if pages is None else pages
        self.typing = typing
        self.rate_limiter = rate_limiter
        self.tenant_of = tenant_of
        self._client_key = client_key or by_connection
        self._rate_limit_key = rate_limit_key or by_address()
        self._typing_key = typing_key or client_key or by_browser()
        self._clock = clock
        self._guard()
        reset_after_fork(self)

    @property
    def headers(self) -> list[str]:
        """The headers that identify clients and tenants, in lower case."""
        functions = (self.tenant_of, self._client_key, self._rate_limit_key, self._typing_key)
        return sorted({name for function in functions if (name := header_of(function))})

    def _guard(self, *, after_fork: bool = False) -> None:
        for each in (self.pages, self.typing, self.rate_limiter):
            if each is not None:
                each.guard(threading.Lock(), after_fork=after_fork)

    def reset_in_child(self) -> None:
        """Take new locks in a forked child: threads of the parent may have held the old ones."""
        self._guard(after_fork=True)

    def within_rate(self, scope: Mapping[str, Any]) -> bool:
        """Count a new text of a client, and return whether it is within the client's rate."""
        if self.rate_limiter is None:
            return True
        return self.rate_limiter.take(self._rate_limit_key(scope), self._clock.now())

    def typed_text(
        self, spans: Sequence[QuerySpan], scope: Mapping[str, Any], tenant: str, path: str
    ) -> str | None:
        """Return the text of a request that is still being typed, or ``None``.

        It is the first span's: a page that searches at every key sends one text in several places.
        """
        if self.typing is None or not spans or spans[0].skip is not None:
            return None
        person = self._typing_key(scope)
        if person is None:
            return None
        text = spans[0].text
        still_typed = self.typing.is_typing((tenant, person, path), text, self._clock.now())
        return text if still_typed else None

    def later_page(
        self, span: QuerySpan, scope: Mapping[str, Any], tenant: str, path: str
    ) -> Reformulation:
        """Return the decision about a later page or a count: the query of its search, if known."""
        first, now = None, self._clock.now()
        for key in self.page_keys([span], scope, tenant, path) if len(self.pages) else ():
            first = first or self.pages.first(key, now)
            if first is None:  # the search's place had another form
                first = self.pages.first(key._replace(expands=not key.expands), now)
                first = None if first is not None and first.added else first
        if first is None:
            return Reformulation.untouched(span.text, span.skip or Reason.PAGED)
        query, added = first
        return Reformulation(span.text, query, Outcome.REWRITTEN, None, Source.MEMO, added=added)

    def page_keys(
        self, spans: Iterable[QuerySpan], scope: Mapping[str, Any], tenant: str, path: str
    ) -> list[PaginationKey]:
        """Return the keys of the searches that spans are of, or that they belong to."""
        client = self._client_key(scope)
        return [
            PaginationKey(tenant, client, place, span.text, span.expansion is not None)
            for span in spans
            for place in span.places or (path,)
        ]

    def remember_pages(
        self,
        spans: Sequence[QuerySpan],
        results: Sequence[Reformulation],
        scope: Mapping[str, Any],
        tenant: str,
        path: str,
    ) -> None:
        """Remember the queries that the first pages in a request are sent with."""
        pages, client, now = self.pages, None, 0.0
        for span, result in zip(spans, results, strict=True):
            changed = result.outcome is Outcome.REWRITTEN
            # An unchanged first page only has to replace what an earlier one left.
            if span.skip is not None or not (changed or len(pages)):
                continue
            if client is None:
                client, now = self._client_key(scope), self._clock.now()
            sent = SentQuery(result.query, result.added) if changed else None
            for place in span.places or (path,):
                key = PaginationKey(tenant, client, place, span.text, span.expansion is not None)
                pages.note(key, sent, now)
