"""The bytes that arrive at a real upstream, through a real server in front."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from middleware import Forwarding, UpstreamClient
from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import FRONTS, RawUpstream, exchange, front, get, reply, split, upstream

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["pool", "httpx"])
def transport(request: pytest.FixtureRequest) -> str:
    """The client's own pool, and httpx's transport injected in its place."""
    return str(request.param)


@contextlib.asynccontextmanager
async def proxied(
    raw: RawUpstream, transport: str = "pool", http: str = "h11", **options: Any
) -> AsyncIterator[int]:
    """Run a forwarder for ``raw`` behind uvicorn; gives the port."""
    injected = httpx.AsyncHTTPTransport(trust_env=False) if transport == "httpx" else None
    client = UpstreamClient(raw.url, transport=injected)
    async with front(Forwarder(client, **options), http) as port:
        yield port


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize(
    "target",
    [
        b"/?q=c%2B%2B+primer&u=%26z|w&t=a/b",
        b"/s?fq=a&q=x&fq=b&fq=a",
        b"/s?flag&empty=&=x&&",
        b"/s?a=%E9&b=%zz&c=%",
        b"/idx%2Fv2/_search",
        b"/public/..%2fadmin/_search",
        b"/a/../b/./c",
        b"/x/http://e/x",
    ],
)
async def test_targets_arrive_byte_for_byte(transport: str, http: str, target: bytes) -> None:
    """httpx would encode, resolve or merge some of these; the raw target stays."""
    async with upstream() as raw, proxied(raw, transport, http) as port:
        assert split(await exchange(port, get(target)))[0] == 200
    assert raw.requests[0].target == target


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        (b"//10.0.0.9/x", b"//10.0.0.9/x"),
        (b"http://169.254.1.1/x?q=1", b"/x?q=1"),
        (b"/http://e/x", b"/http://e/x"),
    ],
)
async def test_the_origin_is_fixed(transport: str, target: bytes, arrives: bytes) -> None:
    """No request target leads to another host than the configured one."""
    async with upstream() as raw, proxied(raw, transport) as port:
        assert split(await exchange(port, get(target)))[0] == 200
    assert raw.requests[0].target == arrives
    assert raw.requests[0].values(b"host") == [b"127.0.0.1:%d" % raw.port]


async def test_bytes_that_h11_refuses_are_sent() -> None:
    """A raw 0xE9 in the query arrives as it came, and the connection is used again.

    uvicorn's parsers refuse the byte; other servers let it in, so it is sent from the client.
    """
    target = b"/s?q=caf\xe9"
    async with upstream() as raw, UpstreamClient(raw.url) as client:
        for _ in range(2):
            async with client.exchange("GET", target, [(b"host", b"x")]) as response:
                assert [chunk async for chunk in response] == [b"ok"]
    assert [request.target for request in raw.requests] == [target, target]
    assert raw.connections == 1


@pytest.mark.parametrize("http", FRONTS)
async def test_a_plain_get_is_sent_as_it_came(transport: str, http: str) -> None:
    """No framing, no User-Agent, no Accept-Encoding and no cookie is added to a GET."""
    async with upstream() as raw, proxied(raw, transport, http) as port:
        await exchange(port, get(b"/x", b"X-A: 1", b"X-A: caf\xe9"))
    host = b"127.0.0.1:%d" % raw.port
    assert raw.requests[0].lines == [(b"host", host), (b"x-a", b"1"), (b"x-a", b"caf\xe9")]


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"GET", b"DELETE"])
async def test_a_length_stays_a_length(transport: str, http: str, method: bytes) -> None:
    """A body with Content-Length arrives with that length and no transfer coding."""
    request = get(b"/", b"Content-Length: 5", method=method) + b"hello"
    async with upstream() as raw, proxied(raw, transport, http) as port:
        await exchange(port, request)
    assert raw.requests[0].values(b"content-length") == [b"5"]
    assert raw.requests[0].values(b"transfer-encoding") == []
    assert raw.requests[0].body == b"hello"


@pytest.mark.parametrize("http", FRONTS)
async def test_chunked_stays_chunked(transport: str, http: str) -> None:
    """A chunked body arrives chunked, with no length beside it."""
    request = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
    async with upstream() as raw, proxied(raw, transport, http) as port:
        await exchange(port, request + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert raw.requests[0].values(b"content-length") == []
    assert raw.requests[0].values(b"transfer-encoding") == [b"chunked"]
    assert raw.requests[0].body in (
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n\r\n",
    )


async def test_an_empty_post_keeps_its_zero(transport: str) -> None:
    """Content-Length: 0 arrives as such; a POST without any framing gets none."""
    async with upstream() as raw, proxied(raw, transport) as port:
        await exchange(port, get(b"/", b"Content-Length: 0", method=b"POST"))
        await exchange(port, get(b"/", method=b"POST"))
    assert [r.values(b"content-length") for r in raw.requests] == [[b"0"], []]


async def test_cookies_are_kept_for_nobody(transport: str) -> None:
    """A cookie set for one user is not sent with another's request (the host has a name)."""
    answer = reply(b"ok", b"Set-Cookie: session=alice; Path=/")
    async with upstream(answer) as raw:
        url = f"http://localhost:{raw.port}"
        injected = httpx.AsyncHTTPTransport(trust_env=False) if transport == "httpx" else None
        async with front(Forwarder(UpstreamClient(url, transport=injected))) as port:
            alice = split(await exchange(port, get(b"/login")))
            await exchange(port, get(b"/", b"Cookie: session=bob"))
            await exchange(port, get(b"/"))
    assert (b"set-cookie", b"session=alice; Path=/") in alice[1]
    assert [r.values(b"cookie") for r in raw.requests] == [[], [b"session=bob"], []]


async def test_the_environment_is_ignored(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables and netrc change nothing."""
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine localhost login bob password hunter2\n")
    (home / ".netrc").chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    async with (
        upstream() as raw,
        front(Forwarder(f"http://localhost:{raw.port}")) as port,
    ):
        assert split(await exchange(port, get(b"/")))[0] == 200
    assert raw.requests[0].values(b"authorization") == []


async def test_a_slow_body_streams_through(transport: str) -> None:
    """The upstream sees the first bytes of an upload while the client still holds the rest."""
    async with upstream(read_body=False) as raw, proxied(raw, transport) as port:
        seen = asyncio.Event()
        body: list[bytes] = []

        async def answer(request: object, reader: object, writer: object) -> None:
            assert isinstance(reader, asyncio.StreamReader)
            assert isinstance(writer, asyncio.StreamWriter)
            body.append(await reader.readexactly(3))
            seen.set()
            body.append(await reader.readexactly(3))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        raw.answer = answer
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Content-Length: 6", method=b"POST") + b"abc")
        async with asyncio.timeout(5):
            await seen.wait()
            writer.write(b"def")
            assert split(await reader.read())[0] == 200
        writer.close()
    assert body == [b"abc", b"def"]


async def test_expect_continue_is_answered_in_front() -> None:
    """A client that waits for 100 Continue gets it, and the upstream gets the body only."""
    async with upstream() as raw, proxied(raw) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Content-Length: 3", b"Expect: 100-continue", method=b"POST"))
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(b"abc")
            assert split(await reader.read())[0] == 200
        writer.close()
    assert raw.requests[0].values(b"expect") == []
    assert raw.requests[0].body == b"abc"


async def test_connections_are_reused() -> None:
    """Requests that follow one another share a connection."""
    async with upstream() as raw, proxied(raw) as port:
        for _ in range(5):
            await exchange(port, get(b"/"))
    assert raw.connections == 1


async def test_a_mounted_forwarder_loses_its_prefix() -> None:
    """Mounted under a prefix, the upstream sees the path below it."""
    async with upstream() as raw:
        forwarder = Forwarder(f"{raw.url}/base")
        app = Starlette(routes=[Mount("/search", app=forwarder)])
        async with front(app) as port:
            await exchange(port, get(b"/search/a%2Fb?q=1"))
            await exchange(port, get(b"/se%61rch/x"))
        await forwarder.aclose()
    assert [r.target for r in raw.requests] == [b"/base/a%2Fb?q=1", b"/base/x"]


async def test_forwarded_and_host_options() -> None:
    """The options for Host and the Forwarded lists reach the wire."""
    async with (
        upstream() as raw,
        proxied(raw, forwarding=Forwarding(preserve_host=True, forwarded=True)) as port,
    ):
        await exchange(port, get(b"/", b"X-Forwarded-For: 1.1.1.1"))
    request = raw.requests[0]
    assert request.values(b"host") == [b"front.test"]
    assert request.values(b"x-forwarded-for") == [b"1.1.1.1, 127.0.0.1"]
    assert request.values(b"forwarded") == [b'for=127.0.0.1;proto=http;host="front.test"']


@pytest.mark.parametrize(
    "line", [b"Content-Length: 3, 3", b"Content-Length: 3\r\nContent-Length: 3"]
)
@pytest.mark.parametrize("http", FRONTS)
async def test_ambiguous_lengths_never_arrive(http: str, line: bytes) -> None:
    """Whatever the server in front makes of a repeated length, the upstream never sees two."""
    async with upstream() as raw, proxied(raw, http=http) as port:
        await exchange(port, get(b"/", line, method=b"POST") + b"abc")
    assert all(len(r.values(b"content-length")) == 1 for r in raw.requests)
