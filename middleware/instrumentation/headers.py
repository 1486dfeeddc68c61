"""The response headers about a reformulation: a structured-field item and Server-Timing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from urllib.parse import quote

from ..core.outcome import Outcome, Reason, Source
from ..core.reformulation import Reformulation

RESULT_HEADER = "query-reformulation"
"""The response header with the outcome."""
CONTROL_HEADER = "query-reformulation-control"
"""The request header by which a trusted caller controls the rewriting."""
MAX_QUERY = 1024
"""The most characters of the parameter ``q``, which every parser accepts (RFC 9651, 3.3.3)."""

_RESULT = RESULT_HEADER.encode()
_ORDER = (Outcome.REWRITTEN, Outcome.FALLBACK, Outcome.UNCHANGED, Outcome.SKIPPED)


def summary(reformulations: Sequence[Reformulation]) -> Reformulation:
    """Return the decision that stands for all texts of a request: the first of the top outcome."""
    if len(reformulations) == 1:
        return reformulations[0]
    return min(reformulations, key=lambda r: _ORDER.index(r.outcome))


def result_headers(
    reformulation: Reformulation, *, expose_query: bool = False, timing: bool = True
) -> list[tuple[bytes, bytes]]:
    """Return the header lines for a response: ``Query-Reformulation``, and ``Server-Timing``.

    The first is an item with parameters (RFC 9651); ``dur`` is in milliseconds, with three
    decimals at most. With ``expose_query``, its parameter ``q`` is the query that was sent, as a
    percent-encoded string, as these strings are ASCII; one of more than ``MAX_QUERY`` characters
    is left out. ``looked`` says where a text was looked for if there was none. The second follows
    W3C Server Timing.
    """
    duration = b"%.3f" % (1000 * reformulation.timings.total)
    value = _item(reformulation.outcome, reformulation.source, reformulation.reason) + duration
    if reformulation.looked_in:
        looked = quote(
            reformulation.looked_in[:MAX_QUERY], safe=" ,;:/()-.", errors="surrogatepass"
        )
        value += b';looked="%b"' % looked[:MAX_QUERY].encode("ascii")
    if expose_query and len(reformulation.query) <= MAX_QUERY:
        query = quote(reformulation.query, safe=" ", errors="surrogatepass")
        if len(query) <= MAX_QUERY:
            value += b';q="%b"' % query.encode("ascii")
    lines = [(_RESULT, value)]
    if timing:
        lines.append((b"server-timing", b"reformulate;dur=" + duration))
    return lines


@cache  # there are some forty combinations
def _item(outcome: Outcome, source: Source | None, reason: Reason | None) -> bytes:
    value: str = outcome.value
    if source is not None:
        value += f";src={source.value}"
    if reason is not None:
        value += f";reason={reason.value}"
    return f"{value};dur=".encode("ascii")
