"""The contract that every dialect keeps, over generated and mutated requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from middleware import Dialect, Part, QuerySpan, Reason, SearchRequest
from middleware.dialects.base import apply_edits
from middleware.dialects.registry import dialect_names, load_dialect

from .requests import ADVERSARIAL, OPTIONS, QUICK, SAMPLES, WORDS, Sample, request
from .structure import outline

NAMES = sorted(SAMPLES)


def made(name: str) -> Dialect:
    """Make a dialect as the samples need it."""
    return load_dialect(name, **OPTIONS.get(name, {}))


def part_of(found: SearchRequest, span: QuerySpan) -> bytes:
    """Return the bytes that a span's span lies in."""
    return found.query_string if span.part is Part.QUERY_STRING else found.body or b""


def edited(found: SearchRequest, query_string: bytes, body: bytes) -> SearchRequest:
    """Return a request with other bytes."""
    return replace(found, query_string=query_string, body=body if found.body is not None else None)


def test_every_dialect_is_held_to_the_contract() -> None:
    """A dialect that is added has samples too."""
    assert set(dialect_names()) >= set(SAMPLES) >= {"plain", "elasticsearch"}


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    """What holds for all."""

    @QUICK
    @given(data=st.data())
    def test_the_texts_are_found(self, name: str, data: st.DataObject) -> None:
        """Each text of a sample has a span that nothing forbids to rewrite."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        spans = dialect.spans(sample.request)
        assert sorted(span.text for span in spans) == sorted(sample.texts)
        assert [span.skip for span in spans] == [None] * len(spans)
        if any(span.part is Part.BODY for span in spans):
            assert dialect.wants_body(replace(sample.request, body=None))

    @QUICK
    @given(data=st.data())
    def test_spans_are_in_bounds_and_do_not_overlap(self, name: str, data: st.DataObject) -> None:
        """Neither do the wider ones of expansions with another span's."""
        sample: Sample = data.draw(SAMPLES[name]())
        spans = made(name).spans(sample.request)
        for part in Part:
            for wide in (False, True):
                bounds = sorted(
                    (shown.start, shown.stop)
                    for span in spans
                    if span.part is part
                    for shown in [span.expanding(("x",)) if wide else span]
                )
                ends = [0, *(stop for _, stop in bounds)]
                assert all(end <= start for end, (start, _) in zip(ends, bounds, strict=False))
                assert all(start <= stop for start, stop in bounds)
        for span in spans:
            assert span.stop <= len(part_of(sample.request, span))

    @QUICK
    @given(data=st.data())
    def test_only_a_spans_bytes_change(self, name: str, data: st.DataObject) -> None:
        """Before and after each edited span, the bytes are those that came."""
        sample: Sample = data.draw(SAMPLES[name]())
        for span in made(name).spans(sample.request):
            after = apply_edits(sample.request, [(span, data.draw(ADVERSARIAL))])
            before = (sample.request.query_string, sample.request.body or b"")
            changed = 0 if span.part is Part.QUERY_STRING else 1
            assert after[1 - changed] == before[1 - changed]
            assert after[changed].startswith(before[changed][: span.start])
            tail = before[changed][span.stop :]
            assert after[changed].endswith(tail)

    @QUICK
    @given(data=st.data())
    def test_an_encoded_text_is_read_back(self, name: str, data: st.DataObject) -> None:
        """After an edit with words, the same spans are found, with the words in them."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        spans = dialect.spans(sample.request)
        edits = [(span, data.draw(WORDS)) for span in spans]
        again = dialect.spans(edited(sample.request, *apply_edits(sample.request, edits)))
        assert [span.text for span in again] == [text for _, text in edits]

    @QUICK
    @given(data=st.data())
    def test_no_text_changes_what_is_around_it(self, name: str, data: st.DataObject) -> None:
        """A request says the same before and after an edit with anything, but for the texts."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        spans = dialect.spans(sample.request)
        edits = [(span, data.draw(ADVERSARIAL)) for span in spans]
        after = edited(sample.request, *apply_edits(sample.request, edits))
        again = dialect.spans(after)
        assert [span.part for span in again] == [span.part for span in spans]
        old, new = (frozenset(span.text for span in found) for found in (spans, again))
        # A text that stands elsewhere too, by chance, would be marked there as well.
        assume(not any(len(text) < 2 or text.isdigit() for text in old | new))
        assert outline(after.query_string, after.body or b"", new) == outline(
            sample.request.query_string, sample.request.body or b"", old
        )

    @QUICK
    @given(data=st.data())
    def test_an_expanded_request_is_one_still(self, name: str, data: st.DataObject) -> None:
        """Whatever the added terms are, what is sent is a search that can be read."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        spans = [span for span in dialect.spans(sample.request) if span.expands]
        added = tuple(data.draw(st.lists(ADVERSARIAL, min_size=1, max_size=3)))
        edits = [(span.expanding(added), "unused") for span in spans]
        after = edited(sample.request, *apply_edits(sample.request, edits))
        assert len(dialect.spans(after)) >= len(spans)

    @QUICK
    @given(data=st.data())
    def test_never_raises(self, name: str, data: st.DataObject) -> None:
        """Mutated bytes give spans or none; those that there are can be edited."""
        sample: Sample = data.draw(SAMPLES[name]())
        query_string = data.draw(mutated(sample.request.query_string))
        body = data.draw(mutated(sample.request.body or b""))
        found = replace(sample.request, query_string=query_string, body=body)
        dialect = made(name)
        dialect.wants_body(found)
        spans = dialect.spans(found)
        edits = [(span, data.draw(ADVERSARIAL)) for span in spans]
        apply_edits(found, edits)
        assert apply_edits(found, []) == (query_string, body)

    @QUICK
    @given(body=st.binary(max_size=60), query_string=st.binary(max_size=60))
    def test_random_bytes_are_kept(self, name: str, body: bytes, query_string: bytes) -> None:
        """Nothing is decided on bytes that say nothing."""
        for path in ("/i/_msearch", "/multi-search", "/1/indexes/a/queries", "/solr/c/select"):
            for kind in ("application/json", "application/x-www-form-urlencoded", "\xff"):
                lines = ((b"content-type", kind.encode("latin-1")), (b"x", b"\xff"))
                made(name).spans(SearchRequest("POST", path, query_string, lines, body))

    @QUICK
    @given(data=st.data())
    def test_compressed_bodies_are_left_alone(self, name: str, data: st.DataObject) -> None:
        """What is compressed is not even asked for."""
        sample: Sample = data.draw(SAMPLES[name]())
        lines = (*sample.request.headers, (b"content-encoding", b"gzip"))
        found = replace(sample.request, headers=lines)
        assert not made(name).wants_body(found)
        assert all(span.part is Part.QUERY_STRING for span in made(name).spans(found))

    @QUICK
    @given(data=st.data())
    def test_signed_requests_are_left_alone(self, name: str, data: st.DataObject) -> None:
        """Every text of a request signed for AWS has the reason."""
        sample: Sample = data.draw(SAMPLES[name]())
        line = (b"authorization", b"AWS4-HMAC-SHA256 Credential=a/b, Signature=00")
        spans = made(name).spans(replace(sample.request, headers=(*sample.request.headers, line)))
        assert spans
        assert all(span.skip is Reason.SIGNED for span in spans)

    def test_deep_nesting_ends(self, name: str) -> None:
        """A body a million arrays deep is no search, and no fault."""
        for opened in (b"[", b'{"query":', b'{"bool":{"must":[', b'{"queries":['):
            found = made(name).spans(request("POST", "/i/_search", b"", opened * 100_000))
            assert list(found) == []


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a few of them cut, doubled or replaced."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        stop = draw(st.integers(at, min(len(data), at + 8)))
        odd = draw(st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b"%", b"\\", b"\n"]))
        data = data[:at] + odd + data[stop:]
    return data


@QUICK
@given(text=ADVERSARIAL)
def test_no_rewrite_begins_with_local_parameters(text: str) -> None:
    """Solr reads ``{!`` at a query's start as the choice of a parser."""
    found = request("GET", "/solr/c/select", b"q=red+shoes")
    [span] = made("solr").spans(found)
    after, _ = apply_edits(found, [(span, text)])
    [again] = made("solr").spans(replace(found, query_string=after))
    assert not again.text.lstrip().startswith("{!")


@QUICK
@given(data=st.data(), cut=st.integers(1, 5))
@pytest.mark.parametrize("name", [name for name in NAMES if name != "groonga"])
def test_half_a_document_has_no_spans(name: str, data: st.DataObject, cut: int) -> None:
    """JSON that ends early is left alone as a whole."""
    samples = SAMPLES[name]().filter(lambda s: (s.request.body or b"").rstrip().endswith(b"}"))
    sample: Sample = data.draw(samples)
    short = replace(sample.request, body=(sample.request.body or b"").rstrip()[:-cut])
    assert list(made(name).spans(replace(short, query_string=b""))) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plain"])
def test_other_methods_are_no_searches(name: str) -> None:
    """Only the plain dialect leaves methods to rules alone."""
    for path in ("/i/_search", "/indexes/m/search", "/1/indexes/p/query", "/d/select"):
        for method in ("PUT", "DELETE", "PATCH", "HEAD", "get"):
            found = request(method, path, b"q=red+shoes&query=red+shoes", b"{}")
            assert not made(name).spans(found)
            assert not made(name).wants_body(found)
