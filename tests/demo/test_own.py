"""A user's own documents: JSON lines, folders of files, and errors that say what and where."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.demo.documents import CorpusError
from middleware.demo.own import own_corpus
from middleware.demo.prose import documents_in_html, documents_in_prose


def _lines(path: Path, *entries: object) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_json_lines_become_documents(tmp_path: Path) -> None:
    """Ids, titles and texts are kept; a blank line is passed over; a title may be missing."""
    path = _lines(
        tmp_path / "corpus.jsonl",
        {"_id": "d1", "title": "Tea", "text": "How to brew. Slowly."},
        {"_id": 2, "text": "No title here. At all."},
    )
    path.write_text(path.read_text().replace("\n", "\n\n", 1))
    found = own_corpus(path).documents
    assert [(d.id, d.title, d.summary) for d in found] == [
        ("d1", "Tea", "How to brew."),
        ("2", "No title here.", "No title here."),
    ]
    assert [d.source for d in found] == ["corpus.jsonl:1", "corpus.jsonl:3"]


def test_a_folder_with_a_corpus_file_is_that_file(tmp_path: Path) -> None:
    """A BEIR folder is read from its ``corpus.jsonl`` and not from other files beside it."""
    _lines(tmp_path / "corpus.jsonl", {"_id": "d1", "text": "One."})
    (tmp_path / "readme.md").write_text("Not a document.")
    found = own_corpus(tmp_path)
    assert [d.id for d in found.documents] == ["d1"]
    assert found.name == tmp_path.name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"_id": "x", "text": ', r":2: not JSON: "),
        (b'["x"]', r":2: not an object but list"),
        (b'{"text": "x"}', r':2: "_id" is missing'),
        (b'{"_id": "x"}', r':2: "text" is missing'),
        (b'{"_id": null, "text": "x"}', r':2: "_id" must be text that is not empty'),
        (b'{"_id": "x", "text": 5}', r':2: "text" and "title" must be text'),
        (b'{"_id": "ok", "text": "x"}', r":2: _id 'ok' is on line 1 too"),
        (b'{"_id": "x", "text": "\xff"}', r":2: not UTF-8 at byte "),
        (b"[" * 100_000, r":2: not JSON: "),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    """The error of a bad line gives the file, the line's number and what is wrong with it."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"_id": "ok", "text": "fine"}\n' + line + b"\n")
    with pytest.raises(CorpusError, match=r"bad\.jsonl" + said):
        own_corpus(path)


def test_paths_that_are_no_collection_are_named(tmp_path: Path) -> None:
    """A missing path, another kind of file and an empty folder are each told apart."""
    with pytest.raises(CorpusError, match="absent: no such file or folder"):
        own_corpus(tmp_path / "absent")
    with pytest.raises(CorpusError, match="null: a corpus is a folder or a"):
        own_corpus(Path(os.devnull))
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(CorpusError, match=r"table\.csv: a corpus is a folder or a \.jsonl"):
        own_corpus(tmp_path / "table.csv")
    with pytest.raises(CorpusError, match=r"no documents in it .*\.md"):
        own_corpus(tmp_path)


def test_a_folder_of_files_is_read_at_any_depth(tmp_path: Path) -> None:
    """Each kind of file is read; hidden, empty and unreadable ones are left out, with a note."""
    (tmp_path / "notes").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.md").write_text("# Brewing tea\n\nWarm the pot.")
    (tmp_path / "notes" / "b.txt").write_text("Plain words.")
    (tmp_path / "notes" / "c.html").write_text("<title>Pots</title><p>Clay &amp; iron</p>")
    (tmp_path / "d.py").write_text('def pour():\n    """Pour it."""\n')
    (tmp_path / ".git" / "e.txt").write_text("Hidden.")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "f.png").write_bytes(b"\x89PNG")
    found = own_corpus(tmp_path)
    assert [(d.id, d.title) for d in found.documents] == [
        ("a.md", "Brewing tea"),
        ("d.pour", "d.pour"),
        ("notes/b.txt", "b"),
        ("notes/c.html", "Pots"),
    ]
    assert found.documents[3].text == "Clay & iron"
    assert found.notes == ("latin.txt: left out, not UTF-8 at byte 3",)


def test_a_limit_on_documents_is_told(tmp_path: Path) -> None:
    """Reading ends at the limit, and a note says that it did."""
    path = _lines(tmp_path / "x.jsonl", *({"_id": str(n), "text": "t"} for n in range(5)))
    found = own_corpus(path, document_limit=3)
    assert len(found.documents) == 3
    assert found.notes == ("x.jsonl: only the first 3 documents were read",)


def test_long_texts_are_cut_at_headings() -> None:
    """Sections of a long text are documents of their own, with their heading and line."""
    filler = "Words that fill the page. " * 60
    text = f"# Tea\n\nIntro.\n\n## Pots\n\n{filler}\n\nCups\n----\n\n{filler}\n"
    found = documents_in_prose(text, "tea.md", "tea")
    assert [(d.title, d.source) for d in found] == [
        ("Tea", "tea.md:1"),
        ("Pots (Tea)", "tea.md:5"),
        ("Cups (Tea)", "tea.md:9"),
    ]
    assert [d.id for d in found] == ["tea.md#1", "tea.md#2", "tea.md#3"]


def test_headings_inside_code_are_text() -> None:
    """A comment in a fenced block does not start a section; a ``~~~`` underline does."""
    filler = "Words that fill the page. " * 90
    fenced = documents_in_prose(f"# A\n\n```\n# not a heading\n```\n\n{filler}", "a.md", "a")
    assert {d.title for d in fenced} == {"A"}
    underlined = documents_in_prose(f"One\n~~~\n\n{filler}\n\nTwo\n~~~\n\nText.\n", "a.rst", "a")
    assert {d.title for d in underlined} == {"One", "Two (One)"}


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.just("\n"), max_size=6_000),
    st.integers(1, 4),
)
def test_cutting_loses_no_word(text: str, times: int) -> None:
    """Every word of a text without headings stands in one of its documents, within the limit."""
    letters = "".join(c if c.isalnum() or c.isspace() else "." for c in text) * times
    found = documents_in_prose(letters, "x.txt", "x")
    joined = "".join("".join(d.text.split()) for d in found)
    wanted = "".join(w for line in letters.splitlines() for w in line.split())
    if not any(set(line.strip()) == {"."} for line in letters.splitlines()):
        assert joined == wanted
    assert all(len(d.text) <= 2_200 for d in found)


def test_html_shows_only_what_people_see() -> None:
    """Scripts, styles and heads are no text; inline tags do not cut words; headings count."""
    markup = (
        "<html><head><title>Pots</title><style>p{}</style></head><body><script>alert(1)</script>"
        "<h1>Clay <em>pots</em></h1><p>un<b>brok</b>en</p><ul><li>one<li>two</ul>"
        "<svg><title>icon</title></svg></body></html>"
    )
    (found,) = documents_in_html(markup, "p.html", "p")
    assert found.title == "Clay pots"
    assert found.text == "Clay pots\n\nunbroken\n\none\n\ntwo"


@given(st.text("<>!/[]-?&;abp =\"'\n", max_size=80))
def test_any_markup_is_survived(markup: str) -> None:
    """No markup raises, however broken."""
    documents_in_html(markup, "p.html", "p")
