"""The texts of a search request: what becomes of each, and the request with the rewrites in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from starlette.types import Scope

from ..core.outcome import Mode, Reason
from ..core.reformulation import Reformulation
from ..dialects.base import QuerySpan, SearchRequest, apply_edits
from ..runtime.reformulator import Reformulator
from .clients import Clients
from .control import Control
from .matching import SearchRule

__all__ = ["Rewritten", "SearchRewriter"]

_log = logging.getLogger("querylift.asgi")


class Rewritten(NamedTuple):
    """What became of a request's texts, in their order; never none.

    ``edited`` holds query string and body with the rewrites in place, where there are any.
    ``searches`` tells whether a text was found, without which nothing says that it is a search.
    """

    results: list[Reformulation]
    edited: tuple[bytes, bytes] | None
    searches: bool


class SearchRewriter:
    """Rewrites all texts of a search request at the same time, each within the budget.

    ``clients`` remembers which query a search's first page was sent with. ``scope_of`` names who
    may share a rewrite of a request, from its scope. Where it or a dialect raises, that is logged
    and nothing is rewritten.

    Concurrency: holds no state of a request but what ``clients`` keeps.
    """

    def __init__(
        self,
        reformulator: Reformulator,
        clients: Clients,
        scope_of: Callable[[Scope], str] | None,
    ) -> None:
        self._reformulator = reformulator
        self._clients = clients
        self._scope_of = scope_of

    async def rewrite(
        self, rule: SearchRule, request: SearchRequest, control: Control, scope: Scope
    ) -> Rewritten:
        """Return what becomes of a request that ``rule`` takes for a search; never raises."""
        found = False
        results: list[Reformulation] | None = None
        try:
            spans = rule.dialect.spans(request)
            found = bool(spans)
            tenant = self._scope_of(scope) if self._scope_of is not None and spans else ""
            results = await self._each(spans, control, scope, tenant, request.path)
            edits = [
                (span.expanding(result.added) if result.added else span, result.query)
                for span, result in zip(spans, results, strict=True)
                if result.changed
            ]
            edited = apply_edits(request, edits) if edits else None
            if rule.pages:
                self._clients.sent(spans, results, scope, tenant, request.path)
            results = results or [Reformulation.untouched("", Reason.EMPTY)]
            return Rewritten(results, edited, found)
        except Exception:
            _log.exception("the texts of a request could not be rewritten")
            failed = Reformulation.untouched("", Reason.ENGINE_ERROR)
            if results is None:  # else each text is counted already
                self._reformulator.record(failed, control.mode or self._reformulator.mode)
            return Rewritten([failed], None, found)

    async def _each(
        self, spans: Sequence[QuerySpan], control: Control, scope: Scope, tenant: str, path: str
    ) -> list[Reformulation]:
        typed = None
        if self._clients.typing is not None:
            typed = self._clients.under_way(spans, scope, tenant, path)
        allowed = self._clients.allows(scope)
        if len(spans) == 1 and spans[0].skip is None and spans[0].text != typed:
            return [await self._one(spans[0], control, tenant, allowed)]  # the usual case
        waiting = [
            self._one(span, control, tenant, allowed)
            if span.skip is None and span.text != typed
            else _at_once(self._settled(span, control, scope, tenant, path))
            for span in spans
        ]
        return list(await asyncio.gather(*waiting))

    def _settled(
        self, span: QuerySpan, control: Control, scope: Scope, tenant: str, path: str
    ) -> Reformulation:
        """Return what becomes of a text that no engine is asked about, and let it be counted."""
        mode = control.mode or self._reformulator.mode
        if span.skip is Reason.PAGED and mode not in (Mode.OFF, Mode.SHADOW):
            result = self._clients.later_page(span, scope, tenant, path)
        else:
            result = Reformulation.untouched(span.text, span.skip or Reason.TYPING)
        return self._reformulator.record(result, mode)

    def _one(
        self, span: QuerySpan, control: Control, tenant: str, allowed: Callable[[], bool] | None
    ) -> Awaitable[Reformulation]:
        mode = control.mode or self._reformulator.mode
        if mode is Mode.EXPAND and not span.expands:
            mode = Mode.REPLACE  # the API cannot say further terms beside this text
        return self._reformulator.reformulate(
            span.text,
            budget=control.budget,
            mode=mode,
            scope=tenant,
            cached=control.cached,
            stored=control.stored,
            allowed=allowed,
        )


async def _at_once(result: Reformulation) -> Reformulation:
    return result
