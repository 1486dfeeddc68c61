"""What the upstream of a running proxy may do, and what its client gets for it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.upstream.wire import (
    RawUpstream,
    Received,
    exchange,
    get,
    reply,
    silent_address,
    split,
    upstream,
)
from tests.ways.driving import until

from .running import Served, fresh, serving

pytestmark = pytest.mark.anyio

Answer = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_BODY = b"five hundred of these, and every one of them is a hit " * 500
# No second process for an engine that does nothing.
_THREAD = {"QUERYLIFT_ENGINE_PROCESS": "false"}
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def proxied(
    behaviour: Path, answer: Answer, **variables: str
) -> AsyncIterator[tuple[Served, RawUpstream]]:
    """Run ``serve`` in front of an upstream that answers so."""
    async with upstream(answer) as raw:
        options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
        context = serving(raw.url, *options, QUERYLIFT_ADMIN_METRICS="true", **_THREAD, **variables)
        served = await asyncio.to_thread(context.__enter__)
        try:
            yield served, raw
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


def search(method: bytes = b"GET") -> bytes:
    return get(b"/search?q=" + fresh().replace(" ", "+").encode(), method=method)


def error(body: bytes) -> tuple[str, str]:
    told = json.loads(body)
    return told["code"], told["error"].get("phase", "")


async def counted(served: Served, kind: str, phase: str = "") -> float:
    name = f'querylift_errors_total{{kind="{kind}",phase="{phase}"}}'
    return await asyncio.to_thread(served.metric, name)


def reset(writer: asyncio.StreamWriter) -> None:
    idle_timeout = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, idle_timeout)
    writer.transport.abort()


async def resets(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Before the headers."""
    reset(writer)
    raise ConnectionError


async def resets_within(
    _: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Within the headers."""
    writer.write(_HEAD)
    await writer.drain()
    await asyncio.sleep(0.05)
    reset(writer)
    raise ConnectionError


async def babbles(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01 220 ready\r\n\r\n")


async def stalls(_: Received, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (resets, 502, ("upstream_unreachable", "")),
        (resets_within, 502, ("upstream_unreachable", "")),
        (babbles, 502, ("upstream_protocol", "")),
        (stalls, 504, ("upstream_timeout", "read")),
    ],
)
async def test_what_comes_before_an_answer(
    behaviour: Path, answer: Answer, status: int, told: tuple[str, str]
) -> None:
    """Told to the client, counted, and never asked for again: the connection was a new one."""
    variables = {"QUERYLIFT_UPSTREAM_READ_TIMEOUT": "0.3"}
    async with proxied(behaviour, answer, **variables) as (served, raw):
        for method in (b"GET", b"POST"):
            found, lines, body = split(await exchange(served.port, search(method)))
            assert (found, error(body)) == (status, told)
            assert any(name == b"query-reformulation" for name, _ in lines)
        assert len(raw.requests) == 2
        assert await counted(served, *told) == 2
        # It is well again, and so is the next answer.
        raw.answer = reply(b"well")
        assert split(await exchange(served.port, search()))[::2] == (200, b"well")


async def test_an_upstream_that_is_not_there(behaviour: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ("--engine", "faulty", "--model", str(behaviour))
    context = serving(f"http://127.0.0.1:{port}", *options, QUERYLIFT_ADMIN_METRICS="true")
    served = await asyncio.to_thread(context.__enter__)
    try:
        status, _, body = split(await exchange(served.port, search()))
        assert (status, error(body)) == (502, ("upstream_unreachable", ""))
        assert await counted(served, "upstream_unreachable") == 1
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def test_an_upstream_that_takes_no_connection(behaviour: Path) -> None:
    """Its queue is full: the time to connect ends, which is not the time to answer."""
    with silent_address() as url:
        options = ("--engine", "faulty", "--model", str(behaviour))
        variables = {"QUERYLIFT_UPSTREAM_CONNECT_TIMEOUT": "0.3", "QUERYLIFT_ADMIN_METRICS": "true"}
        context = serving(url, *options, **variables)
        served = await asyncio.to_thread(context.__enter__)
        try:
            status, _, body = split(await exchange(served.port, search()))
            assert (status, error(body)) == (504, ("upstream_timeout", "connect"))
            assert await counted(served, "upstream_timeout", "connect") == 1
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: %d" % len(_BODY), b"Transfer-Encoding: chunked"]
)
@pytest.mark.parametrize("end", ["reset", "close", "stall", "total"])
async def test_an_answer_that_breaks_off(behaviour: Path, framing: bytes, end: str) -> None:
    """What came is relayed, and the client's connection is cut: half never looks like all."""

    async def breaks(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        part = b"%x\r\n%b\r\n" % (100, _BODY[:100]) if b"chunked" in framing else _BODY[:100]
        writer.write(_HEAD + framing + b"\r\n\r\n" + part)
        await writer.drain()
        if end == "reset":
            await asyncio.sleep(0.05)
            reset(writer)
        elif end == "close":
            writer.close()
        else:
            while end == "total":
                await asyncio.sleep(0.05)
                writer.write(b"1\r\nx\r\n" if b"chunked" in framing else b"x")
            await asyncio.Event().wait()
        raise ConnectionError

    variables = {"QUERYLIFT_UPSTREAM_READ_TIMEOUT": "0.3"}
    if end == "total":
        variables = {"QUERYLIFT_UPSTREAM_TOTAL_TIMEOUT": "0.4"}
    async with proxied(behaviour, breaks, **variables) as (served, raw):
        answer = await exchange(served.port, search())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert _BODY[:100] in answer
        assert not answer.endswith(b"0\r\n\r\n")
        assert len(answer) < len(_BODY)
        assert len(raw.requests) == 1, "a byte was relayed, so that nothing is asked again"
        kinds = {
            "stall": [("upstream_timeout", "read")],
            "total": [("upstream_timeout", "total")],
            # Whether that is a cut or broken HTTP depends on what was to come.
        }.get(end, [("upstream_unreachable", ""), ("upstream_protocol", "")])
        assert sum([await counted(served, *kind) for kind in kinds]) == 1


async def test_an_answer_that_drips_is_relayed_as_it_drips(behaviour: Path) -> None:
    """Each byte is in time; there is no limit to the whole unless one is set."""
    told = asyncio.Semaphore(0)

    async def drips(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = _HEAD + b"Content-Length: 20\r\n\r\n" + b"x" * 20
        for place in range(len(message)):
            writer.write(message[place : place + 1])
            await writer.drain()
            if place > len(message) - 20:
                await told.acquire()  # the byte before has reached the client

    async with proxied(behaviour, drips) as (served, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(search())
        await reader.readuntil(b"\r\n\r\n")
        for _each in range(20):
            assert await asyncio.wait_for(reader.readexactly(1), 10) == b"x"
            told.release()
        writer.close()


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_kept_alive_connection_that_was_closed(behaviour: Path, method: bytes) -> None:
    """A search is sent once more, on a new connection; it is sent to the upstream no third time."""
    seen: list[int] = []

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(id(writer))
        if len(seen) > 1 and id(writer) == seen[0]:
            writer.close()  # with the request read, and not a byte answered
            raise ConnectionError
        await reply(b"well")(request, reader, writer)

    async with proxied(behaviour, answer) as (served, raw):
        assert split(await exchange(served.port, search()))[::2] == (200, b"well")
        assert split(await exchange(served.port, search(method)))[::2] == (200, b"well")
        assert len(raw.requests) == 3
        assert len(set(seen)) == 2


async def test_a_kept_alive_connection_that_was_closed_on_an_order(behaviour: Path) -> None:
    """What is no search may have been carried out: nobody sends it again."""
    count = 0

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal count
        count += 1
        if count == 2:
            writer.close()
            raise ConnectionError
        await reply(b"well")(request, reader, writer)

    async with proxied(behaviour, answer) as (served, raw):
        assert split(await exchange(served.port, get(b"/other")))[0] == 200
        order = get(b"/other", b"Content-Length: 2", method=b"POST") + b"{}"
        status, _, body = split(await exchange(served.port, order))
        assert (status, error(body)) == (502, ("upstream_unreachable", ""))
        assert len(raw.requests) == 2


async def test_a_second_failure_is_told_and_not_tried_again(behaviour: Path) -> None:
    count = 0

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal count
        count += 1
        if count > 1:
            writer.close()
            raise ConnectionError
        await reply(b"well")(request, reader, writer)

    async with proxied(behaviour, answer) as (served, raw):
        assert split(await exchange(served.port, search()))[0] == 200
        status, _, body = split(await exchange(served.port, search()))
        assert (status, error(body)) == (502, ("upstream_unreachable", ""))
        assert len(raw.requests) == 3


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"503 Service Unavailable"])
async def test_an_upstream_that_asks_to_wait_is_relayed_and_not_asked_again(
    behaviour: Path, status: bytes
) -> None:
    answer = reply(b"later", b"Retry-After: 7", b"X-Own: 1", status=status)
    async with proxied(behaviour, answer) as (served, raw):
        found, lines, body = split(await exchange(served.port, search()))
        assert (found, body) == (int(status[:3]), b"later")
        assert dict(lines)[b"retry-after"] == b"7"
        assert dict(lines)[b"x-own"] == b"1"
        assert len(raw.requests) == 1
        assert await asyncio.to_thread(served.metric, "querylift_errors_total{") == 0


async def test_an_upstream_without_room_is_told_at_once(behaviour: Path) -> None:
    """Two are sent, one may wait; the others are told to come again, and cost no rewrite."""
    go, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def held(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        arrived.release()
        await go.wait()
        await reply(b"well")(request, reader, writer)

    variables = {
        "QUERYLIFT_UPSTREAM_MAX_CONNECTIONS": "2",
        "QUERYLIFT_UPSTREAM_MAX_WAITING": "1",
        "QUERYLIFT_UPSTREAM_POOL_TIMEOUT": "30",
    }
    async with proxied(behaviour, held, **variables) as (served, raw):
        first = [asyncio.create_task(exchange(served.port, search())) for _ in range(2)]
        for _ in first:
            await asyncio.wait_for(arrived.acquire(), 20)
        others = {asyncio.create_task(exchange(served.port, search())) for _ in range(4)}
        await until(lambda: sum(task.done() for task in others) == 3)
        waits = [task for task in others if not task.done()]
        told = [task.result() for task in others if task.done()]
        told.append(await exchange(served.port, search()))
        for answer in told:
            status, lines, body = split(answer)
            assert (status, error(body)) == (503, ("upstream_busy", ""))
            assert dict(lines)[b"retry-after"] == b"1"
        assert b"query-reformulation" not in dict(lines), "nothing was rewritten for the last"
        go.set()
        for answer in await asyncio.gather(*first, *waits):
            assert split(answer)[::2] == (200, b"well")
        assert await counted(served, "upstream_busy") == 4
        assert len(raw.requests) == 3


async def test_more_requests_than_may_be_under_way(behaviour: Path) -> None:
    async with proxied(behaviour, stalls, QUERYLIFT_MAX_REQUESTS="3") as (served, raw):
        asked = [asyncio.create_task(exchange(served.port, search())) for _ in range(3)]
        await until(lambda: len(raw.requests) == 3)
        status, lines, body = split(await exchange(served.port, search()))
        assert (status, error(body)) == (503, ("proxy_busy", ""))
        assert dict(lines)[b"retry-after"] == b"1"
        assert (await asyncio.to_thread(served.ready))[0] in (200, 503), "that port is apart"
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        raw.answer = reply(b"well")
        async with asyncio.timeout(20):
            while split(await exchange(served.port, search()))[0] != 200:
                pass
        assert await counted(served, "proxy_busy") >= 1


async def test_an_outage_is_a_few_lines_of_log(behaviour: Path) -> None:
    async with proxied(behaviour, resets) as (served, _):
        for _each in range(40):
            assert split(await exchange(served.port, search()))[0] == 502
        served.stop()
        _, told = await asyncio.to_thread(served.process.communicate, None, 10)
    lines = [line for line in told.splitlines() if "upstream_unreachable" in line]
    assert 1 <= len(lines) <= 4, told
    assert "Traceback" not in told
