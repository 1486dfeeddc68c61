"""The command ``querylift``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .core.outcome import Mode
from .core.reformulation import Reformulation
from .errors import QueryliftError

__all__ = ["main"]

# name -> (module with add_arguments and run, what it does)
_BENCHMARKS = {
    "overhead": (".lab.benchmarks.overhead", "what the middleware costs a request"),
    "engine": (".lab.benchmarks.engine", "engines side by side"),
    "load": (".lab.benchmarks.load", "the proxy under load that does not wait for it"),
    "proxy": (".lab.benchmarks.proxy", "the proxy beside others that only forward"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for an error told, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except QueryliftError as error:
        print(f"querylift: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has left; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
        evaluate = commands.add_parser("eval", help="measure what rewriting does to a search")
        _add_module(evaluate, ".lab.evaluation.command")
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser("demo", help="try it: a search engine on this machine's own texts")
    demo.add_argument("--host", default="127.0.0.1", help="address to listen on")
    demo.add_argument("--port", type=int, default=8000, help="port to listen on")
    demo.add_argument("--no-browser", action="store_true", help="do not open a browser")
    demo.add_argument(
        "--corpus", type=Path, metavar="DIR_OR_JSONL", help="documents of your own to search"
    )
    demo.add_argument("--model", help="a T5's folder or hub id; default: the bundled one")
    _add_budget(demo, 100.0)
    demo.set_defaults(run=_demo)


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="stand in front of a search API",
        description="A reverse proxy that rewrites queries. Options override QUERYLIFT_* "
        "variables, which override the settings file.",
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="a settings file in TOML")
    serve.add_argument("--upstream", metavar="URL", help="the search API")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port to listen on")
    serve.add_argument(
        "--admin-port",
        type=int,
        metavar="PORT",
        help="port of /readyz, /metrics and /memo; 0 any free one, -1 none",
    )
    serve.add_argument("--dialect", help="the search API; default: auto, which asks the upstream")
    serve.add_argument("--param", action="append", metavar="NAME", help="URL parameter with text")
    serve.add_argument(
        "--json-pointer", action="append", metavar="POINTER", help="where JSON bodies have it"
    )
    serve.add_argument("--path", action="append", metavar="GLOB", help="paths that are searches")
    serve.add_argument("--budget-ms", type=float, metavar="MS", help="time a rewrite may take")
    serve.add_argument("--model", metavar="PATH_OR_HUB_ID", help="the T5 to use")
    serve.add_argument("--engine", help="the engine that runs it")
    serve.add_argument("--words", metavar="FILE", help="words that are spelled right here")
    serve.add_argument("--workers", type=int, metavar="N", help="processes that serve")
    serve.add_argument("--mode", choices=[mode.value for mode in Mode], help="what rewrites do")
    serve.add_argument(
        "--start-degraded",
        action="store_const",
        const=True,
        help="without a usable model, serve original queries",
    )
    serve.add_argument("--memo-snapshot", metavar="FILE", help="keep rewrites in it between runs")
    serve.add_argument("--log-level", help="debug, info, warning or error")
    _add_further_settings(serve)
    serve.set_defaults(run=_serve)


def _add_further_settings(serve: argparse.ArgumentParser) -> None:
    """Add an option for each setting that has none yet."""
    from .serving.settings import Settings, describe

    known = {action.dest for action in serve._actions}
    defaults = {field.name: field.default for field in fields(Settings)}
    further = serve.add_argument_group("further settings")
    for name, shown, description in describe():
        if name in known:
            continue
        default, option = defaults[name], f"--{name.replace('_', '-')}"
        told = f"{description} (default {shown})" if shown else description
        told = told.replace("%", "%%")
        if isinstance(default, bool):
            further.add_argument(
                option, action=argparse.BooleanOptionalAction, default=None, help=told
            )
        elif isinstance(default, tuple):
            further.add_argument(option, action="append", metavar="VALUE", help=told)
        else:
            further.add_argument(option, type=type(default), metavar="VALUE", help=told)


def _add_warm(commands: Any) -> None:
    warm = commands.add_parser("warm", help="fill the memo's snapshot with usual queries")
    warm.add_argument("--queries", required=True, metavar="FILE", help="a query a line; - is stdin")
    warm.add_argument("--memo-snapshot", metavar="FILE", help="the file that serve starts with")
    warm.add_argument("--config", type=Path, metavar="FILE", help="the settings file of serve")
    warm.add_argument("--model", metavar="PATH_OR_HUB_ID", help="the T5 to use")
    warm.add_argument("--engine", help="the engine that runs it")
    warm.add_argument("--mode", choices=("replace", "expand"), help="what rewrites do")
    warm.set_defaults(run=_warm)


def _add_rewrite(commands: Any) -> None:
    rewrite = commands.add_parser("rewrite", help="rewrite texts here and now")
    rewrite.add_argument("text", nargs="*", help="a text; without one, a text a line from stdin")
    rewrite.add_argument("--jsonl", action="store_true", help="print a line of JSON for each text")
    rewrite.add_argument("--model", metavar="PATH_OR_HUB_ID", help="the T5 to use")
    rewrite.add_argument("--engine", default="t5", help="the engine that runs it")
    rewrite.add_argument("--words", metavar="FILE", help="words that are spelled right here")
    rewrite.add_argument("--mode", choices=("replace", "expand"), default="replace")
    _add_budget(rewrite, 10_000.0)
    rewrite.set_defaults(run=_rewrite)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="measure on this machine")
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
        type=float,
        default=default,
        metavar="MS",
        help=f"time a rewrite may take (default {default:g})",
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
    from .serving.settings import load_settings

    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(options).items()
        if name not in ("run", "config")
    }
    return run_proxy(load_settings(options.config, options=given))


def _warm(options: argparse.Namespace) -> int:
    from .serving.settings import load_settings
    from .serving.warm import run_warm

    names = ("memo_snapshot", "model", "engine", "mode")
    given = {name: getattr(options, name) for name in names}
    return run_warm(load_settings(options.config, options=given), options.queries)


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
    """Yield standard input's lines; what is not UTF-8 stays a text that is left alone."""
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
    query = result.query.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"{query}\n    {', '.join(parts)}"


def _version() -> str:
    try:
        return version("querylift")
    except PackageNotFoundError:  # run from a checkout
        return "0+unknown"
