"""A small collection on disk, and an engine that says what the test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from middleware import Answer

Json = Mapping[str, object]

DOCUMENTS = (
    {"_id": "d1", "title": "Red running shoes", "text": "light shoes for the road"},
    {"_id": "d2", "title": "Blue suede shoes", "text": "not for running"},
    {"_id": "d3", "title": "Garden hose", "text": "20 m, green, with brass couplings"},
    {"_id": "d4", "title": "Espresso machine", "text": "15 bar pump and milk frother"},
    {"_id": "d5", "title": "", "text": "waterproof jacket with hood"},
)
QUERIES = (
    {"_id": "q1", "text": "running shoes", "metadata": {"set": "shop"}},
    {"_id": "q2", "text": "garden hose 20 m", "metadata": {"set": "shop"}},
    {"_id": "q3", "text": "espresso machine with frother", "metadata": {"set": "other"}},
    {"_id": "unjudged", "text": "nothing known of this"},
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t3\nq1\td2\t1\nq2\td3\t2\nq3\td4\t1\nq3\td5\t0\n"


def write_collection(
    folder: Path,
    documents: Sequence[Json] = DOCUMENTS,
    queries: Sequence[Json] = QUERIES,
    qrels: str = QRELS,
) -> Path:
    """Write a folder in BEIR layout."""
    (folder / "qrels").mkdir(parents=True)
    for name, records in (("corpus", documents), ("queries", queries)):
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return folder


class Rewriter:
    """An engine that is a function of the text, and counts how often it ran."""

    name = "rewriter"
    revision = "1"

    def __init__(self, rewrite: Callable[[str], Answer]) -> None:
        self._rewrite = rewrite
        self.calls = 0

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> list[Answer]:
        """Return what the function makes of each text."""
        self.calls += len(texts)
        return [self._rewrite(text) for text in texts]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Write the small collection and return its folder."""
    return write_collection(tmp_path / "shop")
