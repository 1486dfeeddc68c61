"""Run every system on every variant of a collection's queries, and measure the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...core.outcome import Outcome
from ...core.reformulation import Reformulation
from .collection import Collection
from .measures import MEASURES, NDCG, check_grades, measured
from .protected_audit import lost_terms
from .retrieval import DEPTH, Hits, Retriever, analyze
from .significance import Contrast, contrast
from .systems import ORIGINAL, Decide
from .variants import CLEAN, variant

Progress = Callable[[str, int, int], None]
"""Called with a variant, the number of decisions made, and the number of all decisions."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of one system for one variant of one query.

    ``clean`` is the query of the collection. ``baseline`` is the nDCG of the typed text without
    a rewrite. ``lost_terms`` are protected terms that the rewrite has lost.
    """

    id: str
    clean: str
    reformulation: Reformulation
    measures: Mapping[str, float]
    baseline: float
    lost_terms: Sequence[str] = ()

    @property
    def reworded(self) -> bool:
        """Whether the sent words differ from the typed ones, apart from punctuation."""
        return analyze(self.reformulation.original) != analyze(self.reformulation.query)

    @property
    def gain(self) -> float:
        """The nDCG minus that of the typed text."""
        return self.measures[NDCG] - self.baseline

    @property
    def ms(self) -> float:
        """The time of the decision, in milliseconds."""
        return self.reformulation.timings.total * 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """The results of one system for one variant of a collection.

    ``versus`` compares its nDCG with that of the typed texts. ``reasons`` has the share of each
    outcome or, where there is one, reason.
    """

    collection: str
    variant: str
    system: str
    queries: tuple[QueryResult, ...]
    hits: Mapping[str, Hits]
    versus: Contrast
    reasons: Mapping[str, float] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Return the mean of a measure over the queries."""
        return sum(query.measures[measure] for query in self.queries) / len(self.queries)

    @property
    def rewritten_share(self) -> float:
        """The share of queries that were rewritten."""
        return self.reasons.get(Outcome.REWRITTEN, 0.0)

    @property
    def reworded_share(self) -> float:
        """The share of queries for which other words were sent."""
        return sum(query.reworded for query in self.queries) / len(self.queries)

    @property
    def reasons_text(self) -> str:
        """The outcomes and reasons with their shares, largest first."""
        ordered = sorted(self.reasons.items(), key=lambda pair: -pair[1])
        return ", ".join(f"{name} {share:.1%}" for name, share in ordered)

    def figures(self) -> dict[str, str]:
        """Return the figures as texts, by column; from ``Δ`` on, compared with the typed text."""
        versus, is_original = self.versus, self.system == ORIGINAL
        return {
            **{measure: f"{self.mean(measure):.3f}" for measure in MEASURES},
            "Δ": "" if is_original else f"{versus.delta:+.3f}",
            "p": "" if is_original else f"{versus.p_value:.3f}",
            "won/lost/tied": "" if is_original else f"{versus.wins}/{versus.losses}/{versus.ties}",
            "rewritten": f"{self.rewritten_share:.0%}",
            "reworded": f"{self.reworded_share:.0%}",
            "altered": "" if is_original else str(sum(bool(q.lost_terms) for q in self.queries)),
            "p95 ms": f"{self.ms(0.95):.1f}",
        }

    def ms(self, share: float) -> float:
        """Return the quantile ``share`` of the decision times, in milliseconds."""
        times = sorted(query.ms for query in self.queries)
        return times[min(len(times) - 1, int(share * len(times)))]


def experiment(
    collection: Collection,
    retriever: Retriever,
    systems: Mapping[str, Decide],
    variants: Sequence[str],
    *,
    seed: int = 0,
    gain: str = "exponential",
    resamples: int = 9_999,
    progress: Progress = lambda label, done, total: None,
) -> list[Cell]:
    """Return a cell for each variant and system, grouped by variant.

    ``systems`` must contain ``original``, with which the others are compared. Each text is
    searched once. A hit with the query's own id is removed unless it is judged, as in BEIR: in
    collections whose queries are documents, it is the query itself.
    """
    check_grades(collection.qrels, gain)
    searched: dict[str, Hits] = {}
    total = len(collection.queries) * len(systems) * len(variants)
    done = 0
    cells = []
    for name in variants:
        typed = {q.id: variant(name, q.id, q.text, seed) for q in collection.queries}
        baseline: dict[str, float] = {}
        for system, decide in {ORIGINAL: systems[ORIGINAL], **systems}.items():
            decisions: dict[str, Reformulation] = {}
            hits: dict[str, Hits] = {}
            for query in collection.queries:
                decision = decisions[query.id] = decide(typed[query.id])
                if decision.query not in searched:
                    searched[decision.query] = retriever.search(decision.query)
                own = {query.id} - collection.qrels[query.id].keys()
                hits[query.id] = [h for h in searched[decision.query] if h[0] not in own][:DEPTH]
                done += 1
                progress(f"{collection.name} {name}", done, total)
            values = measured(hits, collection.qrels, gain=gain)
            if system == ORIGINAL:
                baseline = {key: value[NDCG] for key, value in values.items()}
            results = tuple(
                QueryResult(
                    query.id,
                    query.text,
                    decisions[query.id],
                    values[query.id],
                    baseline[query.id],
                    lost_terms(query.text, typed[query.id], decisions[query.id].query),
                )
                for query in collection.queries
            )
            after = [query.measures[NDCG] for query in results]
            before = [query.baseline for query in results]
            versus = contrast(after, before, resamples=resamples, seed=seed)
            cells.append(
                Cell(collection.name, name, system, results, hits, versus, _shares(results))
            )
    return cells


def _shares(results: Sequence[QueryResult]) -> dict[str, float]:
    """Return the share of each reason, or of the outcome where there is no reason."""
    counts = Counter(str(q.reformulation.reason or q.reformulation.outcome) for q in results)
    return {name: count / len(results) for name, count in sorted(counts.items())}


def recovered_shares(cells: Sequence[Cell]) -> list[tuple[str, str, float, float]]:
    """Return (variant, system, cost, share): how much of a variant's cost a system recovers.

    The cost is the nDCG@10 that the typed texts lose against the clean queries, summed over
    the collections with both. A variant without a cost is left out.
    """
    means = {(c.collection, c.variant, c.system): c.mean(NDCG) for c in cells}
    rows = []
    for name in dict.fromkeys(cell.variant for cell in cells if cell.variant != CLEAN):
        collections = [
            each
            for each in dict.fromkeys(cell.collection for cell in cells)
            if (each, CLEAN, ORIGINAL) in means and (each, name, ORIGINAL) in means
        ]
        cost = sum(means[c, CLEAN, ORIGINAL] - means[c, name, ORIGINAL] for c in collections)
        if cost <= 0:
            continue
        for system in dict.fromkeys(cell.system for cell in cells if cell.system != ORIGINAL):
            gain = sum(means[c, name, system] - means[c, name, ORIGINAL] for c in collections)
            rows.append((name, system, cost, gain / cost))
    return rows
