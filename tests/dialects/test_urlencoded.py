"""Values in query strings and forms, and the data encoded inside of them."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import Part, QuerySpan, Reason
from middleware.dialects.jsonspans import JsonValue, MalformedError, encode_json, read
from middleware.dialects.layers import json_layer, url_layer
from middleware.dialects.urlencoded import Params, decode_value, url_encoder, value_spans, values

from .requests import QUICK

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


def spans(data: bytes) -> list[QuerySpan]:
    """Return the spans of ``q``."""
    return value_spans(Part.QUERY_STRING, data, {"q"})


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"q=red+shoes", ["red shoes"]),
        (b"q=red%20shoes&x", ["red shoes"]),
        (b"fq=a&q=x&fq=b&fq=a&q=y", ["x", "y"]),
        (b"q", []),
        (b"q=", [""]),
        (b"=q&&q=a=b&", ["a=b"]),
        (b"%71=a", ["a"]),
        (b"a;q=b", []),
        (b"Q=a&xq=b&q[]=c", []),
        (b"q=caf%C3%A9", ["café"]),
        ("q=café".encode(), ["café"]),
        (b"\xff=1&q=a&%ff=2&%zz=3", ["a"]),
    ],
)
def test_values_are_found_by_their_decoded_name(data: bytes, found: list[str]) -> None:
    """Order, doubles and what is between stay."""
    assert [span.text for span in spans(data)] == found
    assert all(span.skip is None for span in spans(data))


@pytest.mark.parametrize("raw", [b"%E9", b"\xe9", b"%zz", b"100%", b"%", b"a%4", b"%C3"])
def test_a_value_that_is_no_text_has_the_reason(raw: bytes) -> None:
    """Not UTF-8, or an escape that servers read differently."""
    [span] = spans(b"q=" + raw + b"&x=1")
    assert (span.text, span.skip) == ("", Reason.UNENCODABLE)
    assert (span.start, span.stop) == (2, 2 + len(raw))


@QUICK
@given(st.lists(st.tuples(st.sampled_from("qrs"), TEXT), max_size=5), st.booleans())
def test_what_is_encoded_is_found(pairs: list[tuple[str, str]], plus: bool) -> None:
    """The same values as the standard library reads, where they stand."""
    encode = quote_plus if plus else quote
    data = "&".join(f"{name}={encode(text, safe='')}" for name, text in pairs).encode()
    read_back = [text for name, text in parse_qsl(data.decode(), True) if name == "q"]
    assert [span.text for span in spans(data)] == read_back
    assert [data[a:b] for _, a, b in values(data, {"q"})] == [
        encode(text, safe="").encode() for text in read_back
    ]


@QUICK
@given(TEXT, st.sampled_from([b"a", b"a+b", b"a%20b", b"a%20b+c", b""]))
def test_an_encoded_text_is_one_value_in_the_original_style(text: str, raw: bytes) -> None:
    """No byte of it ends the value, and it decodes to the text."""
    encoded = url_encoder(raw)(text)
    assert not set(encoded) & set(b"&=;# \n?/")
    assert decode_value(encoded) == text
    assert (b"+" in encoded) == (b"+" in raw and " " in text)


def test_params_refuse_a_doubled_name_only_when_looked_up() -> None:
    """Servers differ in which one counts."""
    params = Params(b"fq=a&fq=b&q=x&y=%E9&n")
    assert params.get("q") == "x"
    assert params.get("y") is None
    assert params.bounds("n") is None
    assert "fq" in params
    assert "n" not in params
    with pytest.raises(MalformedError):
        params.get("fq")


@QUICK
@given(TEXT, TEXT, TEXT, st.booleans())
def test_a_url_layer_leads_back_to_the_outer_bytes(
    before: str, text: str, after: str, plus: bool
) -> None:
    """The span of a text becomes the span of its outer bytes."""
    encode = quote_plus if plus else quote
    head, raw, tail = (encode(part, safe="").encode() for part in (before, text, after))
    layer = url_layer(b"x=" + head + raw + tail, 2, 2 + len(head + raw + tail))
    start = len(before.encode())
    stop = start + len(text.encode())
    assert layer.data[start:stop].decode() == text
    outer_span = layer.to_outer(
        QuerySpan(Part.BODY, start, stop, text, str.encode), Part.QUERY_STRING
    )
    assert (outer_span.start, outer_span.stop) == (2 + len(head), 2 + len(head + raw))
    assert decode_value(outer_span.encode(text)) == text


@QUICK
@given(TEXT, TEXT, TEXT, st.booleans())
def test_a_json_layer_leads_back_to_the_outer_bytes(
    before: str, text: str, after: str, escaped: bool
) -> None:
    """Escapes and surrogate pairs included."""
    parts = [encode_json(part)[1:-1] for part in (before, text, after)]
    if escaped:
        parts = ["".join(map(unit, part)).encode() for part in (before, text, after)]
    outer = b'{"p":"' + b"".join(parts) + b'"}'
    string = read(outer, lambda path: not path).get("p")
    layer = json_layer(outer, string)
    start = len(before.encode())
    stop = start + len(text.encode())
    assert layer.data == (before + text + after).encode()
    outer_span = layer.to_outer(QuerySpan(Part.BODY, start, stop, text, str.encode), Part.BODY)
    assert (outer_span.start, outer_span.stop) == (6 + len(parts[0]), 6 + len(parts[0] + parts[1]))
    assert b'"' + outer_span.encode(text) + b'"' == encode_json(text)


def unit(character: str) -> str:
    """Return a character as escapes of UTF-16 code units."""
    data = character.encode("utf-16-be")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))


def test_layers_refuse_what_is_no_text() -> None:
    """A lone surrogate, a broken escape."""
    outer = b'{"p":"a\\ud800"}'
    with pytest.raises(MalformedError):
        json_layer(outer, JsonValue(5, 14, "a\ud800"))
    with pytest.raises(MalformedError):
        url_layer(b"a%zz", 0, 4)
