"""Fill the reference pages with what the code says; a hook of MkDocs.

A page holds a mark such as ``<!-- generated: settings -->``. When the site is built,
``on_page_markdown`` replaces it by the output of the function of that name in ``GENERATORS``.
The lines below a mark, up to the next empty one, are for readers of the raw Markdown; they are
replaced as well.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = "middleware"  # the folder, under which mkdocstrings finds the sources

MARK = re.compile(r"^<!-- generated: (\w+) -->$(?:\n.+)*", re.MULTILINE)

TABLES = {
    "": "Top level",
    "upstream": "Table [upstream]",
    "engine": "Table [engine]",
    "memo": "Table [memo]",
    "admin": "Table [admin]",
    "log": "Table [log]",
}

OPTIONS = {"Reformulator": "    options:\n      inherited_members: true\n"}
"""Options of mkdocstrings for one name: ``start``, ``close`` and ``stats`` are inherited."""

API_PARTS = {
    "Ways in": ("asgi", "proxy", "decorator"),
    "Deciding": ("runtime", "core"),
    "Policy": ("policy",),
    "Engines": ("engines",),
    "Requests and dialects": ("http", "dialects"),
    "The upstream": ("upstream",),
    "Instrumentation": ("instrumentation",),
    "Errors": ("errors",),
}


def on_startup(**_: Any) -> None:
    """Let the package of this checkout be imported; MkDocs takes back what a hook adds earlier."""
    sys.path.insert(0, str(ROOT))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's Markdown with its marks replaced; called by MkDocs for each page."""
    return MARK.sub(lambda mark: GENERATORS[mark[1]](), markdown)


def settings() -> str:
    """Return a table of settings for each table of the TOML file."""
    from middleware.serving.settings import SETTINGS

    parts = []
    for table in dict.fromkeys(setting.table for setting in SETTINGS):
        rows = [
            (
                f"`{setting.key}`",
                f"`{setting.option}`<br>`{setting.variable}`",
                f"`{setting.shown}`" if setting.shown else "",
                setting.description,
            )
            for setting in SETTINGS
            if setting.table == table
        ]
        heading = TABLES.get(table, f"Table [{table}]").replace("[", "\\[")
        anchor = table or "top-level"
        parts.append(f"## {heading} {{: #{anchor} }}\n")
        parts.append(_table(("key", "option and environment variable", "default", "meaning"), rows))
    return "\n".join(parts)


def reasons() -> str:
    """Return the table of reasons."""
    from middleware import Reason

    rows = [(f"`{reason}`", f"`{reason.outcome}`", reason.explanation) for reason in Reason]
    return _table(("reason", "outcome", "meaning"), rows)


def metrics() -> str:
    """Return the table of metrics."""
    from middleware.instrumentation.metrics import METRICS

    return _table(("metric", "counts"), [(f"`{name}`", text) for name, text in METRICS.items()])


def exceptions() -> str:
    """Return the tree of the package's exceptions as a list, with their first sentences."""
    from middleware import errors

    def walk(kind: type, depth: int) -> Iterator[str]:
        bases = [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
        also = f" (also `{bases[0]}`)" if bases and bases[0] != "Exception" else ""
        yield f"{'    ' * depth}- `{kind.__name__}`{also}: {_first_line(kind)}"
        for child in kind.__subclasses__():
            if child.__name__ in errors.__all__:
                yield from walk(child, depth + 1)

    return "\n".join(walk(errors.QueryliftError, 0)) + "\n"


def dialects() -> str:
    """Return the table of dialects: their names, paths, and whether they know later pages."""
    from middleware.dialects.registry import load_dialect

    rows = []
    for name in bundled_dialects():
        dialect: Any = load_dialect(name)
        paths = list(dialect.paths)
        if len(paths) > 6:
            paths = [*paths[:5], "…"]
        shown = ", ".join(f"`{path}`" if path != "…" else path for path in paths)
        rows.append((f"`{name}`", shown, _first_line(type(dialect))))
    return _table(("dialect", "paths that are searches by default", ""), rows)


def bundled_dialects() -> list[str]:
    """Return the names of the dialects that are part of the package."""
    from middleware.dialects import registry

    return sorted(registry._DIALECTS)


def cli() -> str:
    """Return a section for each command of ``querylift``."""
    from middleware.cli import _parser
    from middleware.serving.settings import SETTINGS

    def sections(parser: argparse.ArgumentParser, level: int, about: str) -> Iterator[str]:
        yield f"{'#' * level} {parser.prog}\n"
        yield f"{_sentence(about)}\n"
        own = [action for action in _arguments(parser) if action.dest not in settings_of(parser)]
        if own:
            yield _table(("argument", "meaning"), [(_invocation(a), _help(a)) for a in own])
        if settings_of(parser):
            yield "Every [setting](settings.md) is an option as well.\n"
        for command, text in _commands(parser):
            yield from sections(command, level + 1, text)

    def settings_of(parser: argparse.ArgumentParser) -> set[str]:
        return {s.flat for s in SETTINGS} if parser.prog.endswith(" serve") else set()

    return "\n".join(
        part for command, about in _commands(_parser()) for part in sections(command, 2, about)
    )


def api() -> str:
    """Return the directives by which mkdocstrings documents every public name."""
    homes = public_names()
    parts = []
    left = dict(homes)
    for heading, tops in API_PARTS.items():
        names = [name for name, home in homes.items() if home.partition(".")[0] in tops]
        if not names:
            continue
        parts.append(f"## {heading}\n")
        for name in names:
            left.pop(name)
            parts.append(f"::: {PACKAGE}.{name}\n{OPTIONS.get(name, '')}")
    if left:
        raise LookupError(f"no part of the API page for {', '.join(left)}")
    parts.append("## For tests: querylift.testing\n")
    testing = importlib.import_module(f"{PACKAGE}.testing")
    parts += [f"::: {PACKAGE}.testing.{name}\n" for name in testing.__all__]
    return "\n".join(parts)


def public_names() -> dict[str, str]:
    """Return every public name, and the module of the package that it is imported from."""
    package = importlib.import_module(PACKAGE)
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text("utf-8"))
    homes = {
        alias.asname or alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    return {name: homes[name] for name in package.__all__}


GENERATORS: dict[str, Callable[[], str]] = {
    "api": api,
    "cli": cli,
    "dialects": dialects,
    "exceptions": exceptions,
    "metrics": metrics,
    "reasons": reasons,
    "settings": settings,
}


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Yield the subcommands of a parser, each with its sentence."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            abouts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            yield from ((command, abouts.get(name, "")) for name, command in action.choices.items())


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    passed_over = argparse._SubParsersAction | argparse._HelpAction | argparse._VersionAction
    return (action for action in parser._actions if not isinstance(action, passed_over))


def _invocation(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    given = action.metavar or choices or action.dest.upper()
    metavar = given if isinstance(given, str) else " ".join(given)
    if not action.option_strings:
        return f"`[{metavar} …]`" if action.nargs == "*" else f"`{metavar}`"
    option = action.option_strings[-1]
    return f"`{option}`" if action.nargs == 0 else f"`{option} {metavar}`"


def _help(action: argparse.Action) -> str:
    return (action.help or "") % vars(action)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
