"""Decides about the texts of a search request, and edits the request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from starlette.types import Scope

from ..core.outcome import Mode, Outcome, Reason
from ..core.reformulation import Reformulation, no_text
from ..dialects.base import QuerySpan, SearchRequest, apply_edits, one_each
from ..instrumentation.headers import summary
from ..runtime.pending import PendingLookup
from ..runtime.reformulator import Reformulator
from .clients import Clients
from .control import Control
from .matching import SearchRule
from .underway import SearchesUnderway

_SHARE = 1024
"""Characters of texts that are looked at in one turn of the event loop."""

_NEVER_EDITS = frozenset((Mode.OFF, Mode.SHADOW))
# Reasons of ``skipped`` that hold for one request, while an equal one may be edited. The others
# lie in the text or the request, and hold whenever it is sent.
_PASSING = frozenset((Reason.NOT_READY, Reason.PAGED, Reason.RELATED, Reason.TYPING))
_OF_ANOTHER = frozenset((Reason.PAGED, Reason.RELATED))

_log = logging.getLogger("querylift.asgi")


class Rewritten(NamedTuple):
    """The decision about a request.

    ``result`` stands for all its texts. ``edited`` is the query string and the body with the
    rewrites in place, if there are any. ``has_texts``: the request is a search, as a text was
    found in it. ``editable``: one of its texts is sent with a rewrite, or may be if the request is
    sent once more.
    """

    result: Reformulation
    edited: tuple[bytes, bytes] | None
    has_texts: bool
    editable: bool


class SearchRewriter:
    """Rewrites all texts of a search request concurrently, each within the budget.

    A text that stands in several places is decided once, and all of them get the same query.

    If a dialect or a function of ``clients`` raises, that is logged and the request goes on as it
    came.

    Concurrency: holds no state of a request except in ``clients``.
    """

    def __init__(self, reformulator: Reformulator, clients: Clients) -> None:
        self._reformulator = reformulator
        self._clients = clients
        self._underway = SearchesUnderway()

    async def rewrite(
        self, rule: SearchRule, request: SearchRequest, control: Control, scope: Scope
    ) -> Rewritten:
        """Return the decision about a request that matches ``rule``; never raises."""
        clients, mode = self._clients, control.mode or self._reformulator.mode
        spans: Sequence[QuerySpan] = ()
        results: list[Reformulation] | None = None
        ended: Callable[[], None] | None = None
        try:
            spans = rule.dialect.spans(request)
            texts = spans if len(spans) < 2 else one_each(spans)
            tenant = clients.tenant_of(scope) if clients.tenant_of is not None and spans else ""
            typed = None
            if clients.typing is not None:
                typed = clients.typed_text(texts, scope, tenant, request.path)
            found: list[Reformulation | PendingLookup] = []
            waits, looked_at = False, 0
            for span in texts:
                looked_at += len(span.text)
                if looked_at > _SHARE:
                    await asyncio.sleep(0)
                    looked_at = 0
                if span.skip is not None or span.text == typed:
                    if self._underway and span.skip in _OF_ANOTHER and mode not in _NEVER_EDITS:
                        await self._wait([span], control, scope, tenant, request.path)
                    found.append(self._skipped(span, mode, scope, tenant, request.path))
                    continue
                # Without an expansion, the API cannot add terms to the text.
                replaces = mode is Mode.EXPAND and span.expansion is None
                each = self._reformulator.look_up(
                    span.text,
                    budget=control.budget,
                    mode=Mode.REPLACE if replaces else mode,
                    scope=tenant,
                    cached=control.cached,
                    stored=control.stored,
                )
                waits = waits or isinstance(each, PendingLookup)
                found.append(each)
            decided = cast("list[Reformulation]", found)
            if waits and rule.pages and mode not in _NEVER_EDITS:
                mine = [span for span in texts if span.skip is None]
                ended = self._underway.begin(clients.page_keys(mine, scope, tenant, request.path))
            results = await self._resolved(found, scope) if waits else decided
            decided_by = None if len(results) < 2 else {each.original: each for each in results}
            edits = []
            for span in spans:
                result = results[0] if decided_by is None else decided_by[span.text]
                if result.outcome is not Outcome.REWRITTEN:
                    continue
                if not result.added:
                    edits.append((span, result.query))
                # A place that cannot say added terms keeps the text that they are added to.
                elif span.expansion is not None:
                    edits.append((span.expanding(result.added), result.query))
            edited = apply_edits(request, edits) if edits else None
            if rule.pages:
                clients.remember_pages(texts, results, scope, tenant, request.path)
            editable = False
            for result in results:
                reason = result.reason
                if reason is None or reason.outcome is Outcome.FALLBACK or reason in _PASSING:
                    editable = mode not in _NEVER_EDITS
                    break
            if len(results) == 1:
                return Rewritten(results[0], edited, True, editable)
            if not results:
                return Rewritten(no_text(rule.dialect.looked_in(request)), None, False, False)
            return Rewritten(summary(results), edited, True, editable)
        except Exception:
            _log.exception("the texts of a request could not be rewritten")
            failed = Reformulation.untouched("", Reason.ENGINE_ERROR)
            if results is None:  # otherwise each text is recorded
                self._reformulator.record(failed, mode)
            return Rewritten(failed, None, bool(spans), bool(spans) and mode not in _NEVER_EDITS)
        finally:
            if ended is not None:
                ended()

    async def _wait(
        self, spans: list[QuerySpan], control: Control, scope: Scope, tenant: str, path: str
    ) -> None:
        """Wait for the search that texts belong to, if it is underway."""
        budget = self._reformulator.budget if control.budget is None else control.budget
        await self._underway.wait(self._clients.page_keys(spans, scope, tenant, path), budget)

    async def _resolved(
        self, found: Sequence[Reformulation | PendingLookup], scope: Scope
    ) -> list[Reformulation]:
        """Return the decisions for lookups, of which some are pending."""
        if len(found) == 1:
            return [await self._resolve(found[0], scope)]
        return list(await asyncio.gather(*(self._resolve(each, scope) for each in found)))

    async def _resolve(self, found: Reformulation | PendingLookup, scope: Scope) -> Reformulation:
        if isinstance(found, Reformulation):
            return found
        if not self._clients.within_rate(scope):
            return self._reformulator.refuse(found, Reason.RATE_LIMITED)
        return await self._reformulator.resolve(found)

    def _skipped(
        self, span: QuerySpan, mode: Mode, scope: Scope, tenant: str, path: str
    ) -> Reformulation:
        """Return and record the decision about a text that is not looked up."""
        if span.skip in _OF_ANOTHER and mode not in _NEVER_EDITS:
            result = self._clients.later_page(span, scope, tenant, path)
        else:
            result = Reformulation.untouched(span.text, span.skip or Reason.TYPING)
        return self._reformulator.record(result, mode)
