"""Feedback pairs: judged claims, and the same claims without words that harm the search.

This is greedy query reduction by relevance feedback, one word at a time (Kumaran and Carvalho
2009, https://doi.org/10.1145/1571941.1572038). Reductions that acceptance refuses are excluded,
so that the model does not learn to drop protected terms.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from ...policy.acceptance import Acceptance
from ..evaluation.collection import load_collection, read_documents
from ..evaluation.measures import NDCG, measured
from ..evaluation.retrieval import Bm25
from .reduction import keywords

FOLDER = "collections/scifact"


def is_validation_claim(text: str) -> bool:
    """Tell whether a claim is for the validation score: one in six, by its checksum."""
    return zlib.crc32(text.encode()) % 6 == 0


def reduced(text: str, gain: Callable[[str], float], allowed: Callable[[str], bool]) -> str:
    """Remove words from a text, always the one that raises ``gain`` most, until none does."""
    best = gain(text)
    while True:
        tokens = text.split(" ")
        shorter = (" ".join([*tokens[:at], *tokens[at + 1 :]]) for at in range(len(tokens)))
        found = max(
            ((gain(each), each) for each in shorter if each and allowed(each)), default=None
        )
        if found is None or found[0] <= best:
            return text
        best, text = found


def feedback_pairs(root: Path) -> list[tuple[str, str]]:
    """Return (claim, reduced claim) for SciFact's training claims that gain by a reduction.

    Claims for validation are excluded. The gain is nDCG@10 with BM25. Takes half a minute.
    """
    collection = load_collection(root / FOLDER, split="train")
    bm25, acceptance = Bm25(read_documents(collection.folder)), Acceptance()
    pairs: list[tuple[str, str]] = []
    for query in collection.queries:
        if is_validation_claim(query.text):
            continue
        claim = query.text.rstrip(" .")
        judged = {query.id: collection.qrels[query.id]}

        def gain(
            text: str, key: str = query.id, judged: dict[str, dict[str, int]] = judged
        ) -> float:
            return measured({key: bm25.search(text)}, judged, gain="exponential")[key][NDCG]

        def allowed(text: str, claim: str = claim) -> bool:
            return acceptance.judge(claim, text)[0] == text

        start = keywords(claim)
        target = reduced(start, gain, allowed)
        if target != start:
            pairs.append((claim, target))
    return pairs
