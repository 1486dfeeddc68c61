"""A request that offers another protocol: the offer is ignored, and its body goes on whole."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.heads import OFFER, OfferMask
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import exchange, front, in_segments, split, upstream

from .test_chunks import content

pytestmark = pytest.mark.anyio

OFFERS: dict[str, list[bytes]] = {
    "h2c": [
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    ],
    "h2c of curl": [
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        b"User-Agent: curl/7.88.1",
    ],
    "websocket": [
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    "unknown": [b"Connection: upgrade", b"Upgrade: something/9"],
    "TLS": [b"Connection: Upgrade", b"Upgrade: TLS/1.0"],
    "several": [b"Connection: upgrade", b"Upgrade: a, b", b"Upgrade: c"],
    "capitals": [b"CONNECTION: UPGRADE", b"UPGRADE: H2C"],
    "mixed": [b"cOnnection: upgrade", b"uPGrade:h2c"],
    "empty": [b"Connection: upgrade", b"Upgrade:"],
    "not listed": [b"Upgrade: h2c"],
    "listed alone": [b"Connection: keep-alive, upgrade"],
    "similar names": [b"Connection: upgrade", b"Upgrade-Insecure-Requests: 1", b"Upgrade: x"],
    "HTTP/2 prior": [b"Connection: Upgrade", b"Upgrade: HTTP/2.0"],
}
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"REPORT"]
BODY = b'{"query": {"match": {"t": "red lamp"}}}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def request(method: bytes, offer: str, framing: str, path: bytes = b"/doc") -> bytes:
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: a", *OFFERS[offer]]
    if framing == "none":
        return b"\r\n".join(lines) + b"\r\n\r\n"
    if framing == "chunked":
        return b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n" + CHUNKED
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(BODY)]) + b"\r\n\r\n" + BODY


END = b"GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def sent_through(data: bytes, step: int = 10**6) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the answers to ``data``, sent in segments, and each target and body that arrived."""
    reformulator = Reformulator(ScriptedEngine())
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[SearchRule("/s")], reformulator=reformulator)
        async with front(app, BoundedProtocol) as port:
            answer = await in_segments(port, data, step)
    await asyncio.to_thread(reformulator.close)
    assert all(not found.values(b"upgrade") for found in raw.requests)
    return answer, [(found.target, content(found)) for found in raw.requests]


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
@pytest.mark.parametrize("offer", OFFERS)
async def test_the_body_goes_on(offer: str, framing: str, step: int) -> None:
    """Of every method, one after another on one connection, in segments of any size."""
    data = b"".join(request(method, offer, framing) for method in METHODS) + END
    answer, found = await sent_through(data, step)
    assert answer.count(b"HTTP/1.1 200") == len(METHODS) + 1
    expected = b"" if framing == "none" else BODY
    assert found == [(b"/doc", expected)] * len(METHODS) + [(b"/end", b"")]


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize("offer", OFFERS)
async def test_an_empty_body_in_chunks_goes_on(offer: str, step: int) -> None:
    """It is no body that was lost."""
    data = request(b"POST", offer, "chunked").removesuffix(CHUNKED) + b"0\r\n\r\n"
    answer, arrived = await sent_through(data * 2 + END, step)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert arrived == [(b"/doc", b""), (b"/doc", b""), (b"/end", b"")]


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_search_that_offers_is_rewritten(offer: str) -> None:
    engine = ScriptedEngine({"red lamp": "red table lamp"})
    reformulator = Reformulator(engine, budget=10)
    head = request(b"GET", offer, "none", b"/s?q=red+lamp").replace(b"\r\n\r\n", b"")
    if b"Connection" not in head and b"CONNECTION" not in head and b"cOnnection" not in head:
        head += b"\r\nConnection: close"
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[SearchRule("/s")], reformulator=reformulator)
        await asyncio.to_thread(reformulator.wait_ready)
        async with front(app, BoundedProtocol) as port:
            answer = await exchange(port, head + b"\r\n\r\n" + END)
    await asyncio.to_thread(reformulator.close)
    assert split(answer)[0] == 200
    assert raw.requests[0].target == b"/s?q=red+table+lamp"


HEADS = st.lists(
    st.sampled_from(
        [b"Upgrade: h2c", b"UPGRADE:x", b"Upgrad: x", b"X-Upgrade: y", b"A: upgrade:", b"u: 1"]
    ),
    max_size=6,
)


@settings(max_examples=300)
@given(lines=HEADS, target=st.sampled_from([b"/", b"/upgrade:"]), data=st.data())
def test_the_mask_does_not_depend_on_segments(
    lines: list[bytes], target: bytes, data: st.DataObject
) -> None:
    """Only whole names are renamed, and not one byte is lost."""
    head = b"\r\n".join([b"GET " + target + b" HTTP/1.1", *lines]) + b"\r\n\r\n"
    expected = b"\r\n".join(
        [
            b"GET " + target + b" HTTP/1.1",
            *(OFFER + line[7:] if line[:8].lower() == b"upgrade:" else line for line in lines),
        ]
    )
    mask = OfferMask()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(head)), max_size=8)))
    pieces = [head[a:b] for a, b in zip([0, *cuts], [*cuts, len(head)], strict=True)]
    assert b"".join(map(mask.apply, pieces)) == expected + b"\r\n\r\n"


REFUSED: dict[str, bytes] = {
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "CONNECT to a path": b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "RTSP": b"GET /x RTSP/1.0\r\nHost: a\r\n\r\n",
    "RTSP's method": b"SETUP rtsp://a/x RTSP/1.0\r\nCSeq: 1\r\nHost: a\r\n\r\n",
    "DESCRIBE": b"DESCRIBE /x RTSP/1.0\r\nHost: a\r\n\r\n",
    "ICE": b"SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 for GET": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\nHost: a\r\n\r\n",
    "an empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a blank host": b"GET / HTTP/1.1\r\nHost:   \r\n\r\n",
    "a host with a blank": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a tab": b"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "a host with a query": b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "a port that is none": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "two ports": b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
    "an open bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "1.0 with an empty host": b"GET / HTTP/1.0\r\nHost:\r\n\r\n",
}
HOSTS = [
    b"a",
    b"a:80",
    b"a.b-c_d.example:9200",
    b"[::1]",
    b"[::1]:80",
    b"127.0.0.1",
    b"a:",
    b"A~b!",
]


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_not_served_is_refused(name: str) -> None:
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[])
        async with front(app, BoundedProtocol) as port:
            assert split(await exchange(port, REFUSED[name]))[0] == 400
    assert raw.requests == []


@pytest.mark.parametrize("host", HOSTS)
async def test_hosts_are_taken(host: bytes) -> None:
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[])
        async with front(app, BoundedProtocol) as port:
            get = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: %b\r\n\r\n" % host
            assert split(await exchange(port, get))[0] == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("expected", [b"100-continue", b"100-Continue"])
async def test_100_continue_is_not_for_http_1_0(version: bytes, expected: bytes) -> None:
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[])
        async with front(app, BoundedProtocol) as port:
            head = b"POST / HTTP/%b\r\nHost: a\r\nExpect: %b\r\nContent-Length: 2\r\n" % (
                version,
                expected,
            )
            answer = await exchange(port, head + b"Connection: close\r\n\r\nab")
    assert (b"HTTP/1.1 100" in answer) == (version == b"1.1")
    assert b" 200 OK" in answer
    assert content(raw.requests[0]) == b"ab"


@pytest.mark.parametrize("server", ["h11", "httptools"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("offer", ["h2c", "websocket", "unknown"])
async def test_behind_plain_uvicorn_no_empty_body_is_sent(
    offer: str, framing: str, server: str
) -> None:
    """With httptools it loses the body; then the client is told, and nothing empty is stored."""
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[])
        async with front(app, server) as port:
            data = request(b"PUT", offer, framing)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.close()
    status = split(head)[0]
    assert status == (200 if server == "h11" else 400)
    assert [content(found) for found in raw.requests] == ([BODY] if status == 200 else [])


async def test_behind_other_servers_connect_is_refused() -> None:
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[])
        async with front(app, "h11") as port:
            assert split(await exchange(port, REFUSED["CONNECT"]))[0] in (400, 501)
    assert raw.requests == []
