"""Header lines: what crosses the proxy, what stays on its own side, and how bodies are framed."""

from __future__ import annotations

from typing import Any

import pytest

from middleware import Forwarding, RequestRefusedError, UpstreamProtocolError
from middleware.upstream.headers import HOP_BY_HOP, RequestHeaders, add_framing, response_headers

Lines = list[tuple[bytes, bytes]]


def scope(lines: Lines, **more: Any) -> dict[str, Any]:
    """An ASGI scope as far as headers are concerned."""
    return {"type": "http", "http_version": "1.1", "scheme": "http", "headers": lines, **more}


def built(lines: Lines, scope_more: dict[str, Any] | None = None, **options: Any) -> Lines:
    """The upstream's header lines for a client's."""
    made, _, _ = RequestHeaders(b"up:1", Forwarding(**options)).build(
        scope(lines, **(scope_more or {}))
    )
    return made


def test_lines_are_kept_in_order_with_duplicates_and_raw_bytes() -> None:
    """End-to-end lines go on as they are, in order, non-ASCII bytes included."""
    lines = [(b"x-a", b"1"), (b"cookie", b"a=\xe9"), (b"x-b", b""), (b"x-a", b"2"), (b"x-a", b"1")]
    assert built(lines) == [(b"host", b"up:1"), *lines]


def test_nothing_is_invented() -> None:
    """A client without User-Agent, Accept and Accept-Encoding stays without them."""
    assert built([]) == [(b"host", b"up:1")]


def test_connection_lines_stay_here() -> None:
    """Hop-by-hop lines and whatever Connection lists are taken off the request."""
    lines = [(name, b"x") for name in sorted(HOP_BY_HOP - {b"transfer-encoding", b"connection"})]
    lines += [(b"connection", b"Keep-Alive, X-Mine"), (b"connection", b"x-other")]
    lines += [
        (b"x-mine", b"1"),
        (b"x-other", b"2"),
        (b"x-kept", b"3"),
        (b"expect", b"100-continue"),
    ]
    assert built(lines) == [(b"host", b"up:1"), (b"x-kept", b"3")]


def test_connection_cannot_take_off_what_frames_the_message() -> None:
    """A client that lists Host or Content-Length in Connection changes nothing."""
    lines = [
        (b"host", b"front"),
        (b"connection", b"host, content-length, content-type"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"3"),
    ]
    made, framing, length = RequestHeaders(b"up").build(scope(lines))
    assert made == [(b"host", b"up"), (b"content-type", b"text/plain")]
    assert (framing, length) == ("length", 3)


def test_upper_case_names_are_understood() -> None:
    """An embedding application that hands over names in upper case can't smuggle framing."""
    made, framing, _ = RequestHeaders(b"up").build(
        scope([(b"Transfer-Encoding", b"chunked"), (b"Host", b"evil"), (b"X-Y", b"1")])
    )
    assert made == [(b"host", b"up"), (b"x-y", b"1")]
    assert framing == "chunked"


@pytest.mark.parametrize(("preserve", "host"), [(False, b"up:1"), (True, b"front.test")])
def test_host(preserve: bool, host: bytes) -> None:
    """Host is the upstream's authority, or the client's on request."""
    assert built([(b"host", b"front.test")], preserve_host=preserve) == [(b"host", host)]


def test_two_hosts_are_refused_where_one_is_kept() -> None:
    """Which of two Host lines counts is for nobody to guess."""
    with pytest.raises(RequestRefusedError):
        built([(b"host", b"a"), (b"host", b"b")], preserve_host=True)


@pytest.mark.parametrize(
    ("lines", "framing", "length"),
    [
        ([], "none", 0),
        ([(b"content-length", b"0")], "length", 0),
        ([(b"content-length", b"12 ")], "length", 12),
        ([(b"transfer-encoding", b"chunked")], "chunked", 0),
        ([(b"transfer-encoding", b" Chunked")], "chunked", 0),
        ([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], "chunked", 0),
    ],
)
def test_framing(lines: Lines, framing: str, length: int) -> None:
    """A body goes on framed as it came; a length beside a transfer coding is void."""
    made, found, declared = RequestHeaders(b"up").build(scope(lines))
    assert (found, declared) == (framing, length)
    add_framing(made, found, declared)
    expected = {"none": [], "length": [b"content-length"], "chunked": [b"transfer-encoding"]}
    assert [name for name, _ in made[1:]] == expected[framing]


@pytest.mark.parametrize(
    "lines",
    [
        [(b"content-length", b"5"), (b"content-length", b"5")],
        [(b"content-length", b"5"), (b"content-length", b"6")],
        [(b"content-length", b"5, 5")],
        [(b"content-length", b"+5")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"1_0")],
        [(b"content-length", b"0x10")],
        [(b"content-length", b"")],
        [(b"content-length", b"9" * 30)],
        [(b"content-length", "٣".encode())],
    ],
)
def test_ambiguous_lengths_are_refused(lines: Lines) -> None:
    """Repeated, conflicting or malformed lengths are how requests are smuggled: 400."""
    with pytest.raises(RequestRefusedError) as caught:
        RequestHeaders(b"up").build(scope(lines))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"identity")],
    ],
)
def test_unknown_transfer_codings_are_refused(lines: Lines) -> None:
    """A coding that the proxy would strip without undoing it: 501."""
    with pytest.raises(RequestRefusedError) as caught:
        RequestHeaders(b"up").build(scope(lines))
    assert caught.value.status == 501


def test_forwarded_is_appended() -> None:
    """Each list gets this hop at its end, on one line, after what the client claimed."""
    made = built(
        [
            (b"host", b"front.test"),
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"x-forwarded-for", b"2.2.2.2"),
            (b"forwarded", b"for=1.1.1.1"),
            (b"x-kept", b"1"),
        ],
        {"client": ("::1", 5), "scheme": "https"},
        forwarded=True,
    )
    assert made == [
        (b"host", b"up:1"),
        (b"x-kept", b"1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2, ::1"),
        (b"x-forwarded-host", b"front.test"),
        (b"forwarded", b'for=1.1.1.1, for="[::1]";proto=https;host="front.test"'),
    ]


def test_forwarded_without_a_client_address() -> None:
    """A server on a Unix socket knows no client address: it is said to be unknown."""
    assert built([], {"client": None}, forwarded=True)[1:] == [
        (b"x-forwarded-proto", b"http"),
        (b"forwarded", b"for=unknown;proto=http"),
    ]


def test_forwarded_is_left_alone_by_default() -> None:
    """Without the option the client's own lines go on untouched, and none is added."""
    lines = [(b"x-forwarded-for", b"1.1.1.1"), (b"forwarded", b"for=x")]
    assert built(lines, {"client": ("9.9.9.9", 1)})[1:] == lines


def test_via_is_sent_only_when_named() -> None:
    """Via appears with a pseudonym, appended to the list, and not otherwise."""
    lines = [(b"via", b"1.0 first")]
    assert built(lines)[1:] == lines
    assert built(lines, via="ql")[1:] == [(b"via", b"1.0 first, 1.1 ql")]


@pytest.mark.parametrize(("version", "cookies"), [("1.1", [b"a=1", b"b=2"]), ("2", [b"a=1; b=2"])])
def test_split_cookies_of_http2_are_joined(version: str, cookies: list[bytes]) -> None:
    """HTTP/2 may split Cookie into lines; HTTP/1.1 must get one (RFC 9113, 8.2.3)."""
    made = built([(b"cookie", b"a=1"), (b"cookie", b"b=2")], {"http_version": version})
    assert [value for name, value in made if name == b"cookie"] == cookies


def test_response_lines_are_kept() -> None:
    """Response lines keep order, duplicates and bytes; names are lowered as ASGI wants."""
    raw = [
        (b"Set-Cookie", b"a=1"),
        (b"Content-Encoding", b"zstd"),
        (b"Set-Cookie", b"b=\xff"),
        (b"Content-Length", b"7"),
        (b"Server-Timing", b"db;dur=1"),
        (b"Proxy-Status", b"x"),
    ]
    lines, length = response_headers(raw, 404)
    assert lines == [(name.lower(), value) for name, value in raw]
    assert length == 7


def test_response_connection_lines_stay_upstream() -> None:
    """Hop-by-hop lines and whatever Connection lists are taken off the response."""
    raw = [(name.title(), b"chunked") for name in sorted(HOP_BY_HOP - {b"connection"})]
    raw += [(b"Connection", b"close, X-Secret, Content-Type"), (b"X-Secret", b"1")]
    raw += [(b"Content-Type", b"a/b")]
    assert response_headers(raw, 200) == ([(b"content-type", b"a/b")], None)


@pytest.mark.parametrize("status", [204, 304])
def test_bodyless_answers_lose_their_length(status: int) -> None:
    """Servers would count a length against the body that 204 and 304 don't have."""
    assert response_headers([(b"Content-Length", b"9"), (b"ETag", b"x")], status) == (
        [(b"etag", b"x")],
        None,
    )


def test_length_beside_a_coding_is_dropped() -> None:
    """Transfer-Encoding overrides Content-Length (RFC 9112, 6.3)."""
    raw = [(b"Content-Length", b"9"), (b"Transfer-Encoding", b"chunked")]
    assert response_headers(raw, 200) == ([], None)


@pytest.mark.parametrize(
    "raw",
    [
        [(b"Content-Length", b"x")],
        [(b"Content-Length", b"-1")],
        [(b"Content-Length", b"1"), (b"Content-Length", b"2")],
    ],
)
def test_malformed_response_length(raw: Lines) -> None:
    """An upstream whose length makes no sense is a protocol error, not a guess."""
    with pytest.raises(UpstreamProtocolError):
        response_headers(raw, 200)
