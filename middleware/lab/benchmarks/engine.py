"""``querylift bench engine``: compare T5 engines, called in turn, each in its own process.

With random weights, all engines produce exactly ``--tokens-out`` tokens, and the drafts of
``t5`` are as often accepted as those of the bundled model on real queries.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...core.printable import printable
from ...engines.threads import default_threads
from ...errors import ConfigurationError, QueryliftError
from .closed_loop import quantile
from .engine_checks import measure_memory, measure_same
from .engines_under_test import ENGINES_UNDER_TEST, Pattern, TimedCall, engine_process
from .machine import machine_facts
from .models import RANDOM, checkpoint, shape_of
from .tables import console, print_rows

_PACKAGES = ("querylift", "torch", "transformers", "onnxruntime", "ctranslate2")
# The limits of the engines as they are set up here.
_MAXIMA = {"tokens_in": 128, "tokens_out": 64}
_TOKENS = 16
_DEFAULT = "t5,t5-plain,transformers,transformers-int8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument(
        "--engines",
        default=_DEFAULT,
        metavar="NAMES",
        help=f"of {', '.join(ENGINES_UNDER_TEST)}; ratios are to the first (default {_DEFAULT})",
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help=f"a folder, a hub id, bundled, or {', '.join(RANDOM)} (default bundled)",
    )
    forced = "input length; random tokens and forced lengths, for times only (default: 16)"
    parser.add_argument("--tokens-in", type=int, metavar="N", help=forced)
    parser.add_argument(
        "--tokens-out", type=int, metavar="N", help="output length, likewise (default: 16)"
    )
    parser.add_argument("--batch", type=int, default=1, help="texts per call")
    parser.add_argument("--threads", type=int, default=default_threads(), help="of each engine")
    parser.add_argument("--rounds", type=int, default=20, help="timed calls of each engine")
    parser.add_argument(
        "--memory",
        type=int,
        metavar="QUERIES",
        help="instead of times, measure the memory of t5 at its start and after QUERIES queries",
    )
    parser.add_argument(
        "--same",
        action="store_true",
        help="instead of times, measure how often t5's answers equal those in float32, without "
        "drafts and in a batch, and the tokens per step",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="real queries, one per line")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, print its figures, and return the exit status."""
    try:
        report = _measure(options)
    except QueryliftError as error:
        print(f"querylift bench engine: {printable(error)}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report))
        return 0
    if "rows" not in report:
        console().print(report)
        return 0
    title = f"{report['model']}, batch {options.batch}, {options.threads} threads"
    rows = report["rows"]
    print_rows(rows, title)
    console().print({key: value for key, value in report.items() if key not in ("rows", "model")})
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from .replay import QUERIES, measured_pattern

    names = [name.strip() for name in options.engines.split(",") if name.strip()]
    unknown = [name for name in names if name not in ENGINES_UNDER_TEST]
    if unknown or not names:
        raise ConfigurationError(
            f"--engines: no {', '.join(unknown) or 'names'}; known: {', '.join(ENGINES_UNDER_TEST)}"
        )
    for option in ("tokens_in", "tokens_out", "batch", "threads", "rounds", "memory"):
        value = getattr(options, option)
        if value is not None and value < 1:
            raise ConfigurationError(f"--{option.replace('_', '-')} must be at least 1")
        most = _MAXIMA.get(option, math.inf)
        if value is not None and value > most:
            raise ConfigurationError(f"--{option.replace('_', '-')} can be at most {most}")
    if options.memory is not None and options.same:
        raise ConfigurationError("--memory and --same measure different things; give one of both")
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
        timings = _time_engines(names, folder, options.threads, pattern, calls, forced)
    rows = [_row(name, *timings[name]) for name in names]
    for row in rows:
        row["ratio"] = row["p50_ms"] / rows[0]["p50_ms"]
    report = machine_facts(*_PACKAGES)
    report |= {"model": options.model, "threads": options.threads, "rows": rows}
    if forced:
        report["note"] = "random tokens and forced lengths: times only; drafts are replayed"
        report["replayed_tokens_per_step"] = 1 + statistics.mean(right for _, right in pattern)
    return report


def _same(options: argparse.Namespace, queries: list[str]) -> dict[str, Any]:
    with checkpoint(options.model) as folder:
        found = measure_same(folder, queries, threads=options.threads)
    return {**machine_facts(*_PACKAGES), "model": options.model, **found}


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    report = machine_facts(*_PACKAGES) | {"model": options.model, "threads": options.threads}
    with checkpoint(options.model) as folder:
        return report | measure_memory(
            folder, threads=options.threads, queries=options.memory, batch=options.batch
        )


def _calls(
    folder: Path, options: argparse.Namespace, queries: list[str], forced: bool
) -> list[tuple[list[list[int]], int]]:
    """Return the inputs of each call, and the largest number of tokens of an output."""
    from ...engines.t5.tokenizer import open_tokenizer

    shape = shape_of(folder)
    if forced:
        rng, pieces = random.Random(0), range(3, shape.vocabulary)
        length, count = (options.tokens_in or _TOKENS) - 1, options.tokens_out or _TOKENS
        return [
            ([[*rng.choices(pieces, k=length), shape.end] for _ in range(options.batch)], count)
            for _ in range(options.rounds)
        ]
    tokenizer = open_tokenizer(folder, shape)
    inputs = [tokens for query in queries if (tokens := tokenizer.encode(query)) is not None]
    return [
        ([inputs[(turn * options.batch + row) % len(inputs)] for row in range(options.batch)], 64)
        for turn in range(options.rounds)
    ]


def _time_engines(
    names: list[str],
    folder: Path,
    threads: int,
    pattern: Pattern,
    calls: list[tuple[list[list[int]], int]],
    forced: bool,
) -> dict[str, tuple[list[TimedCall], list[TimedCall], float]]:
    """Return each engine's timed calls, its timed calls for one token, and its resident MiB."""
    timed: dict[str, tuple[list[TimedCall], list[TimedCall]]] = {name: ([], []) for name in names}
    memory: dict[str, float] = {}
    with ExitStack() as stack:
        # One after the other, as loading takes all cores.
        time_call = {
            name: stack.enter_context(engine_process(name, folder, threads, pattern))[1]
            for name in names
        }
        for turn, (inputs, count) in enumerate([*calls[:2], *calls]):
            # Every engine is the first of a turn equally often.
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                # The first call is not timed: caches hold data of the previous engine.
                for kind, length in enumerate((1, count, 1)):
                    call, memory[name] = time_call[name](inputs, length, forced)
                    if turn >= 2 and kind:  # the first turns are warm-up
                        timed[name][kind - 1].append(call)
    return {name: (*timed[name], memory[name]) for name in names}


def _row(
    name: str, calls: list[TimedCall], short: list[TimedCall], memory: float
) -> dict[str, Any]:
    """Return the figures of an engine; times are medians unless named otherwise.

    Where an engine does not measure its encoding time, it is the time of a call for one token
    minus the time of a further step.
    """
    times = [call.total_s * 1e3 for call in calls]
    steps = statistics.mean(call.steps for call in calls)
    total = statistics.median(call.total_s for call in calls) * 1e3
    first = statistics.median(call.total_s for call in short) * 1e3
    encode = statistics.median(call.encode_s for call in calls) * 1e3
    step = (total - encode) / steps if encode else (total - first) / max(1.0, steps - 1)
    return {
        "engine": name,
        "p50_ms": total,
        "p95_ms": quantile(times, 0.95),
        "encode_ms": encode or max(0.0, first - step),
        "step_ms": step,
        "steps": steps,
        "tokens_per_step": statistics.mean(call.tokens_per_step for call in calls),
        "rss_mb": memory,
    }
