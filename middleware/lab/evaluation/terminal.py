"""Results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .compare import Change
from .experiment import Cell, lost_and_won
from .measures import MEASURES
from .significance import LEVEL
from .systems import BASELINES, ORIGINAL

__all__ = ["changes_table", "print_report", "reasons_table", "results_table", "won_back_table"]

_WIDE = 130  # below it, tables are cut in two rather than their columns to nothing


def print_report(cells: Sequence[Cell], console: Console) -> None:
    """Print a table of figures for each collection, then what was won back and why not."""
    for name in dict.fromkeys(cell.collection for cell in cells):
        table = results_table([cell for cell in cells if cell.collection == name])
        for part in (table,) if console.width >= _WIDE else _halves(table, texts=2, first=7):
            console.print(part)
    parts: list[RenderableType] = [won_back_table(cells)] if lost_and_won(cells) else []
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


def _halves(table: Table, *, texts: int, first: int) -> tuple[Table, Table]:
    """Return the first columns of a table, and the others behind the first ``texts`` again."""
    columns = table.columns
    halves = []
    for chosen in (columns[:first], columns[:texts] + columns[first:]):
        half = _table("", (), ())
        half.box, half.show_edge, half.padding = box.SIMPLE_HEAD, False, (0, 0)
        for column in chosen:
            half.add_column(column.header, justify=column.justify, no_wrap=True)
        for cells in zip(*(column.cells for column in chosen), strict=True):
            half.add_row(*cells)
        halves.append(half)
    halves[0].title, halves[1].title, halves[1].caption = table.title, None, table.caption
    return halves[0], halves[1]


def _reasons_list(cells: Sequence[Cell]) -> Table:
    """Return what ``reasons_table`` does with a row for each system, which may wrap."""
    table = _table("outcomes and reasons", ("collection", "variant", "system"), ())
    table.add_column("share")
    for cell in (cell for cell in cells if cell.system not in BASELINES):
        most_first = sorted(cell.reasons.items(), key=lambda pair: -pair[1])
        shares = ", ".join(f"{word} {share:.1%}" for word, share in most_first)
        table.add_row(cell.collection, cell.variant, cell.system, shares)
    return table


def results_table(cells: Sequence[Cell]) -> Table:
    """Return the figures of one collection; ``Δ`` and what follows are against the typed text."""
    title = f"{cells[0].collection}: {len(cells[0].queries)} queries"
    numbers = [*MEASURES, "Δ", "p", "won/lost/tied", "rewritten", "reworded", "altered", "p95 ms"]
    table = _table(title, ("variant", "system"), numbers)
    previous = ""
    for cell in cells:
        if previous and cell.variant != previous:
            table.add_section()
        mine = cell.versus
        colour = "" if not mine.significant else "green" if mine.delta > 0 else "red"
        first = cell.system == ORIGINAL
        table.add_row(
            cell.variant if cell.variant != previous else "",
            cell.system,
            *(f"{cell.mean(measure):.3f}" for measure in MEASURES),
            "" if first else Text(f"{mine.delta:+.3f}", colour),
            "" if first else f"{mine.p_value:.3f}",
            "" if first else f"{mine.wins}/{mine.losses}/{mine.ties}",
            f"{cell.rewritten_share:.0%}",
            f"{cell.reworded_share:.0%}",
            "" if first else str(sum(bool(query.altered) for query in cell.queries)),
            f"{cell.ms(0.95):.1f}",
        )
        previous = cell.variant
    table.caption = (
        f"coloured where p < {LEVEL}; reworded: other words are sent, not only other punctuation;"
        " altered: queries that lost a term that had to stay"
    )
    return table


def won_back_table(cells: Sequence[Cell]) -> Table:
    """Return the share of each variant's cost that each system won back, over all collections."""
    table = _table("won back of nDCG@10, over all collections", ("variant", "system"), ())
    for name in ("cost", "won back"):
        table.add_column(name, justify="right")
    for name, system, cost, share in lost_and_won(cells):
        table.add_row(name, system, f"{cost:.3f}", f"{share:.0%}")
    return table


def reasons_table(cells: Sequence[Cell]) -> Table:
    """Return the share of each outcome and reason of the systems that have any."""
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
    """Return what a comparison found."""
    table = _table(
        "after against before",
        ("collection", "variant", "system", "measure"),
        ("queries", "before", "after", "Δ", "won/lost/tied", "p"),
    )
    table.add_column("verdict")
    for change in changes:
        found = change.contrast
        colour = {"better": "green", "worse": "red"}.get(change.verdict, "dim")
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
            Text(change.verdict, colour),
        )
    return table
