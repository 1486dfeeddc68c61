"""``querylift eval``: the command's options, and what runs them."""

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
from .collection import Collection, load_collection, read_documents
from .compare import compare, summary
from .console import console, progress_bar, tell, warn
from .experiment import Cell, experiment
from .judgments import unknown
from .measures import GAINS
from .outputs import Outputs
from .pipeline import Pipeline
from .record import read_record
from .retrieval import Bm25
from .systems import ENGINE_SYSTEMS, ORIGINAL, SYSTEMS, Decide, baselines
from .terminal import changes_table, print_report
from .search_api import DIALECTS, SearchApi, location, unjudged
from .variants import VARIANTS

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``querylift eval`` to a parser."""
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--collection",
        type=Path,
        action="append",
        metavar="DIR",
        help="a folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/; may be repeated",
    )
    what.add_argument("--split", default="test", help="which qrels/SPLIT.tsv (%(default)s)")
    what.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only the queries with this metadata; one without the key is left out",
    )
    what.add_argument("--limit", type=int, metavar="N", help="only the first N queries")
    what.add_argument("--variants", default=",".join(VARIANTS), help="of %(default)s")
    what.add_argument("--systems", default=",".join(SYSTEMS), help="of %(default)s")
    what.add_argument("--seed", type=int, default=0, help="of typos, requests and tests")
    what.add_argument(
        "--gain", choices=GAINS, default=GAINS[0], help="what a grade is worth to nDCG"
    )
    model = parser.add_argument_group("the rewriter")
    model.add_argument("--engine", default=DEFAULT_ENGINE, help="(%(default)s)")
    model.add_argument("--model", help="a T5's folder or hub id; else the bundled one")
    model.add_argument(
        "--words", metavar="FILE", help="a text file of words that are spelled right"
    )
    model.add_argument(
        "--budget",
        type=float,
        metavar="MS",
        help="ask as the middleware does, with its worker and this budget; without it the "
        "model is given all the time it takes",
    )
    search = parser.add_argument_group("the search")
    search.add_argument("--stem", action="store_true", help="embedded BM25 with English stemming")
    search.add_argument("--k1", type=float, default=0.9, help="of the embedded BM25 (%(default)s)")
    search.add_argument("--b", type=float, default=0.4, help="of the embedded BM25 (%(default)s)")
    search.add_argument("--upstream", metavar="URL", help="ask this search API; {query} in the URL")
    search.add_argument("--dialect", choices=DIALECTS, default="plain", help="of the upstream")
    search.add_argument("--body", metavar="JSON", help="a POST body for it, {query} in a text")
    search.add_argument("--ids", metavar="PATH", help="where its answers have ids: hits.*.id")
    search.add_argument(
        "--header", action="append", default=[], metavar="NAME: VALUE", help="sent to it"
    )
    out = parser.add_argument_group("results")
    out.add_argument("--json", type=Path, metavar="FILE", help="everything, for --compare too")
    out.add_argument("--html", type=Path, metavar="FILE", help="one page with plots")
    out.add_argument("--runs", type=Path, metavar="DIR", help="TREC run files")
    out.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("BEFORE", "AFTER"),
        help="what changed between two --json files, and whether it is significant",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status: 0, or 1 having said on stderr what is wrong."""
    try:
        if args.compare:
            before, after = map(read_record, args.compare)
            changes = compare(before, after)
            console().print(changes_table(changes), summary(changes), sep="\n")
        else:
            _evaluate(args)
    except QueryliftError as error:
        tell(str(error), "red")
        return 1
    return 0


def _evaluate(args: argparse.Namespace) -> None:
    if not args.collection:
        raise ConfigurationError("--collection DIR says what to measure on (or use --compare)")
    variants = _chosen("variants", args.variants, VARIANTS)
    systems = _chosen("systems", args.systems, SYSTEMS)
    if args.limit is not None and args.limit < 1:
        raise ConfigurationError(f"--limit ({args.limit}) must be at least 1")
    if args.seed < 0:
        raise ConfigurationError(f"--seed ({args.seed}) must be at least 0")
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


def _chosen(option: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"--{option}: {name!r} is none of {', '.join(known)}")
    if not names:
        raise ConfigurationError(f"--{option}: name at least one of {', '.join(known)}")
    return list(dict.fromkeys(names))


def _pair(option: str, text: str, between: str) -> tuple[str, str]:
    key, sign, value = text.partition(between)
    if not sign or not key.strip():
        # A header is not repeated: it may be a key.
        told = "" if option == "header" else f" {text!r}"
        raise ConfigurationError(f"--{option}{told} is not of the form NAME{between}VALUE")
    return key.strip(), value.strip()


def _upstream(args: argparse.Namespace) -> SearchApi | None:
    if not args.upstream:
        return None
    headers = [_pair("header", each, ":") for each in args.header]
    return SearchApi(
        args.upstream, dialect=args.dialect, body=args.body, ids=args.ids, headers=headers
    )


def _check_ids(collections: Sequence[Collection], cells: Sequence[Cell]) -> None:
    for collection in collections:
        mine = (cell.hits.values() for cell in cells if cell.collection == collection.name)
        found = (document for hits in chain.from_iterable(mine) for document, _ in hits)
        judged = set(chain.from_iterable(collection.qrels.values()))
        if warning := unjudged(found, judged, collection.name):
            warn(warning)


def _bm25(args: argparse.Namespace, collection: Collection) -> Bm25:
    bm25 = Bm25(read_documents(collection.folder), k1=args.k1, b=args.b, stem=args.stem)
    judged = list(dict.fromkeys(chain.from_iterable(collection.qrels.values())))
    file = str(collection.folder / "corpus.jsonl")
    if warning := unknown(judged, bm25.ids, what="documents", file=file):
        warn(warning)
    return bm25


@contextmanager
def _systems(
    args: argparse.Namespace, names: Sequence[str]
) -> Iterator[tuple[Mapping[str, Decide], Engine | None]]:
    """Give the systems that were asked for and ``original``, and the engine where one runs."""
    chosen = dict(baselines({ORIGINAL, *names}))
    spoken = [Mode.parse(name) for name in ENGINE_SYSTEMS if name in names]
    if not spoken:
        yield chosen, None
        return
    own = {"words": args.words} if args.words else {}
    engine = load_engine(args.engine, args.model, **own)
    if args.budget is None:
        pipeline = Pipeline(engine)
        pipeline.load()
        modes: dict[str, Decide] = {
            mode.value: partial(pipeline.decide, mode=mode) for mode in spoken
        }
        yield chosen | modes, engine
        return
    from ...runtime.reformulator import Reformulator

    with Reformulator(engine, budget=args.budget / 1_000, late_fill=False) as reformulator:
        ask = partial(reformulator.reformulate_sync, cached=False, stored=False)
        yield chosen | {mode.value: partial(ask, mode=mode) for mode in spoken}, engine


def _settings(args: argparse.Namespace, engine: Engine | None) -> dict[str, Any]:
    """Return what a reader has to know to make the same figures again."""
    embedded = {"k1": args.k1, "b": args.b, "stem": args.stem}
    return {
        "engine": None if engine is None else f"{engine.name} {engine.revision}",
        "seed": args.seed,
        "gain": args.gain,
        "split": args.split,
        **({"upstream": location(args.upstream)} if args.upstream else embedded),
        **({} if args.budget is None else {"budget_ms": args.budget}),
    }
