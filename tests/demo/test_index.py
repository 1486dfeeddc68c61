"""The full-text index: ranking, names, snippets, and text that is never syntax."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.demo.documents import CorpusDocument, clean, summary_of
from middleware.demo.index import SearchIndex, Segment
from middleware.demo.terms import extra_names, match_expression, name_parts


def _first(index: SearchIndex, query: str) -> str:
    return index.search(query).hits[0].title


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("json decoder", "json.decoder.JSONDecoder"),
        ("JSONDecoder", "json.decoder.JSONDecoder"),
        ("jsondecoder", "json.decoder.JSONDecoder"),
        ("serializing objects", "json.dumps"),
        ("os.path.join", "os.path.join"),
        ("join pathnames", "os.path.join"),
        ("c++", "distutils.CompileError"),
        ("menu cafe", "cafe.menu"),
        ("NAÏVE", "cafe.menu"),
        ("run a command AND wait", "subprocess.run"),
    ],
)
def test_people_find_what_they_mean(index: SearchIndex, query: str, title: str) -> None:
    """Stems, accents, case and parts of names lead to the document."""
    assert _first(index, query) == title


@pytest.mark.parametrize("query", ["", "   ", "++", '"*" ()', "\0", "😀", "-"])
def test_a_query_without_words_finds_nothing(index: SearchIndex, query: str) -> None:
    """Signs alone are no error and match no document."""
    assert index.search(query).total == 0
    assert index.count(query) == 0


@pytest.mark.parametrize(
    "query",
    ["title : json", "NEAR(a b)", '"json', "json*", "^json", "a AND NOT", "{names}: x", "x + y ("],
)
def test_query_language_is_plain_text(index: SearchIndex, query: str) -> None:
    """What would be FTS5 syntax is looked up as words."""
    index.search(query)


@given(st.text(max_size=300))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever is asked, the index answers, and never with more hits than matches."""
    found = _shared().search(text, size=3)
    assert len(found.hits) == min(3, found.total)


def _shared() -> SearchIndex:
    if not _SHARED:
        text = "plain words, 日本語, c++ and more"
        _SHARED.append(SearchIndex([CorpusDocument("a", "a.b", "text", text, text, "a:1")]))
    return _SHARED[0]


_SHARED: list[SearchIndex] = []


def test_snippets_mark_what_matched(index: SearchIndex) -> None:
    """A snippet is a run of segments whose text is the document's, the matches marked."""
    (hit, *_) = index.search("regular expressions").hits
    assert Segment("regular", True) in hit.snippet
    assert Segment("expression", True) in hit.snippet
    assert "".join(part.text for part in hit.snippet).startswith("Split the source string")


def test_marks_in_a_document_are_not_taken_for_matches() -> None:
    """Control characters in a text cannot forge a match mark, and markup stays plain text."""
    text = clean("evil \x02forged\x03 <script>alert(1)</script> word")
    with SearchIndex([CorpusDocument("a", "a", "text", text, text, "a:1")]) as index:
        (hit,) = index.search("word").hits
    assert [part.text for part in hit.snippet if part.match] == ["word"]
    assert "<script>" in "".join(part.text for part in hit.snippet)


def test_pages_fit_together(index: SearchIndex) -> None:
    """Pages of one search overlap nowhere and add up to the whole, best first."""
    whole = index.search("a the json string run", size=50)
    pages = [index.search("a the json string run", size=2, start=n) for n in (0, 2, 4, 6)]
    assert [h.id for page in pages for h in page.hits] == [h.id for h in whole.hits]
    scores = [h.score for h in whole.hits]
    assert scores == sorted(scores, reverse=True)


def test_many_threads_search_at_once(index: SearchIndex) -> None:
    """Searches from more threads than there are connections all answer alike."""
    answers: list[str] = []

    def ask() -> None:
        answers.extend(_first(index, "json decoder") for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == ["json.decoder.JSONDecoder"] * 240


def test_closing_removes_the_file(documents: tuple[CorpusDocument, ...]) -> None:
    """Nothing is left on disk after closing, and closing twice is no error."""
    index = SearchIndex(documents)
    folder = Path(index._folder.name)
    assert folder.exists()
    index.close()
    index.close()
    assert not folder.exists()


def test_names_are_taken_apart() -> None:
    """Dotted, underscored and camelCase names give their words; signed names get a spelling."""
    assert name_parts("http.server.HTTPServer2_port") == [
        *("http", "server", "http", "server", "2", "port"),
    ]
    assert extra_names("C++ and C# but not a+b or #heading") == "cplusplus csharp"
    assert extra_names("plain Words here") == ""


def test_a_name_is_a_phrase_and_its_parts() -> None:
    """A dotted name is looked for whole and in parts; words are joined by OR."""
    assert match_expression('os.path "x') == '"os.path" OR "os" OR "path" OR """x"'
    assert match_expression("don't") == '"don\'t"'
    assert match_expression(" ".join(f"w{n}" for n in range(500))).count(" OR ") == 63


def test_summaries_are_one_bounded_line() -> None:
    """A summary is the first sentence, on one line, and never long."""
    assert summary_of("First\nline. Second.\n\nMore.") == "First line."
    assert len(summary_of("word " * 200)) <= 202
