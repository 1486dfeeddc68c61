"""``querylift demo``: the index, the backend, the proxy and the page, in one process."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text
from starlette.types import ASGIApp

from ..core.printable import printable
from ..errors import QueryliftError
from ..serving.server import address_of, bound_socket, serve, served_in_thread
from .backend import build_backend
from .documents import Corpus
from .examples import Example, derive_examples
from .index import SearchIndex
from .installed import installed_corpus
from .own import own_corpus
from .page import build_app


def run_demo(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_browser: bool = True,
    corpus: Path | None = None,
    model: str | None = None,
    budget: float = 0.1,
) -> int:
    """Run the demo until an interrupt, and return the exit status.

    ``corpus`` is a path to the user's documents, by default the installed documentation;
    ``model`` is a T5's folder or hub id, by default the bundled model; ``budget`` is in seconds.
    Returns 0 after an interrupt, or 1 after an error message if the demo cannot start.
    """
    console = Console(highlight=False)
    try:
        # Bound first, so that a taken port is reported before indexing.
        with bound_socket(host, port) as front:
            searched, index = _indexed(corpus, console)
            with index, served_in_thread(build_backend(index)) as upstream:
                examples = derive_examples(searched.documents, index)
                app = build_app(
                    _proxy(upstream, model=model, budget=budget),
                    examples=examples,
                    collection=searched.name,
                    documents=index.size,
                )
                url = address_of(front)

                def announce() -> None:
                    _announce(console, url, upstream, examples)
                    if open_browser:
                        webbrowser.open(url)

                serve(app, front, started=announce)
    except KeyboardInterrupt:
        pass
    except QueryliftError as error:
        Console(stderr=True, highlight=False).print(
            Text(f"querylift demo: {printable(error)}", "red"), soft_wrap=True
        )
        return 1
    console.print("Stopped.")
    return 0


def _proxy(upstream: str, *, model: str | None, budget: float) -> ASGIApp:
    """Return the reverse proxy in front of the backend, as any user would write it."""
    from .. import Reformulator, ReverseProxy, SearchRule, load_engine

    engine = load_engine("t5", model=model) if model else load_engine("t5")
    return ReverseProxy(
        upstream,
        reformulator=Reformulator(engine, budget=budget),
        rules=[SearchRule(path="/search", methods=("GET", "POST"))],
        trust_control=True,
        expose_query=True,
    )


def _indexed(corpus: Path | None, console: Console) -> tuple[Corpus, SearchIndex]:
    with _progress(console) as steps:
        read = partial(own_corpus, corpus) if corpus else installed_corpus
        found = read(progress=steps("Reading documents"))
        index = SearchIndex(found.documents, progress=steps("Building the index"))
    for note in found.notes[:5]:
        console.print(Text(f"note: {printable(note)}", "yellow"))
    if len(found.notes) > 5:
        console.print(Text(f"note: and {len(found.notes) - 5} more like these", "yellow"))
    console.print(
        Text.assemble((f"{index.size:,}", "bold"), f" documents: {printable(found.name)}")
    )
    return found, index


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show a bar per step; yields the function that starts a step and returns its progress."""
    columns = TextColumn("{task.description:<20}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:

        def step(description: str) -> Callable[[int, int], None]:
            task = progress.add_task(description, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield step


def _announce(console: Console, url: str, upstream: str, examples: Sequence[Example]) -> None:
    console.print()
    console.print(f"  Page and search API   [bold]{url}[/]")
    console.print(f"  Search backend        {upstream}")
    console.print()
    shown = [example for example in examples if example.label in _ON_TERMINAL]
    if shown:  # few documents may yield none
        console.print("Try (the header [bold]Query-Reformulation[/] has the decision):")
    for example in shown:
        console.print(Text(f"\n  # {example.label.lower()}: {printable(example.hint)}", "dim"))
        line = f"curl -i {shlex.quote(f'{url}/search?size=3&q={quote(example.query)}')}"
        # Not wrapped, so that it can be pasted.
        console.print(Text("  " + line), soft_wrap=True)
    console.print("\nThe model loads in the background. Ctrl-C stops everything.\n")


_ON_TERMINAL = frozenset(("Misspelled", "Chatty", "A name"))
