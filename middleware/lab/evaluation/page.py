"""Render results as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .experiment import Cell, QueryResult, recovered_shares
from .measures import MEASURES, NDCG
from .plots import bars, gains
from .significance import LEVEL
from .systems import BASELINES, ORIGINAL

__all__ = ["as_page"]

_SHOWN = 10  # of the best rewrites, and of the worst

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --paper: #fff; --rule: #e4e7ec;
  --won: #12855b; --lost: #c2362b; --c0: #98a2b3; --c1: #b98a2f; --c2: #7a5ab5; --c3: #b0568c;
  --c4: #1f6fd1; --c5: #16958f; --c6: #6b7f2a; --c7: #a5553a }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #98a2b3; --paper: #14181f;
  --rule: #2b323d; --won: #3ecf95; --lost: #f0786c; --c1: #dcae57; --c2: #a98be0; --c3: #df86bb;
  --c4: #63a4f5; --c5: #45c7c0; --c6: #a8bf5c; --c7: #d98b6e } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { margin-top: 2.5rem; font-size: 1.2rem } h3 { font-size: 1rem }
svg { width: 100%; height: auto } .grid { stroke: var(--rule) }
.tick { fill: var(--soft); font-size: 12px } .won { fill: var(--won) } .lost { fill: var(--lost) }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0;
  color: var(--soft) }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top } th { color: var(--soft); font-weight: 500 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.up { color: var(--won) } td.down { color: var(--lost) } .note { color: var(--soft) }
""" + "".join(f".s{i} {{ fill: var(--c{i}); background: var(--c{i}) }} " for i in range(8))


def as_page(cells: Sequence[Cell], settings: Mapping[str, Any]) -> str:
    """Return the page: recovered shares, figures, plots, the best and the worst rewrites."""
    names = list(dict.fromkeys(cell.collection for cell in cells))
    shown = ", ".join(f"{escape(str(key))} {escape(str(value))}" for key, value in settings.items())
    parts = [f'<h1>querylift eval: {escape(", ".join(names))}</h1><p class="note">{shown}</p>']
    parts.append(_recovered(cells))
    parts += [_collection(name, [c for c in cells if c.collection == name]) for name in names]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>querylift eval: {escape(', '.join(names))}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _collection(name: str, cells: Sequence[Cell]) -> str:
    means: dict[str, dict[str, float]] = {}
    for cell in cells:
        means.setdefault(cell.variant, {})[cell.system] = cell.mean(NDCG)
    parts = [
        f"<h2>{escape(name)}, {len(cells[0].queries)} queries</h2>",
        bars(means, f"{NDCG} of each system and variant of {name}"),
        _figures(cells),
    ]
    engine_cells = [cell for cell in cells if cell.system not in BASELINES]
    parts.append(_outcomes(engine_cells))
    for cell in engine_cells:
        pairs = [(query.gain, _caption(query)) for query in cell.queries]
        title = f"{cell.system}, {cell.variant}: gain of each query in {NDCG}"
        parts.append(f"<h3>{escape(title)}</h3>{gains(pairs, title)}")
    for system in dict.fromkeys(cell.system for cell in engine_cells):
        found = [
            (query, cell.variant)
            for cell in engine_cells
            if cell.system == system
            for query in cell.queries
            if query.reformulation.changed
        ]
        found.sort(key=lambda pair: -pair[0].gain)
        best = [pair for pair in found[:_SHOWN] if pair[0].gain > 0]
        worst = [pair for pair in found[::-1][:_SHOWN] if pair[0].gain < 0]
        parts.append(_rewrites(f"{system}: best rewrites", best))
        parts.append(_rewrites(f"{system}: worst rewrites", worst))
    return "".join(parts)


def _caption(query: QueryResult) -> str:
    decision = query.reformulation
    if not decision.changed:
        return f"{decision.original} ({decision.reason or decision.outcome})"
    return f"{decision.original} → {decision.query}"


def _figures(cells: Sequence[Cell]) -> str:
    rows = []
    for cell in cells:
        versus = cell.versus
        is_original = cell.system == ORIGINAL
        color = "" if not versus.significant else " up" if versus.delta > 0 else " down"
        rows.append(
            f"<tr><td>{escape(cell.variant)}<td>{escape(cell.system)}"
            + "".join(f'<td class="n">{cell.mean(measure):.3f}' for measure in MEASURES)
            + f'<td class="n{color}">{"" if is_original else f"{versus.delta:+.3f}"}'
            f'<td class="n">{"" if is_original else f"{versus.p_value:.3f}"}'
            f'<td class="n">{"" if is_original else f"{versus.wins}/{versus.losses}/{versus.ties}"}'
            f'<td class="n">{cell.rewritten_share:.0%}<td class="n">{cell.reworded_share:.0%}'
            f'<td class="n">{cell.ms(0.95):.1f}</tr>'
        )
    heads = ["variant", "system", *MEASURES, "Δ", "p", "won/lost/tied", "rewritten", "reworded"]
    return (
        _table([*heads, "p95 ms"], "".join(rows), 2, 11)
        + f'<p class="note">Δ in {NDCG} against the typed text; coloured where p &lt; {LEVEL}.</p>'
    )


def _outcomes(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    rows = "".join(
        f"<tr><td>{escape(cell.variant)}<td>{escape(cell.system)}<td>"
        + escape(", ".join(f"{name} {share:.1%}" for name, share in cell.most_frequent_reasons))
        + "</tr>"
        for cell in cells
    )
    return _table(["variant", "system", "outcomes and reasons"], rows, 0, 0)


def _recovered(cells: Sequence[Cell]) -> str:
    found = recovered_shares(cells)
    if not found:
        return ""
    rows = "".join(
        f'<tr><td>{escape(name)}<td>{escape(system)}<td class="n">{cost:.3f}'
        f'<td class="n">{share:.0%}</tr>'
        for name, system, cost, share in found
    )
    return f"<h2>Won back of {NDCG}, over all collections</h2>" + _table(
        ["variant", "system", "cost", "won back"], rows, 2, 4
    )


def _rewrites(title: str, found: Sequence[tuple[QueryResult, str]]) -> str:
    if not found:
        return ""
    rows = "".join(
        f'<tr><td class="n {"up" if query.gain > 0 else "down"}">{query.gain:+.3f}'
        f"<td>{escape(name)}<td>{escape(query.reformulation.original)}"
        f"<td>{escape(query.reformulation.query)}<td>{escape(', '.join(query.lost_terms))}</tr>"
        for query, name in found
    )
    heads = ["gain", "variant", "typed", "sent", "altered"]
    return f"<h3>{escape(title)}</h3>{_table(heads, rows, 0, 1)}"


def _table(heads: Sequence[str], rows: str, first: int, last: int) -> str:
    """Return a table; its columns from ``first`` up to, not including, ``last`` are numbers."""
    cells = "".join(
        f"<th{' class=n' if first <= index < last else ''}>{escape(head)}"
        for index, head in enumerate(heads)
    )
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead>{rows}</table></div>'
