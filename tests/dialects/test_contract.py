"""The contract that every dialect keeps, over generated and mutated requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from middleware.core.outcome import Reason
from middleware.dialects.base import Dialect, Part, SearchRequest, Slot, apply_edits
from middleware.dialects.registry import default_paths, dialect_names, load_dialect

from .requests import ADVERSARIAL, OPTIONS, QUICK, SAMPLES, WORDS, Sample, request
from .structure import outline

NAMES = sorted(SAMPLES)


def made(name: str) -> Dialect:
    """Make a dialect as the samples need it."""
    return load_dialect(name, **OPTIONS.get(name, {}))


def part_of(found: SearchRequest, slot: Slot) -> bytes:
    """Return the bytes that a slot's span lies in."""
    return found.query_string if slot.part is Part.QUERY_STRING else found.body or b""


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
        """Each text of a sample has a slot that nothing forbids to rewrite."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        slots = dialect.slots(sample.request)
        assert sorted(slot.text for slot in slots) == sorted(sample.texts)
        assert [slot.skip for slot in slots] == [None] * len(slots)
        if any(slot.part is Part.BODY for slot in slots):
            assert dialect.wants_body(replace(sample.request, body=None))

    @QUICK
    @given(data=st.data())
    def test_spans_are_in_bounds_and_do_not_overlap(self, name: str, data: st.DataObject) -> None:
        """Neither do the wider ones of expansions with another slot's."""
        sample: Sample = data.draw(SAMPLES[name]())
        slots = made(name).slots(sample.request)
        for part in Part:
            for wide in (False, True):
                spans = sorted(
                    (shown.start, shown.stop)
                    for slot in slots
                    if slot.part is part
                    for shown in [slot.expanding(("x",)) if wide else slot]
                )
                ends = [0, *(stop for _, stop in spans)]
                assert all(end <= start for end, (start, _) in zip(ends, spans, strict=False))
                assert all(start <= stop for start, stop in spans)
        for slot in slots:
            assert slot.stop <= len(part_of(sample.request, slot))

    @QUICK
    @given(data=st.data())
    def test_only_a_slots_bytes_change(self, name: str, data: st.DataObject) -> None:
        """Before and after each edited slot, the bytes are those that came."""
        sample: Sample = data.draw(SAMPLES[name]())
        for slot in made(name).slots(sample.request):
            after = apply_edits(sample.request, [(slot, data.draw(ADVERSARIAL))])
            before = (sample.request.query_string, sample.request.body or b"")
            changed = 0 if slot.part is Part.QUERY_STRING else 1
            assert after[1 - changed] == before[1 - changed]
            assert after[changed].startswith(before[changed][: slot.start])
            tail = before[changed][slot.stop :]
            assert after[changed].endswith(tail)

    @QUICK
    @given(data=st.data())
    def test_a_spelled_text_is_read_back(self, name: str, data: st.DataObject) -> None:
        """After an edit with words, the same slots are found, with the words in them."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        slots = dialect.slots(sample.request)
        edits = [(slot, data.draw(WORDS)) for slot in slots]
        again = dialect.slots(edited(sample.request, *apply_edits(sample.request, edits)))
        assert [slot.text for slot in again] == [text for _, text in edits]

    @QUICK
    @given(data=st.data())
    def test_no_text_changes_what_is_around_it(self, name: str, data: st.DataObject) -> None:
        """A request says the same before and after an edit with anything, but for the texts."""
        sample: Sample = data.draw(SAMPLES[name]())
        dialect = made(name)
        slots = dialect.slots(sample.request)
        edits = [(slot, data.draw(ADVERSARIAL)) for slot in slots]
        after = edited(sample.request, *apply_edits(sample.request, edits))
        again = dialect.slots(after)
        assert [slot.part for slot in again] == [slot.part for slot in slots]
        old, new = (frozenset(slot.text for slot in found) for found in (slots, again))
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
        slots = [slot for slot in dialect.slots(sample.request) if slot.expands]
        added = tuple(data.draw(st.lists(ADVERSARIAL, min_size=1, max_size=3)))
        edits = [(slot.expanding(added), "unused") for slot in slots]
        after = edited(sample.request, *apply_edits(sample.request, edits))
        assert len(dialect.slots(after)) >= len(slots)

    @QUICK
    @given(data=st.data())
    def test_never_raises(self, name: str, data: st.DataObject) -> None:
        """Mutated bytes give slots or none; those that there are can be edited."""
        sample: Sample = data.draw(SAMPLES[name]())
        query_string = data.draw(mutated(sample.request.query_string))
        body = data.draw(mutated(sample.request.body or b""))
        found = replace(sample.request, query_string=query_string, body=body)
        dialect = made(name)
        dialect.wants_body(found)
        slots = dialect.slots(found)
        edits = [(slot, data.draw(ADVERSARIAL)) for slot in slots]
        apply_edits(found, edits)
        assert apply_edits(found, []) == (query_string, body)

    @QUICK
    @given(body=st.binary(max_size=60), query_string=st.binary(max_size=60))
    def test_random_bytes_are_kept(self, name: str, body: bytes, query_string: bytes) -> None:
        """Nothing is decided on bytes that say nothing."""
        for path in ("/i/_msearch", "/multi-search", "/1/indexes/a/queries", "/solr/c/select"):
            for kind in ("application/json", "application/x-www-form-urlencoded", "\xff"):
                lines = ((b"content-type", kind.encode("latin-1")), (b"x", b"\xff"))
                made(name).slots(SearchRequest("POST", path, query_string, lines, body))

    @QUICK
    @given(data=st.data())
    def test_compressed_bodies_are_left_alone(self, name: str, data: st.DataObject) -> None:
        """What is compressed is not even asked for."""
        sample: Sample = data.draw(SAMPLES[name]())
        lines = (*sample.request.headers, (b"content-encoding", b"gzip"))
        found = replace(sample.request, headers=lines)
        assert not made(name).wants_body(found)
        assert all(slot.part is Part.QUERY_STRING for slot in made(name).slots(found))

    @QUICK
    @given(data=st.data())
    def test_signed_requests_are_left_alone(self, name: str, data: st.DataObject) -> None:
        """Every text of a request signed for AWS has the reason."""
        sample: Sample = data.draw(SAMPLES[name]())
        line = (b"authorization", b"AWS4-HMAC-SHA256 Credential=a/b, Signature=00")
        slots = made(name).slots(replace(sample.request, headers=(*sample.request.headers, line)))
        assert slots
        assert all(slot.skip is Reason.SIGNED for slot in slots)

    def test_deep_nesting_ends(self, name: str) -> None:
        """A body a million arrays deep is no search, and no fault."""
        for opened in (b"[", b'{"query":', b'{"bool":{"must":[', b'{"queries":['):
            found = made(name).slots(request("POST", "/i/_search", b"", opened * 100_000))
            assert list(found) == []

    def test_its_paths_are_globs(self, name: str) -> None:
        """Default rules can be made of what it says."""
        assert all(path.startswith("/") for path in default_paths(made(name)))


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
    [slot] = made("solr").slots(found)
    after, _ = apply_edits(found, [(slot, text)])
    [again] = made("solr").slots(replace(found, query_string=after))
    assert not again.text.lstrip().startswith("{!")


@QUICK
@given(data=st.data(), cut=st.integers(1, 5))
@pytest.mark.parametrize("name", [name for name in NAMES if name != "groonga"])
def test_half_a_document_has_no_slots(name: str, data: st.DataObject, cut: int) -> None:
    """JSON that ends early is left alone as a whole."""
    samples = SAMPLES[name]().filter(lambda s: (s.request.body or b"").rstrip().endswith(b"}"))
    sample: Sample = data.draw(samples)
    short = replace(sample.request, body=(sample.request.body or b"").rstrip()[:-cut])
    assert list(made(name).slots(replace(short, query_string=b""))) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plain"])
def test_other_methods_are_no_searches(name: str) -> None:
    """Only the plain dialect leaves methods to rules alone."""
    for path in ("/i/_search", "/indexes/m/search", "/1/indexes/p/query", "/d/select"):
        for method in ("PUT", "DELETE", "PATCH", "HEAD", "get"):
            found = request(method, path, b"q=red+shoes&query=red+shoes", b"{}")
            assert not made(name).slots(found)
            assert not made(name).wants_body(found)
