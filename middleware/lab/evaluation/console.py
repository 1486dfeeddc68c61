"""Console output: messages and progress on stderr, tables on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ...core.printable import printable


def console() -> Console:
    """Return a console for stdout that does not cut tables when redirected."""
    stdout = Console(highlight=False)
    return stdout if stdout.is_terminal else Console(highlight=False, width=200)


def print_message(message: str, style: str) -> None:
    """Print one line on stderr."""
    Console(stderr=True, highlight=False).print(
        Text(f"querylift eval: {printable(message)}", style), soft_wrap=True
    )


def warn(message: str) -> None:
    """Print a warning on stderr."""
    print_message(f"warning: {message}", "yellow")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar; yields the function that updates it with (label, done, total)."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("indexing", total=None)

        def report(label: str, done: int, total: int) -> None:
            progress.update(task, description=label, completed=done, total=total)

        yield report
