"""The command line, ``querylift``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from .core.printable import printable
from .core.reformulation import Reformulation
from .errors import QueryliftError
from .serving.command_line import Parser, add_settings, milliseconds, print_error
from .serving.settings import SETTINGS, Settings
from .serving.sources import load_settings, unknown_option

__all__ = ["main"]

# name -> (module with add_arguments and run, what it measures)
_BENCHMARKS = {
    "overhead": (".lab.benchmarks.overhead", "what the middleware adds to a request"),
    "engine": (".lab.benchmarks.engine", "latency of the engines"),
    "load": (".lab.benchmarks.load", "the proxy under open-loop load"),
    "proxy": (".lab.benchmarks.proxy", "the proxy compared with plain reverse proxies"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    It is 0 for success, 1 after an error message, 2 for wrong usage, and 130 after an interrupt.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    try:
        if unknown:
            if options.run in (_serve, _warm) and unknown[0].startswith("-"):
                raise unknown_option(unknown[0])
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return int(options.run(options))
    except QueryliftError as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of the output has closed it. Python would fail to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="querylift",
        description="Rewrites search queries with a T5 model, inside a latency budget.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_serve(commands)
    _add_warm(commands)
    _add_rewrite(commands)
    _add_bench(commands)
    if find_spec(".lab.evaluation.command", __package__) is not None:
        evaluate = commands.add_parser("eval", help="measure how rewriting changes search results")
        _add_module(evaluate, ".lab.evaluation.command")
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo", help="try it on a search engine over this machine's own documentation"
    )
    demo.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default %(default)s)"
    )
    demo.add_argument(
        "--port",
        type=int,
        default=8000,
        metavar="N",
        help="to listen on; 0 takes any free one (default %(default)s)",
    )
    demo.add_argument("--no-browser", action="store_true", help="do not open a browser")
    demo.add_argument(
        "--corpus",
        type=Path,
        metavar="DIR_OR_JSONL",
        help="your own documents: a folder with .txt, .md, .rst, .html or .py files, or a .jsonl "
        "file with an object on each line that has _id, text and, if you like, title (default: "
        "the documentation and packages that are installed here)",
    )
    demo.add_argument(
        "--model",
        metavar="PATH_OR_HUB_ID",
        help="folder or hub id of a T5 (default: the bundled one)",
    )
    _add_budget(demo, 100.0)
    demo.set_defaults(run=_demo)


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="run a reverse proxy in front of a search API",
        usage="%(prog)s [--config FILE] --upstream URL [OPTION ...]",
        description="A reverse proxy that rewrites queries. Options override QUERYLIFT_* "
        "variables, which override the settings file.",
        allow_abbrev=False,
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings file in TOML")
    for table, settings in groupby(SETTINGS, key=lambda setting: setting.table):
        group = serve.add_argument_group(
            f"settings of the table [{table}]" if table else "settings"
        )
        add_settings(group, settings)
    serve.set_defaults(run=_serve)


def _add_warm(commands: Any) -> None:
    warm = commands.add_parser(
        "warm", help="fill the memo's snapshot with common queries", allow_abbrev=False
    )
    warm.add_argument(
        "--queries", required=True, metavar="FILE", help="one query a line; - is stdin"
    )
    warm.add_argument("--config", type=Path, metavar="FILE", help="the settings file of serve")
    names = ("memo_snapshot", "model", "words", "engine", "mode")
    add_settings(warm, (setting for setting in SETTINGS if setting.flat in names))
    warm.set_defaults(run=_warm)


def _add_rewrite(commands: Any) -> None:
    rewrite = commands.add_parser("rewrite", help="rewrite texts and print the results")
    rewrite.add_argument("text", nargs="*", help="text to rewrite (default: each line of stdin)")
    rewrite.add_argument("--jsonl", action="store_true", help="print one JSON object a line")
    rewrite.add_argument(
        "--model",
        metavar="PATH_OR_HUB_ID",
        help="folder or hub id of a T5 (default: the bundled one)",
    )
    rewrite.add_argument(
        "--engine",
        default="t5",
        metavar="NAME",
        help="engine that runs the model (default %(default)s)",
    )
    rewrite.add_argument(
        "--words", metavar="FILE", help="text file of words that are spelled right"
    )
    rewrite.add_argument(
        "--mode",
        choices=("replace", "expand"),
        default="replace",
        help="what is done with a rewrite (default %(default)s)",
    )
    _add_budget(rewrite, 10_000.0)
    rewrite.set_defaults(run=_rewrite)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="run a benchmark on this machine")
    benchmarks = bench.add_subparsers(title="benchmarks", required=True, metavar="NAME")
    for name, (module, explanation) in _BENCHMARKS.items():
        if find_spec(module, __package__) is not None:
            _add_module(benchmarks.add_parser(name, help=explanation), module)


def _add_module(parser: argparse.ArgumentParser, name: str) -> None:
    module = import_module(name, __package__)
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


def _add_budget(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument(
        "--budget-ms",
        type=milliseconds,
        default=default,
        metavar="MS",
        help=f"milliseconds that a rewrite may take (default {default:g})",
    )


def _demo(options: argparse.Namespace) -> int:
    from .demo.run import run_demo

    return run_demo(
        host=options.host,
        port=options.port,
        open_browser=not options.no_browser,
        corpus=options.corpus,
        model=options.model,
        budget=options.budget_ms / 1000,
    )


def _serve(options: argparse.Namespace) -> int:
    from .serving.run import run_proxy

    return run_proxy(_load_settings(options))


def _warm(options: argparse.Namespace) -> int:
    from .serving.warm import run_warm

    return run_warm(_load_settings(options), options.queries)


def _load_settings(options: argparse.Namespace) -> Settings:
    given = {
        setting.flat: tuple(value) if isinstance(value, list) else value
        for setting in SETTINGS
        if (value := getattr(options, setting.flat, None)) is not None
    }
    return load_settings(options.config, options=given)


def _rewrite(options: argparse.Namespace) -> int:
    from .engines.registry import load_engine
    from .runtime.reformulator import Reformulator

    own = {"words": options.words} if options.words else {}
    reformulator = Reformulator(
        load_engine(options.engine, options.model, **own),
        budget=options.budget_ms / 1000,
        mode=options.mode,
    )
    with reformulator:
        for text in options.text or _lines():
            result = reformulator.reformulate_sync(text)
            print(_as_json(result) if options.jsonl else _as_text(result), flush=True)
    return 0


def _lines() -> Iterable[str]:
    """Yield the lines of standard input; invalid UTF-8 becomes a text that is not rewritten."""
    for line in sys.stdin.buffer:
        yield line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _as_json(result: Reformulation) -> str:
    return json.dumps(
        {
            "original": result.original,
            "query": result.query,
            "outcome": result.outcome,
            "reason": result.reason,
            "source": result.source,
            "ms": round(1000 * result.timings.total, 3),
        }
    )


def _as_text(result: Reformulation) -> str:
    parts: list[str] = [result.outcome]
    if result.reason is not None:
        parts.append(f"{result.reason}: {result.reason.explanation}")
    if result.source is not None:
        parts.append(f"from {result.source}")
    parts.append(f"{1000 * result.timings.total:.1f} ms")
    return f"{printable(result.query)}\n    {', '.join(parts)}"


def _version() -> str:
    try:
        return version("querylift")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
