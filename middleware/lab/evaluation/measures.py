"""Compute nDCG@10, MRR@10 and recall@100 per query with ``ir-measures``."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ConfigurationError
from .extra import require
from .judgments import Qrels
from .retrieval import Hits

NDCG, MRR, RECALL = "ndcg@10", "mrr@10", "recall@100"
MEASURES = (NDCG, MRR, RECALL)
GAINS = ("exponential", "linear")
"""The gain of a grade g in nDCG: 2^g - 1 (Burges et al. 2005), or g as in trec_eval."""

_MAX_GRADE = 15
"""The largest grade for 2^g - 1; beyond it, one document outweighs all others."""


def check_grades(qrels: Qrels, gain: str) -> None:
    """Raise ``ConfigurationError`` for an unknown gain, or for grades too large for it."""
    if gain not in GAINS:
        raise ConfigurationError(f"gain {gain!r} is none of {', '.join(GAINS)}")
    largest = max((grade for judged in qrels.values() for grade in judged.values()), default=0)
    if gain == "exponential" and largest > _MAX_GRADE:
        raise ConfigurationError(
            f"judgments: a grade of {largest} is too large for a gain of 2^grade - 1; "
            "measure with --gain linear"
        )


def measured(
    run: Mapping[str, Hits], qrels: Qrels, *, gain: str = "exponential"
) -> dict[str, dict[str, float]]:
    """Return the value of each measure for each query in ``run``, by query id and measure.

    A query without hits has 0. MRR and recall count grades of 1 and more as relevant.
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
