"""Reading a folder in BEIR layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware import ConfigurationError
from middleware.lab.evaluation.collection import load_collection, read_documents

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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{oops\n', "line 2: not JSON"),
        ("queries.jsonl", '{"_id": "q1"}\n', "'text' must be there"),
        ("queries.jsonl", "[]\n", "not a JSON object"),
        (
            "queries.jsonl",
            '{"_id": "q1", "text": "x"}\n' * 2,
            "line 2: the _id 'q1' is in line 1",
        ),
        ("qrels/test.tsv", "query\tdoc\tscore\nq1\td1\tvery\n", "line 2: expected"),
        ("qrels/test.tsv", "q1\td1\tvery\nq2\td3\t1\n", "line 1: expected"),
        ("qrels/test.tsv", "q1 0 d1 1\n", "line 1: this looks like TREC's form"),
        ("qrels/test.tsv", "q1\t0\td1\t1\n", "line 1: this looks like TREC's form"),
        ("qrels/test.tsv", "q1\td1\t1\n\nq1\td1\t2\n", "line 3: 'd1' has grade 2"),
        ("qrels/test.tsv", "x1\td1\t1\nx2\td1\t1\n", "none of 2 judged queries is in"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "no query has a relevant document"),
    ],
)
def test_a_damaged_file_is_named(shop: Path, name: str, content: str, message: str) -> None:
    """What is wrong is said with file and line before anything is indexed."""
    (shop / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_collection(shop)


def test_what_is_missing_is_named_once_with_the_layout(shop: Path, tmp_path: Path) -> None:
    """A folder, both files of records, or a split; a split beside those that there are."""
    layout = "expected are corpus.jsonl, queries.jsonl, qrels/test.tsv"
    with pytest.raises(ConfigurationError) as told:
        load_collection(tmp_path / "nowhere")
    assert str(told.value).count("nowhere") == 1
    assert layout in str(told.value)
    with pytest.raises(ConfigurationError, match=r"no qrels/dev\.tsv; the splits there are test "):
        load_collection(shop, split="dev")
    (shop / "corpus.jsonl").unlink()
    with pytest.raises(ConfigurationError, match=f"no corpus.jsonl; {layout}"):
        load_collection(shop)
    assert load_collection(shop, documents=False).queries
    (shop / "queries.jsonl").unlink()
    with pytest.raises(ConfigurationError, match=r"no corpus\.jsonl and no queries\.jsonl"):
        load_collection(shop)


def test_text_that_is_not_utf8_is_told_with_its_line(shop: Path) -> None:
    """Blank lines count as lines."""
    (shop / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "x"}\n\n{"_id": "q\xe9"}\n')
    with pytest.raises(ConfigurationError, match="line 3: not UTF-8"):
        load_collection(shop)


def test_a_byte_order_mark_is_no_part_of_the_text(shop: Path) -> None:
    """Files that other systems' editors saved are read."""
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (shop / name).write_bytes(b"\xef\xbb\xbf" + (shop / name).read_bytes())
    assert len(load_collection(shop).queries) == 3
    assert len(list(read_documents(shop))) == 5


def test_a_document_that_is_there_twice_is_told(tmp_path: Path) -> None:
    """Which of the two a judgment means cannot be known."""
    folder = write_collection(tmp_path / "twice", documents=[{"_id": "d1", "text": "x"}] * 2)
    with pytest.raises(ConfigurationError, match=r"corpus\.jsonl, line 2: the _id 'd1' is in"):
        list(read_documents(folder))


def test_judgments_need_no_header(tmp_path: Path) -> None:
    """A first line that is a judgment is one; saying a thing twice contradicts nothing."""
    folder = write_collection(tmp_path / "bare", qrels="q1\td1\t1\nq1\td1\t1\nq2\td3\t1\n")
    assert load_collection(folder).qrels == {"q1": {"d1": 1}, "q2": {"d3": 1}}


def test_judged_queries_that_are_missing_are_counted(tmp_path: Path) -> None:
    """In one line, and the others are measured."""
    folder = write_collection(tmp_path / "some", qrels="q1\td1\t1\nx1\td1\t1\nx2\td3\t1\n")
    told: list[str] = []
    assert len(load_collection(folder, warn=told.append).queries) == 1
    assert told == [f"2 of 3 judged queries are not in {folder / 'queries.jsonl'}"]
