"""How good a result list is, by query; computed by ``ir-measures``."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ConfigurationError
from .collection import Qrels
from .extra import require
from .retrieval import Hits

__all__ = ["GAINS", "MEASURES", "NDCG", "check_grades", "measured"]

NDCG, MRR, RECALL = "ndcg@10", "mrr@10", "recall@100"
MEASURES = (NDCG, MRR, RECALL)
GAINS = ("exponential", "linear")
"""What a grade g is worth to nDCG: 2^g - 1 (Burges et al. 2005), or g as in trec_eval."""


_MOST = 15
"""The largest grade that 2^g - 1 is taken of: beyond, one document outweighs all others."""


def check_grades(qrels: Qrels, gain: str) -> None:
    """Raise ``ConfigurationError`` where grades are too large for the gain, or it is none."""
    if gain not in GAINS:
        raise ConfigurationError(f"gain {gain!r} is none of {', '.join(GAINS)}")
    largest = max((grade for judged in qrels.values() for grade in judged.values()), default=0)
    if gain == "exponential" and largest > _MOST:
        raise ConfigurationError(
            f"judgments: a grade of {largest} is too large for a gain of 2^grade - 1; "
            "measure with --gain linear"
        )


def measured(
    run: Mapping[str, Hits], qrels: Qrels, *, gain: str = "exponential"
) -> dict[str, dict[str, float]]:
    """Return each measure of each query in ``run``, by query id and measure.

    A query without hits measures 0. Grades of 1 and more are relevant to MRR and recall.
    """
    check_grades(qrels, gain)
    ir = require("ir_measures")
    names = {ir.nDCG @ 10: NDCG, ir.RR @ 10: MRR, ir.R @ 100: RECALL}
    judged = {
        query: {
            document: 2 ** max(grade, 0) - 1 if gain == "exponential" else max(grade, 0)
            for document, grade in qrels[query].items()
        }
        for query in run
    }
    found = {query: dict(hits) for query, hits in run.items() if hits}
    result = {query: dict.fromkeys(MEASURES, 0.0) for query in run}
    if found:
        for value in ir.iter_calc(list(names), judged, found):
            result[value.query_id][names[value.measure]] = float(value.value)
    return result
