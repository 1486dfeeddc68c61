"""Example queries come from the collection and are what they say they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from middleware.demo.documents import CorpusDocument
from middleware.demo.examples import derive_examples
from middleware.demo.index import SearchIndex

_VERBS = ("parse", "render", "measure", "collect", "compress", "translate", "validate", "schedule")
_THINGS = ("template", "archive", "certificate", "spreadsheet", "calendar", "histogram")


@pytest.fixture(scope="module")
def library() -> Iterator[tuple[list[CorpusDocument], SearchIndex]]:
    """A made-up library whose summaries are short sentences."""
    documents = [
        CorpusDocument(f"lib.{v}_{t}", f"lib.{v}.{t}", "function", text, text, f"lib/{v}.py:{n}")
        for n, (v, t) in enumerate((v, t) for v in _VERBS for t in _THINGS)
        for text in [f"{v.capitalize()} incoming {t} objects carefully, see lib.parse.archive."]
    ]
    with SearchIndex(documents) as index:
        yield documents, index


def test_each_kind_is_what_it_says(library: tuple[list[CorpusDocument], SearchIndex]) -> None:
    """One word of the misspelled query finds nothing, the rest does; names and phrases are such."""
    documents, index = library
    by_label = {e.label: e.query for e in derive_examples(documents, index)}
    assert list(by_label) == ["Misspelled", "Chatty", "Both", "Keywords", "A name", "A phrase"]
    misspelled = by_label["Misspelled"].split()
    assert [index.count(word) > 0 for word in misspelled].count(False) == 1
    assert all(index.count(word) for word in by_label["Keywords"].split())
    assert by_label["A name"] == "lib.parse.archive"
    assert re.fullmatch(r'"\w+ \w+"', by_label["A phrase"])
    assert len(by_label["Chatty"].split()) > len(by_label["Keywords"].split())


def test_words_are_the_collections_own(library: tuple[list[CorpusDocument], SearchIndex]) -> None:
    """Another collection gives other queries: none is written down anywhere."""
    documents, index = library
    here = derive_examples(documents, index)
    others = [
        CorpusDocument(str(n), f"t{n}", "text", text, text, f"x:{n}")
        for n, text in enumerate(
            f"{a} {b} weather reports monthly"
            for a in ("Compare", "Discuss", "Archive", "Publish")
            for b in ("northern", "southern", "coastal", "mountain")
        )
    ]
    with SearchIndex(others) as other_index:
        there = derive_examples(others, other_index)
    assert {e.query for e in here}.isdisjoint(e.query for e in there)
    assert {"Misspelled", "Chatty"} <= {e.label for e in there}


def test_the_same_collection_gives_the_same(
    library: tuple[list[CorpusDocument], SearchIndex],
) -> None:
    """Examples depend on the collection and the seed alone."""
    documents, index = library
    assert derive_examples(documents, index) == derive_examples(documents, index)
    assert derive_examples(documents, index, seed=8) != derive_examples(documents, index, seed=7)


def test_a_poor_collection_gives_none() -> None:
    """With nothing to draw from there are no examples, and no error."""
    lone = [CorpusDocument("a", "a", "text", "hm", "hm", "a:1")]
    with SearchIndex(lone) as index:
        assert derive_examples(lone, index) == ()
