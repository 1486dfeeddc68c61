"""Feedback pairs: judged claims without the words whose removal makes a search find more.

Query reduction by relevance feedback (Kumaran and Carvalho 2009,
https://doi.org/10.1145/1571941.1572038), greedy, one word at a time. Only what acceptance
would send is kept: a model must not learn to leave out what a rewrite may not lose.
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

__all__ = ["FOLDER", "feedback_pairs", "for_validation", "reduced"]

FOLDER = "collections/scifact"


def for_validation(text: str) -> bool:
    """Tell whether a claim is kept for the validation score: one in six, by its checksum."""
    return zlib.crc32(text.encode()) % 6 == 0


def reduced(text: str, gain: Callable[[str], float], may: Callable[[str], bool]) -> str:
    """Take words out of a text, each time the one that raises ``gain`` most, while any does."""
    best = gain(text)
    while True:
        tokens = text.split(" ")
        shorter = (" ".join([*tokens[:at], *tokens[at + 1 :]]) for at in range(len(tokens)))
        found = max(((gain(each), each) for each in shorter if each and may(each)), default=None)
        if found is None or found[0] <= best:
            return text
        best, text = found


def feedback_pairs(root: Path) -> list[tuple[str, str]]:
    """Return SciFact's train claims (but those for validation) that find more when reduced.

    The gain is nDCG@10 under BM25; takes about half a minute.
    """
    collection = load_collection(root / FOLDER, split="train")
    bm25, acceptance = Bm25(read_documents(collection.folder)), Acceptance()
    pairs: list[tuple[str, str]] = []
    for query in collection.queries:
        if for_validation(query.text):
            continue
        claim = query.text.rstrip(" .")
        judged = {query.id: collection.qrels[query.id]}

        def gain(
            text: str, key: str = query.id, judged: dict[str, dict[str, int]] = judged
        ) -> float:
            return measured({key: bm25.search(text)}, judged, gain="exponential")[key][NDCG]

        def may(text: str, claim: str = claim) -> bool:
            return acceptance.judge(claim, text)[0] == text

        start = keywords(claim)
        target = reduced(start, gain, may)
        if target != start:
            pairs.append((claim, target))
    return pairs
