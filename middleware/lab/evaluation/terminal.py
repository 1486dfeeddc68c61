"""Print results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .compare import Change
from .experiment import Cell, recovered_shares
from .significance import LEVEL
from .systems import BASELINES

_WIDE = 130  # on a narrower terminal, tables are split in two


def print_report(cells: Sequence[Cell], console: Console) -> None:
    """Print a table of figures per collection, then recovered shares and reasons."""
    for name in dict.fromkeys(cell.collection for cell in cells):
        own = [cell for cell in cells if cell.collection == name]
        columns = list(own[0].figures())
        if console.width >= _WIDE:
            console.print(results_table(own, columns))
        else:
            console.print(_compact(results_table(own, columns[:5]), caption=None))
            console.print(_compact(results_table(own, columns[5:]), title=None))
    parts: list[RenderableType] = [recovery_table(cells)] if recovered_shares(cells) else []
    if any(cell.system not in BASELINES for cell in cells):
        parts.append(reasons_table(cells) if console.width >= _WIDE else _reasons_list(cells))
    console.print(Group(*parts))


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _compact(table: Table, **changed: None) -> Table:
    """Return a table without frame and padding, for a narrow terminal."""
    table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 0)
    for name, value in changed.items():
        setattr(table, name, value)
    return table


def _reasons_list(cells: Sequence[Cell]) -> Table:
    """Return ``reasons_table`` for narrow terminals, with a row per system that may wrap."""
    table = _table("outcomes and reasons", ("collection", "variant", "system"), ())
    table.add_column("share")
    for cell in (cell for cell in cells if cell.system not in BASELINES):
        table.add_row(cell.collection, cell.variant, cell.system, cell.reasons_text)
    return table


def results_table(cells: Sequence[Cell], columns: Sequence[str]) -> Table:
    """Return some columns of ``Cell.figures`` for one collection."""
    title = f"{cells[0].collection}: {len(cells[0].queries)} queries"
    table = _table(title, ("variant", "system"), columns)
    previous = ""
    for cell in cells:
        if previous and cell.variant != previous:
            table.add_section()
        color = {"up": "green", "down": "red"}.get(cell.versus.direction, "")
        texts = cell.figures()
        figures = (Text(texts[name], color if name == "Δ" else "") for name in columns)
        table.add_row(cell.variant if cell.variant != previous else "", cell.system, *figures)
        previous = cell.variant
    table.caption = (
        f"coloured where p < {LEVEL}; reworded: other words are sent, not only other punctuation;"
        " altered: queries that lost a protected term"
    )
    return table


def recovery_table(cells: Sequence[Cell]) -> Table:
    """Return the share of each variant's cost that each system recovers, over all collections."""
    table = _table("won back of nDCG@10, over all collections", ("variant", "system"), ())
    for name in ("cost", "won back"):
        table.add_column(name, justify="right")
    for name, system, cost, share in recovered_shares(cells):
        table.add_row(name, system, f"{cost:.3f}", f"{share:.0%}")
    return table


def reasons_table(cells: Sequence[Cell]) -> Table:
    """Return the shares of outcomes and reasons of the systems with an engine."""
    shown = [cell for cell in cells if cell.system not in BASELINES]
    words = sorted({word for cell in shown for word in cell.reasons})
    table = _table("outcomes and reasons", ("outcome",), ())
    names = list(dict.fromkeys((cell.variant, cell.system) for cell in shown))
    for name, system in names:
        table.add_column(f"{name}\n{system}", justify="right")
    for word in words:
        shares = []
        for key in names:
            group = [cell for cell in shown if (cell.variant, cell.system) == key]
            count = sum(cell.reasons.get(word, 0.0) * len(cell.queries) for cell in group)
            share = count / sum(len(cell.queries) for cell in group)
            shares.append(f"{share:.1%}" if share else "")
        table.add_row(word, *shares)
    return table


def changes_table(changes: Sequence[Change]) -> Table:
    """Return the changes between two results."""
    table = _table(
        "after against before",
        ("collection", "variant", "system", "measure"),
        ("queries", "before", "after", "Δ", "won/lost/tied", "p"),
    )
    table.add_column("verdict")
    for change in changes:
        found = change.contrast
        color = {"better": "green", "worse": "red"}.get(change.verdict, "dim")
        table.add_row(
            change.collection,
            change.variant,
            change.system,
            change.measure,
            str(change.queries),
            f"{change.before:.4f}",
            f"{change.after:.4f}",
            f"{found.delta:+.4f}",
            f"{found.wins}/{found.losses}/{found.ties}",
            f"{found.p_value:.3f}",
            Text(change.verdict, color),
        )
    return table
