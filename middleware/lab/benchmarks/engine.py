"""``querylift bench engine``: T5 engines side by side, in turn, each in a process of its own.

With random weights all give exactly ``--tokens-out`` tokens, and ``t5`` guesses as well as
it does for the bundled model on real queries; the figures are times and nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...engines.threads import default_threads
from ...errors import ConfigurationError, QueryliftError
from .engines_under_test import CONTESTANTS, Lap, Pattern
from .machine import machine_facts, resident_mb
from .models import RANDOM, checkpoint, shape_of

__all__ = ["add_arguments", "run"]

_PACKAGES = ("querylift", "torch", "transformers", "onnxruntime", "ctranslate2")
# What the engines have room for, as they are run.
_MOST = {"tokens_in": 128, "tokens_out": 64}
_TOKENS = 16
_DEFAULT = "t5,t5-plain,transformers,transformers-int8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument(
        "--engines",
        default=_DEFAULT,
        metavar="NAMES",
        help=f"of {', '.join(CONTESTANTS)}; ratios are to the first (default {_DEFAULT})",
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help=f"a folder, a hub id, bundled, or {', '.join(RANDOM)} (default bundled)",
    )
    forced = "random tokens in and forced lengths, for times only; random models always (16)"
    parser.add_argument("--tokens-in", type=int, metavar="N", help=forced)
    parser.add_argument("--tokens-out", type=int, metavar="N", help="likewise (16)")
    parser.add_argument("--batch", type=int, default=1, help="texts in a call (1)")
    parser.add_argument("--threads", type=int, default=default_threads(), help="of each engine")
    parser.add_argument("--rounds", type=int, default=20, help="timed calls of each (20)")
    parser.add_argument(
        "--memory",
        type=int,
        metavar="QUERIES",
        help="tell the memory that t5 takes from its start to after so many queries, and no times",
    )
    parser.add_argument(
        "--same",
        action="store_true",
        help="tell for which share of the queries t5's answers are those of float32, of no drafts "
        "and of a batch, and how many tokens a step brings, and no times",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="real queries, one a line")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print, and return the exit status."""
    try:
        report = _measure(options)
    except QueryliftError as error:
        print(f"querylift bench engine: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report))
        return 0
    if "rows" not in report:
        Console().print(report)
        return 0
    title = f"{report['model']}, batch {options.batch}, {options.threads} threads"
    rows = report["rows"]
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    Console().print({key: value for key, value in report.items() if key not in ("rows", "model")})
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from .replay import QUERIES, measured_pattern

    names = [name.strip() for name in options.engines.split(",") if name.strip()]
    unknown = [name for name in names if name not in CONTESTANTS]
    if unknown or not names:
        raise ConfigurationError(f"--engines: no {unknown}; known: {', '.join(CONTESTANTS)}")
    for option in ("tokens_in", "tokens_out", "batch", "threads", "rounds", "memory"):
        value = getattr(options, option)
        if value is not None and value < 1:
            raise ConfigurationError(f"--{option.replace('_', '-')} must be at least 1")
        most = _MOST.get(option, math.inf)
        if value is not None and value > most:
            raise ConfigurationError(f"--{option.replace('_', '-')} can be at most {most}")
    queries = list(QUERIES)
    if options.queries is not None:
        try:
            lines = options.queries.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--queries: {error}") from error
        queries = [line.strip() for line in lines if line.strip()] or queries
    if options.memory is not None:
        return _memory(options)
    if options.same:
        return _same(options, queries)
    lengths = options.tokens_in, options.tokens_out
    forced = options.model.startswith("random:") or lengths != (None, None)
    pattern = measured_pattern(queries) if forced else ()
    with checkpoint(options.model) as folder:
        calls = _calls(folder, options, queries, forced)
        laps = _race(names, folder, options.threads, pattern, calls, forced)
    rows = [_row(name, *laps[name]) for name in names]
    for row in rows:
        row["ratio"] = row["p50_ms"] / rows[0]["p50_ms"]
    report = machine_facts(*_PACKAGES)
    report |= {"model": options.model, "threads": options.threads, "rows": rows}
    if forced:
        report["note"] = "random tokens and forced lengths: times only; guesses are replayed"
        report["replayed_tokens_per_step"] = 1 + statistics.mean(right for _, right in pattern)
    return report


def _same(options: argparse.Namespace, queries: list[str]) -> dict[str, Any]:
    from .engine_same import measure_same

    with checkpoint(options.model) as folder:
        found = measure_same(folder, queries, threads=options.threads)
    return {**machine_facts(*_PACKAGES), "model": options.model, **found}


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    from .engine_memory import measure_memory

    report = machine_facts(*_PACKAGES) | {"model": options.model, "threads": options.threads}
    with checkpoint(options.model) as folder:
        return report | measure_memory(
            folder, threads=options.threads, queries=options.memory, batch=options.batch
        )


def _calls(
    folder: Path, options: argparse.Namespace, queries: list[str], forced: bool
) -> list[tuple[list[list[int]], int]]:
    """Return what each call gets: inputs, and the most tokens of an output."""
    from ...engines.t5.tokenizer import open_tokenizer

    shape = shape_of(folder)
    if forced:
        source, pieces = random.Random(0), range(3, shape.vocabulary)
        length, count = (options.tokens_in or _TOKENS) - 1, options.tokens_out or _TOKENS
        return [
            (
                [[*source.choices(pieces, k=length), shape.end] for _ in range(options.batch)],
                count,
            )
            for _ in range(options.rounds)
        ]
    tokenizer = open_tokenizer(folder, shape)
    inputs = [tokens for query in queries if (tokens := tokenizer.encode(query)) is not None]
    return [
        ([inputs[(turn * options.batch + row) % len(inputs)] for row in range(options.batch)], 64)
        for turn in range(options.rounds)
    ]


def _race(
    names: list[str],
    folder: Path,
    threads: int,
    pattern: Pattern,
    calls: list[tuple[list[list[int]], int]],
    forced: bool,
) -> dict[str, tuple[list[Lap], list[Lap], float]]:
    """Return each engine's laps, its laps of one token, and its resident megabytes."""
    laps: dict[str, tuple[list[Lap], list[Lap]]] = {name: ([], []) for name in names}
    memory: dict[str, float] = {}
    with _engines_under_test(names, folder, threads, pattern) as pipes:
        for turn, (inputs, count) in enumerate([*calls[:2], *calls]):
            # Each starts a turn as often as the others.
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                # One untimed: the caches hold what the engine before left there.
                for kind, length in enumerate((1, count, 1)):
                    pipes[name].send((inputs, length, forced))
                    lap, memory[name] = _received(pipes[name], name)
                    if turn >= 2 and kind:  # the first turns are warm-up
                        laps[name][kind - 1].append(lap)
    return {name: (*laps[name], memory[name]) for name in names}


@contextmanager
def _engines_under_test(
    names: list[str], folder: Path, threads: int, pattern: Pattern
) -> Iterator[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Any] = {}
    processes = []
    try:
        for name in names:
            pipes[name], theirs = context.Pipe()
            arguments = (theirs, name, folder, threads, pattern)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            _received(pipes[name], name)  # one after the other: loading takes all cores
        yield pipes
    finally:
        for pipe in pipes.values():
            pipe.close()
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.terminate()


def _received(pipe: Any, name: str) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise ConfigurationError(f"engine {name} died") from None
    if isinstance(answer, str):
        raise ConfigurationError(f"engine {name}: {answer}")
    return answer


def _work(pipe: Any, name: str, folder: Path, threads: int, pattern: Pattern) -> None:
    """Serve one engine to the parent, until it closes the pipe."""
    try:
        contestant = CONTESTANTS[name](folder, threads, pattern)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(True)
    while True:
        try:
            inputs, count, forced = pipe.recv()
        except EOFError:
            return
        pipe.send((contestant.lap(inputs, count, forced=forced), resident_mb()))


def _row(name: str, laps: list[Lap], short: list[Lap], memory: float) -> dict[str, Any]:
    """Return an engine's line; medians but for the 95th percentile.

    Where an engine cannot tell its encoding time, that is what a lap of one token takes
    longer than a further step.
    """
    times = sorted(lap.total_s * 1e3 for lap in laps)
    steps = statistics.mean(lap.steps for lap in laps)
    total, first = (statistics.median(lap.total_s for lap in kind) * 1e3 for kind in (laps, short))
    encode = statistics.median(lap.encode_s for lap in laps) * 1e3
    step = (total - encode) / steps if encode else (total - first) / max(1.0, steps - 1)
    return {
        "engine": name,
        "p50_ms": total,
        "p95_ms": times[min(len(times) - 1, int(0.95 * len(times)))],
        "encode_ms": encode or max(0.0, first - step),
        "step_ms": step,
        "steps": steps,
        "tokens_per_step": statistics.mean(lap.tokens_per_step for lap in laps),
        "rss_mb": memory,
    }


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="querylift bench engine", description=__doc__)
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
