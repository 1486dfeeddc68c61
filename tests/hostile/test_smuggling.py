"""Requests that two servers could read differently, on raw sockets, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, front, split, upstream

pytestmark = pytest.mark.anyio

_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def proxy(raw: RawUpstream) -> ReverseProxy:
    """Return the proxy with every path a search, so that bodies are read and looked into."""
    return ReverseProxy(
        raw.url, reformulator=Reformulator(ScriptedEngine()), rules=[SearchRule("/**")]
    )


def post(*lines: bytes, body: bytes = b"", target: bytes = b"/s?q=red+lamp") -> bytes:
    head = [b"POST " + target + b" HTTP/1.1", b"Host: front.test", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.fixture(params=["h11", BoundedProtocol], ids=str)
def http(request: pytest.FixtureRequest) -> Any:
    """uvicorn's default server, and that of ``serve``."""
    return request.param


async def sent(request: bytes, http: Any) -> tuple[int, RawUpstream]:
    """Send bytes, and return the first answer's status and what the upstream saw."""
    async with upstream() as raw, front(proxy(raw), http) as port:
        answer = await exchange(port, request)
        return (split(answer)[0] if answer else 0), raw


CHUNKED = b"5\r\nq=red\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"Content-Length: 5", b"Content-Length: 6", body=b"q=red" + _SMUGGLED),
        post(b"Content-Length: 5, 6", body=b"q=red" + _SMUGGLED),
        post(b"Content-Length: +5", body=b"q=red"),
        post(b"Content-Length: 0x5", body=b"q=red"),
        post(b"Content-Length: 5 5", body=b"q=red"),
        post(b"Content-Length: -1", body=b"q=red"),
        post(b"Content-Length: ", body=b"q=red"),
        post(b"Content-Length : 5", body=b"q=red"),
        post(b"Transfer-Encoding: xchunked", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: chunked, identity", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: identity", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
        post(b"Transfer-Encoding : chunked", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED + _SMUGGLED),
        post(b"Transfer-Encoding: chunked", body=b"0x5\r\nq=red\r\n0\r\n\r\n" + _SMUGGLED),
        post(b"Transfer-Encoding: chunked", body=b"-5\r\nq=red\r\n0\r\n\r\n" + _SMUGGLED),
        post(b"X: a\x00b", b"Content-Length: 0"),
        post(b"X: a\rContent-Length: 5", b"Content-Length: 0"),
        post(b"\x00X: a", b"Content-Length: 0"),
        post(b"X Y: a", b"Content-Length: 0"),
        post(b"Content-Length: 0", target=b"/s?q=a\x00b"),
        post(b"Content-Length: 0", target=b"/s?q=a b"),
        b"GET /s?q=a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /s?q=a HTTP/1.1\r\n\r\n",
        b"G\x00T /s?q=a HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=lambda request: repr(request[:75])[30:],
)
async def test_what_is_ambiguous_is_refused(request_bytes: bytes, http: Any) -> None:
    status, raw = await sent(request_bytes, http)
    assert 400 <= status < 600
    assert status not in (500, 502), "refused, and no failure on the way"
    assert raw.requests == []


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
        (b"Transfer-Encoding: chunked", b"Connection: content-length, transfer-encoding"),
        (b"Transfer-Encoding: cHuNkEd",),
    ],
)
async def test_both_framings_at_once_are_refused_or_made_one(
    lines: tuple[bytes, ...], http: Any
) -> None:
    """RFC 9112, 6.3: ``Transfer-Encoding`` wins, and the other must not be passed on."""
    status, raw = await sent(post(*lines, b"Connection: close", body=CHUNKED), http)
    if status == 200:
        (request,) = raw.requests
        lengths = request.values(b"content-length")
        codings = request.values(b"transfer-encoding")
        assert len(lengths) + len(codings) == 1
        assert b"q=red" in request.body
    else:
        assert 400 <= status < 500
        assert raw.requests == []


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE", b"SEARCH"])
async def test_a_request_inside_a_body_stays_a_body(method: bytes, http: Any) -> None:
    head = b"%b /s?q=red+lamp HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % method
    length = b"Content-Length: %d\r\n\r\n" % len(_SMUGGLED)
    status, raw = await sent(head + length + _SMUGGLED, http)
    assert status == 200
    assert [request.body for request in raw.requests] == [_SMUGGLED]


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.test/x?q=red+lamp",
        b"http://user:word@evil.test:81/x",
        b"//evil.test/x?q=red+lamp",
        b"/http://evil.test/x",
        b"/@evil.test/x",
        b"/\\evil.test\\x",
        b"/.evil.test/%0d%0aX-Injected:%201",
        b"/s?q=a%0d%0aX-Injected:%201%0d%0a%0d%0a",
        b"/s?q=a%00b",
    ],
)
async def test_no_target_reaches_another_host_or_adds_a_line(target: bytes, http: Any) -> None:
    request = b"GET %b HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n" % target
    async with upstream() as raw, front(proxy(raw), http) as port:
        status = split(await exchange(port, request))[0]
        authority = b"127.0.0.1:%d" % raw.port
        assert status in (200, 400, 404, 421)
        for seen in raw.requests:
            assert seen.values(b"host") == [authority]
            assert seen.values(b"x-injected") == []
            assert seen.target.startswith(b"/")


async def test_a_bare_connect_opens_no_tunnel(http: Any) -> None:
    head = b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n"
    status, raw = await sent(head, http)
    assert 400 <= status < 600
    assert raw.requests == []
