"""The response headers that say what was done: a structured-field item and Server-Timing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from middleware.core.outcome import Outcome
from middleware.core.reformulation import Reformulation

__all__ = ["CONTROL_HEADER", "RESULT_HEADER", "result_value", "server_timing", "summary"]

RESULT_HEADER = "query-reformulation"
"""The response header with the outcome."""
CONTROL_HEADER = "query-reformulation-control"
"""The request header by which a trusted caller steers."""

_ORDER = (Outcome.REWRITTEN, Outcome.FALLBACK, Outcome.UNCHANGED, Outcome.SKIPPED)


def summary(reformulations: Sequence[Reformulation]) -> Reformulation:
    """Return the one that stands for all texts of a request: the first of the strongest outcome."""
    if len(reformulations) == 1:
        return reformulations[0]
    return min(reformulations, key=lambda r: _ORDER.index(r.outcome))


def result_value(reformulation: Reformulation, *, expose_query: bool = False) -> str:
    """Return the value of ``Query-Reformulation``, an item with parameters (RFC 9651).

    ``dur`` is in milliseconds. With ``expose_query`` the parameter ``q`` carries the
    effective query as a string, percent-encoded, as such strings are ASCII.
    """
    value: str = reformulation.outcome.value
    if reformulation.source is not None:
        value += f";src={reformulation.source.value}"
    if reformulation.reason is not None:
        value += f";reason={reformulation.reason.value}"
    value += f";dur={_milliseconds(reformulation.timings.total)}"
    if expose_query:
        value += f';q="{quote(reformulation.query, safe=" ", errors="surrogatepass")}"'
    return value


def server_timing(reformulation: Reformulation) -> str:
    """Return a ``Server-Timing`` entry (W3C Server Timing), in milliseconds."""
    return f"reformulate;dur={_milliseconds(reformulation.timings.total)}"


def _milliseconds(seconds: float) -> str:
    """Return a decimal with one digit at least and three at most behind the point (RFC 9651)."""
    text = f"{1000 * seconds:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
