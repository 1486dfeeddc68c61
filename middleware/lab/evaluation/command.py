"""``querylift eval``: its options, and its run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ...core.outcome import Mode
from ...engines.base import Engine
from ...engines.registry import DEFAULT_ENGINE, load_engine
from ...errors import ConfigurationError, QueryliftError
from ...serving.command_line import milliseconds
from .collection import Collection, load_collection, read_documents
from .compare import compare, summary
from .console import console, print_message, progress_bar, warn
from .experiment import Cell, experiment
from .judgments import missing_ids
from .measures import GAINS
from .outputs import Outputs
from .pipeline import Pipeline
from .record import read_record
from .retrieval import Bm25
from .search_client import DIALECTS, SearchClient, location, unjudged
from .systems import ENGINE_SYSTEMS, ORIGINAL, SYSTEMS, Decide, baselines
from .terminal import changes_table, print_report
from .variants import VARIANTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``querylift eval`` to a parser."""
    parser.set_defaults(parser=parser)
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--collection",
        type=Path,
        action="append",
        metavar="DIR",
        help="a folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels/); may be repeated",
    )
    what.add_argument("--split", default="test", help="read qrels/SPLIT.tsv (default %(default)s)")
    what.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="measure only the queries with this metadata value",
    )
    what.add_argument("--limit", type=int, metavar="N", help="measure only the first N queries")
    what.add_argument("--variants", default=",".join(VARIANTS), help="some of %(default)s")
    what.add_argument("--systems", default=",".join(SYSTEMS), help="some of %(default)s")
    what.add_argument("--seed", type=int, default=0, help="of typos, requests and tests")
    what.add_argument("--gain", choices=GAINS, default=GAINS[0], help="the gain of a grade in nDCG")
    model = parser.add_argument_group("the rewriter")
    model.add_argument("--engine", default=DEFAULT_ENGINE, help="the engine (default %(default)s)")
    model.add_argument("--model", help="a T5's folder or hub id; default: the bundled model")
    model.add_argument("--words", metavar="FILE", help="a text file of correctly spelled words")
    model.add_argument(
        "--budget-ms",
        type=milliseconds,
        metavar="MS",
        help="rewrite with the middleware's worker and this budget; default: without a time limit",
    )
    search = parser.add_argument_group("the search")
    search.add_argument("--stem", action="store_true", help="embedded BM25: English stemming")
    search.add_argument("--k1", type=float, default=0.9, help="embedded BM25 (%(default)s)")
    search.add_argument("--b", type=float, default=0.4, help="embedded BM25 (%(default)s)")
    search.add_argument("--upstream", metavar="URL", help="a search API; {query} in it is replaced")
    search.add_argument("--dialect", choices=DIALECTS, default="plain", help="of the upstream")
    search.add_argument("--body", metavar="JSON", help="a POST body with {query} in it")
    search.add_argument("--ids", metavar="PATH", help="path to the ids in an answer: hits.*.id")
    search.add_argument(
        "--header", action="append", default=[], metavar="NAME: VALUE", help="sent to the upstream"
    )
    out = parser.add_argument_group("results")
    out.add_argument("--json", type=Path, metavar="FILE", help="all results; also for --compare")
    out.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    out.add_argument("--runs", type=Path, metavar="DIR", help="write TREC run files")
    out.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("BEFORE", "AFTER"),
        help="compare two --json files, with significance tests",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status: 0, or 1 after an error message on stderr."""
    try:
        if args.compare:
            before, after = map(read_record, args.compare)
            changes = compare(before, after)
            console().print(changes_table(changes), summary(changes), sep="\n")
        else:
            _evaluate(args)
    except QueryliftError as error:
        print_message(str(error), "red")
        return 1
    return 0


def _evaluate(args: argparse.Namespace) -> None:
    if not args.collection:
        raise ConfigurationError("name a folder with --collection DIR (or use --compare)")
    variants = _chosen("variants", args.variants, VARIANTS)
    systems = _chosen("systems", args.systems, SYSTEMS)
    if args.limit is not None and args.limit < 1:
        raise ConfigurationError(f"--limit ({args.limit}) must be at least 1")
    if args.seed < 0:
        raise ConfigurationError(f"--seed ({args.seed}) must be at least 0")
    _refuse_idle(args, systems)
    outputs = Outputs(args.json, args.html, args.runs)
    outputs.check()
    upstream = _upstream(args)
    where = [_pair("where", each, "=") for each in args.where]
    collections = [
        load_collection(
            folder,
            split=args.split,
            where=where,
            limit=args.limit,
            documents=upstream is None,
            warn=warn,
        )
        for folder in args.collection
    ]
    if len({collection.name for collection in collections}) < len(collections):
        raise ConfigurationError("two collections have folders of the same name")
    cells: list[Cell] = []
    with progress_bar() as progress, _systems(args, systems) as (decides, engine):
        for collection in collections:
            cells += experiment(
                collection,
                upstream or _bm25(args, collection),
                decides,
                variants,
                seed=args.seed,
                gain=args.gain,
                progress=progress,
            )
    if upstream is not None:
        _check_ids(collections, cells)
    settings = _settings(args, engine)
    print_report(cells, console())
    outputs.write(cells, settings)


def _refuse_idle(args: argparse.Namespace, systems: Sequence[str]) -> None:
    """Raise ``ConfigurationError`` for an option that does nothing beside the others."""
    uses_model = not set(ENGINE_SYSTEMS).isdisjoint(systems)
    for names, is_idle, why in (
        (("dialect", "body", "ids", "header"), not args.upstream, "there is no --upstream"),
        (("stem", "k1", "b"), args.upstream, "--upstream searches, and not the embedded BM25"),
        (
            ("engine", "model", "words", "budget_ms"),
            not uses_model,
            "none of the --systems uses a model",
        ),
    ):
        for name in names if is_idle else ():
            if getattr(args, name) != args.parser.get_default(name):
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} does nothing here: {why}")


def _chosen(option: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"--{option}: {name!r} is none of {', '.join(known)}")
    if not names:
        raise ConfigurationError(f"--{option}: name at least one of {', '.join(known)}")
    return list(dict.fromkeys(names))


def _pair(option: str, text: str, separator: str) -> tuple[str, str]:
    key, sign, value = text.partition(separator)
    if not sign or not key.strip():
        # A header is not shown: it may be a key.
        shown = "" if option == "header" else f" {text!r}"
        raise ConfigurationError(f"--{option}{shown} is not of the form NAME{separator}VALUE")
    return key.strip(), value.strip()


def _upstream(args: argparse.Namespace) -> SearchClient | None:
    if not args.upstream:
        return None
    headers = [_pair("header", each, ":") for each in args.header]
    return SearchClient(
        args.upstream, dialect=args.dialect, body=args.body, ids=args.ids, headers=headers
    )


def _check_ids(collections: Sequence[Collection], cells: Sequence[Cell]) -> None:
    for collection in collections:
        hit_lists = (c.hits.values() for c in cells if c.collection == collection.name)
        found = (document for hits in chain.from_iterable(hit_lists) for document, _ in hits)
        judged = set(chain.from_iterable(collection.qrels.values()))
        if warning := unjudged(found, judged, collection.name):
            warn(warning)


def _bm25(args: argparse.Namespace, collection: Collection) -> Bm25:
    bm25 = Bm25(read_documents(collection.folder), k1=args.k1, b=args.b, stem=args.stem)
    judged = list(dict.fromkeys(chain.from_iterable(collection.qrels.values())))
    file = str(collection.folder / "corpus.jsonl")
    if warning := missing_ids(judged, bm25.ids, what="documents", file=file):
        warn(warning)
    return bm25


@contextmanager
def _systems(
    args: argparse.Namespace, names: Sequence[str]
) -> Iterator[tuple[Mapping[str, Decide], Engine | None]]:
    """Yield the chosen systems and ``original``, and the engine if one is needed."""
    chosen = dict(baselines({ORIGINAL, *names}))
    modes = [Mode.parse(name) for name in ENGINE_SYSTEMS if name in names]
    if not modes:
        yield chosen, None
        return
    options = {"words": args.words} if args.words else {}
    engine = load_engine(args.engine, args.model, **options)
    if args.budget_ms is None:
        pipeline = Pipeline(engine)
        pipeline.load()
        with_engine: dict[str, Decide] = {
            mode.value: partial(pipeline.decide, mode=mode) for mode in modes
        }
        yield chosen | with_engine, engine
        return
    from ...runtime.limits import Limits
    from ...runtime.reformulator import Reformulator

    limits = Limits(late_fill=False)
    with Reformulator(engine, budget=args.budget_ms / 1_000, limits=limits) as reformulator:
        reformulate = partial(reformulator.reformulate_sync, cached=False, stored=False)
        yield chosen | {mode.value: partial(reformulate, mode=mode) for mode in modes}, engine


def _settings(args: argparse.Namespace, engine: Engine | None) -> dict[str, Any]:
    """Return the settings that the figures depend on."""
    embedded = {"k1": args.k1, "b": args.b, "stem": args.stem}
    return {
        "engine": None if engine is None else f"{engine.name} {engine.revision}",
        "seed": args.seed,
        "gain": args.gain,
        "split": args.split,
        **({"upstream": location(args.upstream)} if args.upstream else embedded),
        **({} if args.budget_ms is None else {"budget_ms": args.budget_ms}),
    }
