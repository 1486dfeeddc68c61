"""Tables of figures on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_REDIRECTED = 200  # columns, where there is no terminal


def console() -> Console:
    """Return a console for standard output that does not cut tables when redirected."""
    stdout = Console(highlight=False)
    return stdout if stdout.is_terminal else Console(highlight=False, width=_REDIRECTED)


def print_rows(
    rows: Sequence[Mapping[str, Any]], title: str, output: Console | None = None
) -> None:
    """Print rows of figures, none of them cut: on a narrow terminal, each row is a column.

    The rows have the same keys; the first value of a row is its name.
    """
    output = console() if output is None else output
    table = _table(list(rows[0]), [[_shown(v) for v in row.values()] for row in rows], title)
    # Measured without a width, as a table never takes more than it has.
    unbounded = output.options.update(max_width=10_000)
    if Measurement.get(output, unbounded, table).maximum > output.width:
        name, *figures = rows[0]
        table = _table(
            [name, *(_shown(row[name]) for row in rows)],
            [[figure, *(_shown(row[figure]) for row in rows)] for figure in figures],
            title,
        )
    output.print(table)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(title=title)
    for head in heads:
        table.add_column(head, overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def _shown(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
