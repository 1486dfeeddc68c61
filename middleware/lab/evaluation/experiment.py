"""Runs every system over every variant of a collection's queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ...core.outcome import Outcome
from ...core.reformulation import Reformulation
from .collection import Collection
from .measures import NDCG, check_grades, measured
from .protected_audit import altered
from .retrieval import DEPTH, Hits, Retriever, analyze
from .significance import Contrast, contrast
from .systems import ORIGINAL, Decide
from .variants import CLEAN, variant

__all__ = ["Cell", "Judged", "experiment", "lost_and_won"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """One query in one variant through one system.

    ``clean`` is the query as the collection has it; ``baseline`` is the nDCG of the text as
    typed, without any system; ``altered`` are terms that should have been left alone.
    """

    id: str
    clean: str
    reformulation: Reformulation
    measures: Mapping[str, float]
    baseline: float
    altered: Sequence[str] = ()

    @property
    def reworded(self) -> bool:
        """Whether other words are sent than were typed, and not only other punctuation."""
        return analyze(self.reformulation.original) != analyze(self.reformulation.query)

    @property
    def gain(self) -> float:
        """What the system added to the typed text's nDCG."""
        return self.measures[NDCG] - self.baseline

    @property
    def ms(self) -> float:
        """What the decision took, in milliseconds."""
        return self.reformulation.timings.total * 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """A system over a variant of a collection; ``versus`` holds it against the typed texts."""

    collection: str
    variant: str
    system: str
    queries: tuple[Judged, ...]
    hits: Mapping[str, Hits]
    versus: Contrast
    reasons: Mapping[str, float] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Return a measure's mean over the queries."""
        return sum(query.measures[measure] for query in self.queries) / len(self.queries)

    @property
    def rewritten_share(self) -> float:
        """The share of queries that another text was sent for."""
        return self.reasons.get(Outcome.REWRITTEN, 0.0)

    @property
    def reworded_share(self) -> float:
        """The share of queries that other words were sent for."""
        return sum(query.reworded for query in self.queries) / len(self.queries)

    def ms(self, share: float) -> float:
        """Return the milliseconds within which a share of the decisions was made."""
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
    """Return a cell for each variant and system, variants in the outer order.

    ``systems`` has to hold ``original``, which the others are held against. A text that
    occurs again is searched once. ``progress`` is told the variant and counts of decisions.
    A document with a query's own id is left out of its hits unless it is judged: in collections
    whose queries are documents it is the query, as BEIR's own measuring has it.
    """
    check_grades(collection.qrels, gain)
    searched: dict[str, Hits] = {}
    total = len(collection.queries) * len(systems) * len(variants)
    done = 0
    cells = []
    for name in variants:
        typed = {q.id: variant(name, q.id, q.text, seed) for q in collection.queries}
        baseline: dict[str, float] = {}
        for system, decide in _original_first(systems):
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
            judged = tuple(
                Judged(
                    query.id,
                    query.text,
                    decisions[query.id],
                    values[query.id],
                    baseline[query.id],
                    altered(query.text, typed[query.id], decisions[query.id].query),
                )
                for query in collection.queries
            )
            after = [query.measures[NDCG] for query in judged]
            before = [query.baseline for query in judged]
            versus = contrast(after, before, resamples=resamples, seed=seed)
            cells.append(Cell(collection.name, name, system, judged, hits, versus, _shares(judged)))
    return cells


def _original_first(systems: Mapping[str, Decide]) -> list[tuple[str, Decide]]:
    rest = ((name, decide) for name, decide in systems.items() if name != ORIGINAL)
    return list(chain(((ORIGINAL, systems[ORIGINAL]),), rest))


def _shares(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the share of each outcome, a reason's word where there is one."""
    counts = Counter(str(q.reformulation.reason or q.reformulation.outcome) for q in judged)
    return {word: count / len(judged) for word, count in sorted(counts.items())}


def lost_and_won(cells: Sequence[Cell]) -> list[tuple[str, str, float, float]]:
    """Return variant, system, what the variant costs, and the share of it that is won back.

    Both are sums of nDCG@10 over the collections that have the clean queries too; a variant
    that costs nothing is left out.
    """
    means = {(c.collection, c.variant, c.system): c.mean(NDCG) for c in cells}
    rows = []
    for name in dict.fromkeys(cell.variant for cell in cells if cell.variant != CLEAN):
        places = [
            place
            for place in dict.fromkeys(cell.collection for cell in cells)
            if (place, CLEAN, ORIGINAL) in means and (place, name, ORIGINAL) in means
        ]
        cost = sum(means[p, CLEAN, ORIGINAL] - means[p, name, ORIGINAL] for p in places)
        if cost <= 0:
            continue
        for system in dict.fromkeys(cell.system for cell in cells if cell.system != ORIGINAL):
            won = sum(means[p, name, system] - means[p, name, ORIGINAL] for p in places)
            rows.append((name, system, cost, won / cost))
    return rows
