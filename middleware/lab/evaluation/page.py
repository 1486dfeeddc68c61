"""Render results as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from .experiment import Cell, QueryResult, recovered_shares
from .measures import NDCG
from .plots import bars, gains
from .significance import LEVEL
from .systems import BASELINES

_Cell = str | tuple[str, str]

_SHOWN = 10  # of the best rewrites, and of the worst

_STYLE = files(__package__).joinpath("page.css").read_text("utf-8")


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
    columns = [name for name in cells[0].figures() if name != "altered"]
    rows: list[list[_Cell]] = []
    for cell in cells:
        figures, color = cell.figures(), cell.versus.direction
        shown = ((figures[name], color if name == "Δ" else "") for name in columns)
        rows.append([cell.variant, cell.system, *shown])
    return (
        _table(["variant", "system", *columns], rows, range(2, 2 + len(columns)))
        + f'<p class="note">Δ in {NDCG} against the typed text; coloured where p &lt; {LEVEL}.</p>'
    )


def _outcomes(cells: Sequence[Cell]) -> str:
    rows = [[cell.variant, cell.system, cell.reasons_text] for cell in cells]
    return _table(["variant", "system", "outcomes and reasons"], rows) if rows else ""


def _recovered(cells: Sequence[Cell]) -> str:
    found = recovered_shares(cells)
    rows = [[name, system, f"{cost:.3f}", f"{share:.0%}"] for name, system, cost, share in found]
    table = _table(["variant", "system", "cost", "won back"], rows, range(2, 4))
    return f"<h2>Won back of {NDCG}, over all collections</h2>{table}" if rows else ""


def _rewrites(title: str, found: Sequence[tuple[QueryResult, str]]) -> str:
    rows: list[list[_Cell]] = [
        [
            (f"{query.gain:+.3f}", "up" if query.gain > 0 else "down"),
            name,
            query.reformulation.original,
            query.reformulation.query,
            ", ".join(query.lost_terms),
        ]
        for query, name in found
    ]
    heads = ["gain", "variant", "typed", "sent", "altered"]
    return f"<h3>{escape(title)}</h3>{_table(heads, rows, range(1))}" if rows else ""


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[_Cell]], numbers: Container[int] = ()
) -> str:
    """Return a table; a cell is a text, or a text and its class; ``numbers`` are columns."""

    def line(tag: str, cells: Sequence[_Cell]) -> str:
        parts = []
        for index, cell in enumerate(cells):
            text, kind = cell if isinstance(cell, tuple) else (cell, "")
            number = "n" if index in numbers else ""
            parts.append(f'<{tag} class="{number} {kind}">{escape(text)}')
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", heads)}</thead>{body}</table></div>'
