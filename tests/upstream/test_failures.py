"""An upstream that is down, slow, broken, or dies half way."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from middleware import (
    ConfigurationError,
    ConnectionLimits,
    QueryliftError,
    Timeouts,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from middleware.upstream.forwarder import Forwarder
from middleware.upstream.httpx_transport import translate
from tests.upstream.wire import FRONTS, Received, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

HOST = [(b"host", b"x")]


async def hang(_: Received, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
    """An upstream that never answers (until its connection is closed)."""
    await asyncio.Event().wait()


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def failure(client: UpstreamClient, http: str = "h11") -> tuple[int, dict[str, Any]]:
    """What a client of the proxy sees."""
    async with front(Forwarder(client), http) as port:
        status, lines, body = split(await exchange(port, get()))
    assert (b"content-type", b"application/json") in lines
    return status, json.loads(body)


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize("own", [True, False])
async def test_down(http: str, own: bool) -> None:
    """Nobody listens: 502 with a body that names no address."""
    port = closed_port()
    transport = None if own else httpx.AsyncHTTPTransport(trust_env=False)
    status, body = await failure(
        UpstreamClient(f"http://127.0.0.1:{port}", transport=transport), http
    )
    assert status == 502
    detail = "no connection to the upstream could be made"
    cause = {"type": "upstream_unreachable", "reason": detail}
    assert body == {
        "error": {**cause, "msg": detail, "code": 502, "root_cause": [cause]},
        "status": 502,
        "code": "upstream_unreachable",
        "message": detail,
    }


@pytest.mark.parametrize("http", FRONTS)
async def test_down_for_head_and_uploads(http: str) -> None:
    """HEAD gets the 502 without its body; an upload gets it although nobody read it."""
    async with front(Forwarder(f"http://127.0.0.1:{closed_port()}"), http) as port:
        status, _, body = split(await exchange(port, get(method=b"HEAD")))
        assert (status, body) == (502, b"")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Content-Length: %d" % 2**20, method=b"POST") + bytes(2**20))
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 502")
        writer.transport.abort()


async def test_an_answer_before_the_upload_is_read() -> None:
    """An upstream that refuses an upload early is heard, though not all of the body was taken."""

    async def refuse(
        _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        writer.write_eof()
        await reader.read()
        raise ConnectionError

    async with upstream(refuse, read_body=False) as raw, front(Forwarder(raw.url)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Content-Length: 999999999", method=b"POST"))
        async with asyncio.timeout(5):
            head = asyncio.create_task(reader.readuntil(b"big"))
            while not head.done():
                writer.write(bytes(2**16))
                await asyncio.wait([head], timeout=0.005)
            assert (await head).startswith(b"HTTP/1.1 413")
        writer.transport.abort()


async def test_unresolvable() -> None:
    """A host that doesn't exist is unreachable."""
    status, body = await failure(UpstreamClient("http://nobody.invalid"))
    assert (status, body["code"]) == (502, "upstream_unreachable")


async def test_not_tls() -> None:
    """A TLS handshake with a server that speaks none is unreachable."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        status, body = await failure(UpstreamClient(f"https://127.0.0.1:{port}"))
    assert (status, body["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize(
    ("timeouts", "phase"),
    [(Timeouts(read=0.05), "read"), (Timeouts(total=0.05), "total")],
)
async def test_slow(timeouts: Timeouts, phase: str) -> None:
    """An upstream that doesn't answer is a 504 that tells which limit it was."""
    async with upstream(hang) as raw:
        client = UpstreamClient(raw.url, timeouts=timeouts)
        status, body = await failure(client)
        assert (status, body["code"], body["error"]["phase"]) == (504, "upstream_timeout", phase)
        with pytest.raises(UpstreamTimeoutError) as caught:
            async with client.exchange("GET", b"/", HOST):
                pass
        assert caught.value.phase == phase
        assert body["message"] == caught.value.detail
        assert client.active_connections == 0
        await client.aclose()


async def test_slow_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that doesn't come about is told apart from an answer that doesn't."""

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    client = UpstreamClient("http://127.0.0.1:1", timeouts=Timeouts(connect=0.05))
    with pytest.raises(UpstreamTimeoutError) as caught:
        async with client.exchange("GET", b"/", HOST):
            pass
    assert caught.value.phase == "connect"


async def test_slow_to_take_the_request() -> None:
    """An upstream that stops reading an upload is a write timeout."""

    async def chunks() -> Any:
        while True:
            yield b"x" * 65536

    lines = [*HOST, (b"transfer-encoding", b"chunked")]
    async with (
        upstream(hang, read_body=False) as raw,
        UpstreamClient(raw.url, timeouts=Timeouts(write=0.1)) as client,
    ):
        with pytest.raises(UpstreamTimeoutError) as caught:
            async with client.exchange("POST", b"/", lines, chunks()):
                pass
    assert caught.value.phase == "write"


async def test_total_covers_the_body() -> None:
    """A body that drips for longer than the total limit ends in a timeout."""

    async def drip(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    timeouts = Timeouts(total=0.1)
    async with upstream(drip) as raw, UpstreamClient(raw.url, timeouts=timeouts) as client:
        with pytest.raises(UpstreamTimeoutError) as caught:
            await _drain(client)
        assert caught.value.phase == "total"
        assert client.active_connections == 0


@pytest.mark.parametrize(
    "junk",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
    ],
)
async def test_broken_answers(junk: bytes) -> None:
    """An answer that isn't HTTP/1.1 is a 502 of its own kind, never a 500."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(junk)

    async with upstream(answer) as raw:
        client = UpstreamClient(raw.url)
        status, body = await failure(client)
    assert (status, body["code"]) == (502, "upstream_protocol")
    assert client.active_connections == 0


async def test_closed_before_answering() -> None:
    """An upstream that hangs up on a new connection: 502, and no second try."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with upstream(answer) as raw:
        status, body = await failure(UpstreamClient(raw.url))
    assert (status, body["code"]) == (502, "upstream_unreachable")
    assert "before its answer was complete" in body["message"]
    assert len(raw.requests) == 1


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("reset", [False, True])
async def test_dying_after_the_first_chunk(http: str, framing: bytes, reset: bool) -> None:
    """A cut-off body can't look complete: the client's connection is cut too."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        if reset:
            idle_timeout = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, idle_timeout
            )
            writer.transport.abort()
        writer.close()

    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        response = await exchange(port, get())
    assert response.startswith(b"HTTP/1.1 200 ")
    assert response.count(b"HTTP/1.1") == 1
    assert b"hello" in response
    assert not response.endswith(b"0\r\n\r\n")
    assert len(raw.requests) == 1


async def test_dying_after_the_start_is_raised() -> None:
    """Any ASGI server is told of the cut-off body: the application raises, sends no last chunk."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        writer.close()

    sent: list[Any] = []
    request = iter([{"type": "http.request"}])

    async def receive() -> Any:
        for message in request:
            return message
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [],
    }  # fmt: skip
    async with upstream(answer) as raw:
        with pytest.raises(UpstreamError):
            await Forwarder(raw.url)(scope, receive, send)
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["more_body"] is True


async def _drain(client: UpstreamClient) -> bytes:
    async with client.exchange("GET", b"/", HOST) as response:
        return b"".join([chunk async for chunk in response])


def _exceptions(module: Any) -> list[type[Exception]]:
    found = [getattr(module, name) for name in module.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", _exceptions(httpx))
async def test_every_foreign_exception_is_translated(kind: type[Exception]) -> None:
    """Whatever exception of httpx a transport raises, callers see an UpstreamError."""
    error = kind.__new__(kind)
    Exception.__init__(error, "secret internals")

    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise error

    client = UpstreamClient("http://x", transport=Failing())
    with pytest.raises(UpstreamError) as caught:
        await _drain(client)
    assert "secret" not in caught.value.detail
    assert isinstance(caught.value, QueryliftError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError(""), UpstreamUnreachableError),
        (httpx.ReadError(""), UpstreamUnreachableError),
        (httpx.ConnectTimeout(""), UpstreamTimeoutError),
        (httpx.PoolTimeout(""), UpstreamBusyError),
        (httpx.RemoteProtocolError(""), UpstreamProtocolError),
        (httpx.InvalidURL(""), UpstreamProtocolError),
    ],
)
def test_translation_keeps_the_kind(error: Exception, kind: type[UpstreamError]) -> None:
    """Unreachable, slow and broken stay told apart."""
    assert type(translate(error)) is kind


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (partial(Timeouts, read=0), "read timeout"),
        (partial(Timeouts, connect=-1.0), "connect timeout"),
        (partial(Timeouts, total=float("nan")), "total timeout"),
        (partial(ConnectionLimits, max_connections=0), "max_connections"),
        (partial(ConnectionLimits, max_waiting=-1), "max_waiting"),
    ],
)
def test_wrong_options(options: Callable[[], object], hint: str) -> None:
    """A limit that can't work is refused with its name."""
    with pytest.raises(ConfigurationError, match=hint):
        options()


def test_wrong_ca_bundle() -> None:
    """A CA bundle that isn't there is a configuration error."""
    with pytest.raises(ConfigurationError, match="CA bundle"):
        UpstreamClient("https://h", verify="/nowhere/ca.pem")
