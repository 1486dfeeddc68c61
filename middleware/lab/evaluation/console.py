"""What the command says while it runs: messages and progress on stderr, tables on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

__all__ = ["console", "progress_bar", "tell", "warn"]


def console() -> Console:
    """Return a console that does not cut tables where the output is no terminal."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=200)


def tell(message: str, style: str) -> None:
    """Say something in one line on stderr."""
    Console(stderr=True, highlight=False).print(
        Text(f"querylift eval: {message}", style), soft_wrap=True
    )


def warn(message: str) -> None:
    """Say on stderr what makes the figures mean less than they seem to."""
    tell(f"warning: {message}", "yellow")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar while the block runs; gives what is told a label, what is done, and of what."""
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
