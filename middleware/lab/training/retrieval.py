"""The retrieval score of validation: nDCG@10 of rewritten SciFact claims with BM25.

The claims are a part of SciFact's training claims that is never trained on; test claims are not
read. Typos and requests come from the generators of training.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.text import normalize
from ...policy.acceptance import Acceptance
from ..evaluation.collection import load_collection, read_documents
from ..evaluation.measures import NDCG, measured
from ..evaluation.retrieval import Bm25
from .feedback import FOLDER, is_validation_claim
from .pairs import PairSource
from .wrappers import wrap

Rewrite = Callable[[Sequence[str]], Sequence[str]]


class Retrieval:
    """Searches ``count`` claims, clean, misspelled and as requests, before and after rewriting.

    Concurrency: read-only once constructed.
    """

    def __init__(self, root: Path, source: PairSource, *, seed: int, count: int = 100) -> None:
        collection = load_collection(root / FOLDER, split="train")
        rng = random.Random(f"{seed}:retrieval")
        claims = [query for query in collection.queries if is_validation_claim(query.text)]
        queries = rng.sample(claims, min(count, len(claims)))
        self._qrels = {query.id: collection.qrels[query.id] for query in queries}
        self._bm25 = Bm25(read_documents(collection.folder))
        self._acceptance = Acceptance()
        self._source = source
        clean = {query.id: query.text.rstrip(" .") for query in queries}
        self._typed = {
            "clean": clean,
            "typo": {key: source.misspelled(text, rng, 1) for key, text in clean.items()},
            "request": {key: wrap(text, rng) for key, text in clean.items()},
        }
        self._before = {kind: self._ndcg(typed) for kind, typed in self._typed.items()}

    def score(self, rewrite: Rewrite) -> dict[str, float]:
        """Return nDCG@10 of each kind after rewriting, and the recovered share of each loss.

        ``rewrite`` gets texts with spelling hints, as from the engine. Where acceptance refuses
        a rewrite, the typed text is searched.
        """
        scores: dict[str, float] = {}
        for kind, typed in self._typed.items():
            rewrites = rewrite([self._source.hinted(normalize(text)) for text in typed.values()])
            sent = {
                key: self._acceptance.judge(normalize(text), normalize(answer))[0] or text
                for (key, text), answer in zip(typed.items(), rewrites, strict=True)
            }
            scores[kind] = self._ndcg(sent)
        lost = {kind: self._before["clean"] - self._before[kind] for kind in scores}
        recovered = {
            f"{kind}_won": (scores[kind] - self._before[kind]) / loss
            for kind, loss in lost.items()
            if loss > 0
        }
        return {key: round(value, 3) for key, value in {**scores, **recovered}.items()}

    def _ndcg(self, texts: dict[str, str]) -> float:
        hits = {key: self._bm25.search(text) for key, text in texts.items()}
        values = measured(hits, self._qrels, gain="exponential")
        return sum(value[NDCG] for value in values.values()) / len(texts)
