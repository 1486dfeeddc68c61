"""Reading a folder in BEIR layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware.errors import ConfigurationError
from middleware.evaluation.collection import load_collection, read_documents

from .conftest import write_collection


def test_only_judged_queries_are_measured(shop: Path) -> None:
    """A query that nobody judged measures nothing."""
    collection = load_collection(shop)
    assert collection.name == "shop"
    assert [query.id for query in collection.queries] == ["q1", "q2", "q3"]
    assert collection.qrels["q1"] == {"d1": 3, "d2": 1}


def test_title_and_text_are_one_text(shop: Path) -> None:
    """An empty title leaves no space behind."""
    texts = {document.id: document.text for document in read_documents(shop)}
    assert texts["d1"] == "Red running shoes light shoes for the road"
    assert texts["d5"] == "waterproof jacket with hood"


def test_metadata_and_limit_choose_queries(shop: Path) -> None:
    """Filters look at the values as text; the limit counts what is left."""
    chosen = load_collection(shop, where=[("set", "shop")], limit=1)
    assert [query.id for query in chosen.queries] == ["q1"]
    with pytest.raises(ConfigurationError, match="set=none"):
        load_collection(shop, where=[("set", "none")])


def test_judgments_in_trec_form_are_read(tmp_path: Path) -> None:
    """Four columns and no header line are what trec_eval takes."""
    folder = write_collection(tmp_path / "trec", qrels="q1\t0\td1\t1\nq2\t0\td3\t1\n")
    assert load_collection(folder).qrels == {"q1": {"d1": 1}, "q2": {"d3": 1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{oops\n', "line 2: not JSON"),
        ("queries.jsonl", '{"_id": "q1"}\n', "'text' must be there"),
        ("queries.jsonl", "[]\n", "not a JSON object"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n' * 2, "twice"),
        ("qrels/test.tsv", "query\tdoc\tscore\nq1\td1\tvery\n", "line 2: expected"),
        ("qrels/test.tsv", "query\tdoc\tscore\n", "no query has a relevant document"),
    ],
)
def test_a_damaged_file_is_named(shop: Path, name: str, content: str, message: str) -> None:
    """What is wrong is said with file and line before anything is indexed."""
    (shop / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_collection(shop)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The path that was looked for stands in the message."""
    with pytest.raises(ConfigurationError, match=r"qrels.test\.tsv cannot be read"):
        load_collection(tmp_path / "nowhere")
