"""Spans in JSON: what is found, what is passed over, what is refused."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError
from middleware.dialects.jsonspans import (
    MAX_DEPTH,
    MISSING,
    JsonValue,
    MalformedError,
    Path,
    encode_json,
    find,
    parse_pointer,
    read,
)

from .requests import QUICK

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def everything(_: Path) -> bool:
    """Enter all."""
    return True


def texts(data: bytes, *path: str) -> list[str]:
    """Return the strings at a path."""
    return [found.text or "" for found in find(data, lambda p: p == path, everything)]


@QUICK
@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.booleans())
def test_every_value_is_within_its_bounds(document: object, escaped: bool) -> None:
    """The bytes of each span are the JSON of its value."""
    data = json.dumps(document, ensure_ascii=escaped, indent=1).encode()

    def check(value: JsonValue, expected: object) -> None:
        assert json.loads(data[value.start : value.stop]) == expected
        if isinstance(expected, dict):
            assert [key for key, _ in value.members] == list(expected)
            for key, member in value.named():
                check(member, expected[key])
        elif isinstance(expected, list):
            # Arrays of numbers alone are passed over, and come without their items.
            for item, inner in zip(value.items, expected, strict=False):
                check(item, inner)
        else:
            # Whole numbers are read as floats, since a long one takes quadratic time otherwise.
            assert value.value == (float(expected) if type(expected) is int else expected)

    check(read(data, everything), document)


@QUICK
@given(JSON, st.text(max_size=10))
def test_encoded_strings_are_read_back(document: object, text: str) -> None:
    """Any text is found in any document."""
    data = b'{"x":%s, "q" : %s }' % (json.dumps(document).encode(), encode_json(text))
    assert texts(data, "q") == [text]


@QUICK
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but the one error comes out."""
    for wrapped in (data, b"{" + data, b'{"q":' + data + b"}"):
        assert isinstance(find(wrapped, everything, everything), list | tuple)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b'"q"',
        b"{",
        b'{"q":"a"',
        b'{"q":"a"}}',
        b'{"q":"a"} x',
        b'{"q":"a",}',
        b'{"q" "a"}',
        b'{q:"a"}',
        b"{'q':'a'}",
        b'{"q":"a" "b":1}',
        b'[{"q":"a"},]',
        b'[{"q":"a"} {}]',
        b'\xef\xbb\xbf{"q":"a"}',
        b'{"q":"\xe9"}',
        b'{"x":"\xff","q":"a"}',
        b'{"q":"a","x":NaN}',
        b'{"q":"a","x":[1,-Infinity]}',
        b'{"q":"a","x":01}',
        b'{"q":"a\nb"}',
        b'{"q":"a\\x"}',
        '{"q":"a"}'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Nothing is found in it, whatever it holds before the fault."""
    assert not find(data, everything, everything)
    with pytest.raises(MalformedError):
        read(data, everything)


def test_odd_but_right_documents_are_read() -> None:
    """Big integers, float spellings, white space, escapes and doubled keys elsewhere."""
    data = (
        b' \r\n{ "id" : ' + b"9" * 100_000 + b' , "f":[1.0, 1.00,-0e+5],"d":1,"d":[2],'
        b'"e":{"\\u0071":"no","x":1,"x":2} ,\t"q"\n:\t"caf\xc3\xa9 \\u00e9\\ud83d\\ude00\\/" }\n '
    )
    assert texts(data, "q") == ["café é😀/"]
    [found] = find(data, lambda p: p == ("q",), everything)
    assert data[found.start : found.stop] == b'"caf\xc3\xa9 \\u00e9\\ud83d\\ude00\\/"'


@pytest.mark.parametrize(
    "data",
    [
        b'{"q":"a","q":"b"}',
        b'{"q":"a","\\u0071":1}',
        b'{"q":1,"q":"b"}',
        b'{"a":{"q":"x"},"a":1}',
        b'{"a":[{"q":"x","q":"x"}]}',
    ],
)
def test_a_doubled_key_on_the_way_is_refused(data: bytes) -> None:
    """Parsers differ in which one counts."""
    assert not find(data, lambda p: p[-1:] == ("q",), everything)


def test_get_and_named_refuse_doubled_keys_only_when_asked() -> None:
    """A doubled key that nobody asks for is no fault."""
    value = read(b'{"a":1,"a":2,"b":"x"}', everything)
    assert value.get("b").text == "x"
    assert value.get("c") is MISSING
    assert MISSING.get("a").get("b").value is None
    with pytest.raises(MalformedError):
        value.get("a")
    with pytest.raises(MalformedError):
        list(value.named())


def test_what_is_not_entered_is_passed_over() -> None:
    """It has a span and nothing in it, but is checked to be JSON."""
    value = read(b'{"a":{"b":"x"},"c":[{}]}', lambda path: not path)
    assert value.get("a") == JsonValue(5, 14, ...)
    assert value.get("c").items == ()
    with pytest.raises(MalformedError):
        read(b'{"a":{"b":x}}', lambda path: not path)


def test_depth_is_bounded() -> None:
    """As deep as the limit is read, deeper is not."""
    for depth, found in ((MAX_DEPTH, 1), (MAX_DEPTH + 1, 0)):
        data = b"[" * depth + b'"x"' + b"]" * depth
        assert len(find(data, lambda p: True, everything)) == found


def test_strings_in_arrays_are_found_unless_it_is_numbers_alone() -> None:
    """A vector is passed over, and a mixed array is not taken for one."""
    assert texts(b'{"a":[1, 2.5e-3,-1],"b":[1,"x"]}', "b", "1") == ["x"]
    assert read(b"[1, 2]", everything).items == ()


def test_large_vectors_are_passed_over_fast() -> None:
    """A body with 12 vectors of 1,536 numbers takes well below a second."""
    vector = ",".join(["-0.0123456789"] * 1536)
    data = ('{"v":[' + ",".join([f"[{vector}]"] * 12) + '],"q":"x"}').encode()
    started = time.perf_counter()
    assert texts(data, "q") == ["x"]
    assert time.perf_counter() - started < 1.0


def test_lone_surrogates_are_found_and_never_written() -> None:
    """JSON can escape them, but they have no bytes in UTF-8."""
    assert texts(b'{"q":"\\ud83d"}', "q") == ["\ud83d"]
    assert encode_json("a\ud83d") == b'"a?"'


def test_pointers() -> None:
    """RFC 6901, its escapes, and what is none."""
    assert parse_pointer("/a~1b/~0/0") == ("a/b", "~", "0")
    assert parse_pointer("/") == ("",)
    for wrong in ("", "a", "a/b", "/~", "/~2"):
        with pytest.raises(ConfigurationError):
            parse_pointer(wrong)
