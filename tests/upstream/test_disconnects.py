"""Clients that leave: the upstream call ends, and its connection is free again."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import struct
import weakref
from typing import Any

import pytest

from middleware import ConnectionLimits, Timeouts, UpstreamClient
from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import FRONTS, Received, exchange, front, get, reply, split, upstream

pytestmark = pytest.mark.anyio


async def hang(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Answer nothing; return when the proxy closes the connection."""
    await reader.read()
    raise ConnectionError


async def until(condition: Any, *, within: float = 5.0) -> None:
    """Wait until ``condition()`` holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize(
    "request_bytes",
    [
        get(),
        get(b"/", b"Content-Length: 3", method=b"POST") + b"abc",
        get(b"/", b"Content-Length: 9", method=b"POST") + b"abc",
    ],
    ids=["get", "post", "half a post"],
)
async def test_leaving_before_the_answer(http: str, request_bytes: bytes) -> None:
    """The client leaves at once; the upstream sees its connection close promptly."""
    async with upstream(hang, read_body=False) as raw:
        client = UpstreamClient(raw.url)
        async with front(Forwarder(client), http) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request_bytes)
            await until(lambda: raw.requests)
            writer.close()
            await asyncio.wait_for(raw.closed.wait(), 1)
            await until(lambda: client.active_connections == 0, within=1)


@pytest.mark.parametrize("http", FRONTS)
async def test_leaving_during_the_answer(http: str) -> None:
    """The client leaves in the middle of an endless body; the upstream is told."""

    async def endless(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"5\r\nhello\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with upstream(endless) as raw:
        client = UpstreamClient(raw.url)
        async with front(Forwarder(client), http) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get())
            await reader.readuntil(b"hello")
            writer.close()
            await asyncio.wait_for(raw.closed.wait(), 2)
            await until(lambda: client.active_connections == 0, within=1)


async def test_half_a_body_is_never_completed() -> None:
    """A client that leaves in mid-upload: the upstream doesn't see a complete request."""
    seen: list[bytes] = []

    async def answer(
        _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(await reader.read())

    async with upstream(answer, read_body=False) as raw, front(Forwarder(raw.url)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"2\r\n{a\r\n")
        await until(lambda: raw.requests)
        writer.close()
        await asyncio.wait_for(raw.closed.wait(), 2)
    assert seen == [b"2\r\n{a\r\n"]


async def test_twenty_resets_on_a_pool_of_four() -> None:
    """Clients reset before the response starts; afterwards no connection is active."""
    async with upstream(hang) as raw:
        client = UpstreamClient(raw.url, limits=ConnectionLimits(max_connections=4))
        async with front(Forwarder(client)) as port:
            writers = []
            for _ in range(20):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(get())
                writers.append(writer)
            await until(lambda: len(raw.requests) == 4)
            for writer in writers:
                idle_timeout = struct.pack("ii", 1, 0)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, idle_timeout)
                writer.transport.abort()
            await until(lambda: client.active_connections == 0 and raw.open == 0)
            raw.answer = reply()
            assert split(await exchange(port, get()))[0] == 200


@pytest.mark.parametrize("seed", range(3))
async def test_random_cancels_under_contention(seed: int) -> None:
    """20 tasks on 10 connections are cancelled at random points; then a request succeeds."""
    rng = random.Random(seed)
    answers = reply(b"x" * 5000)

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(rng.random() * 0.004)
        await answers(request, reader, writer)

    async with upstream(answer) as raw:
        client = UpstreamClient(
            raw.url, limits=ConnectionLimits(max_connections=10), timeouts=Timeouts(connect=2)
        )

        async def work() -> int:
            async with client.exchange("GET", b"/", [(b"host", b"x")]) as response:
                return sum([len(chunk) async for chunk in response])

        for _ in range(40):
            tasks = [asyncio.create_task(work()) for _ in range(20)]
            for task in tasks:
                if rng.random() < 0.7:
                    for _ in range(rng.randrange(12)):
                        await asyncio.sleep(0)
                    task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(o == 5000 or isinstance(o, asyncio.CancelledError) for o in outcomes)
        assert client.active_connections == 0
        # Every span is there: ten at once, each in time.
        assert await asyncio.gather(*[work() for _ in range(10)]) == [5000] * 10
        await client.aclose()


async def test_an_outer_cancel_is_not_swallowed() -> None:
    """Cancelling the application itself (a server's shutdown) is passed on."""
    async with upstream(hang) as raw:
        forwarder = Forwarder(raw.url)
        scope = {
            "type": "http", "method": "GET", "raw_path": b"/", "path": "/",
            "query_string": b"", "headers": [],
        }  # fmt: skip
        messages = asyncio.Queue[dict[str, Any]]()
        messages.put_nowait({"type": "http.request"})

        async def send(_: Any) -> None:
            raise AssertionError("nothing is to be sent")

        task = asyncio.create_task(forwarder(scope, messages.get, send))
        await until(lambda: raw.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert forwarder.client.active_connections == 0


@pytest.mark.parametrize("seconds", [0.0, 0.15])
async def test_a_request_goes_with_its_last_user(seconds: float) -> None:
    """Nothing of it waits for the garbage collector, also where it was watched."""

    async def answer_late(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(seconds)  # in the upstream, which is real
        await reply()(request, reader, writer)

    async with upstream(answer_late) as raw:
        forwarder = Forwarder(raw.url)
        messages = asyncio.Queue[dict[str, Any]]()
        sent: list[Any] = []

        class Marked(dict[str, Any]):
            """A scope that can be watched for its end."""

        async def send(message: Any) -> None:
            sent.append(message)

        async def served() -> weakref.ref[Marked]:
            scope = Marked(
                type="http", method="GET", raw_path=b"/", path="/", query_string=b"", headers=[]
            )
            messages.put_nowait({"type": "http.request"})
            await asyncio.create_task(forwarder(scope, messages.get, send))
            return weakref.ref(scope)

        await served()  # opens the connection
        gc.disable()
        try:
            kept = await served()
            await until(lambda: kept() is None)
        finally:
            gc.enable()
        await forwarder.aclose()
    assert sent[-1]["more_body"] is False


async def test_leaving_leaves_no_cancellation_behind() -> None:
    """The task that served a client who left is not marked as cancelled, and goes on."""
    async with upstream(hang) as raw:
        forwarder = Forwarder(raw.url)
        scope = {
            "type": "http", "method": "GET", "raw_path": b"/", "path": "/",
            "query_string": b"", "headers": [],
        }  # fmt: skip
        messages = asyncio.Queue[dict[str, Any]]()
        messages.put_nowait({"type": "http.request"})

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def serve() -> int:
            await forwarder(scope, messages.get, send)
            await asyncio.sleep(0)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        task = asyncio.create_task(serve())
        await until(lambda: raw.requests)
        messages.put_nowait({"type": "http.disconnect"})
        assert await asyncio.wait_for(task, 2) == 0
        assert sent[0]["status"] == 499  # for middleware outside


async def test_a_receive_that_never_waits_does_not_block_the_loop() -> None:
    """An application around that repeats the last message instead of waiting is survived."""
    async with upstream() as raw:
        forwarder = Forwarder(raw.url)
        scope = {
            "type": "http", "method": "GET", "raw_path": b"/", "path": "/",
            "query_string": b"", "headers": [],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await asyncio.wait_for(forwarder(scope, receive, send), 5)
        await forwarder.aclose()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("http", FRONTS)
async def test_an_upload_is_held_back(http: str) -> None:
    """50 MB to an upstream that reads slowly: the proxy holds little of it at any time."""
    size = 50 * 2**20
    taken = 0
    sent = 0
    most = 0

    async def answer(
        _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal taken, most
        while taken < size:
            taken += len(await reader.read(2**20))
            most = max(most, sent - taken)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with upstream(answer, read_body=False) as raw, front(Forwarder(raw.url), http) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/", b"Content-Length: %d" % size, method=b"POST"))
        block = bytes(2**16)
        async with asyncio.timeout(60):
            while sent < size:
                writer.write(block)
                await writer.drain()
                sent += len(block)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
    assert taken == size
    # Two pairs of kernel buffers are in it too; the body would be 50 MB.
    assert most < 20 * 2**20


async def test_a_client_that_stops_reading_holds_the_upstream_back() -> None:
    """An answer is not collected for a client that doesn't read it."""
    given = 0

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**30)
        while given < 2**30:
            writer.write(bytes(2**16))
            await writer.drain()
            given += 2**16

    async with upstream(answer) as raw, front(Forwarder(raw.url)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get())
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != given:
            before = given
            await asyncio.sleep(0.2)
        assert given < 64 * 2**20
        writer.transport.abort()
        await asyncio.wait_for(raw.closed.wait(), 5)
