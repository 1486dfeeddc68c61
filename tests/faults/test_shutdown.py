"""The end under load: what is under way finishes, bounded; what is new is refused."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import pytest

from tests.upstream.wire import Held, RawUpstream, get, split, upstream

from .running import Served, serving

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def under_load(
    behaviour: Path, count: int = 8, **variables: str
) -> AsyncIterator[tuple[Served, Held, list[asyncio.Task[bytes]], RawUpstream]]:
    held = Held(b"done")
    async with upstream(held.answer) as raw:
        options = ("--engine", "faulty", "--model", str(behaviour))
        context = serving(raw.url, *options, **variables)
        served = await asyncio.to_thread(context.__enter__)
        try:
            tasks = [asyncio.create_task(ask(served.port, n)) for n in range(count)]
            for _ in tasks:
                await asyncio.wait_for(held.arrived.acquire(), 20)
            yield served, held, tasks, raw
        finally:
            held.go.set()
            await asyncio.to_thread(context.__exit__, None, None, None)


async def ask(port: int, number: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(get(b"/search?q=red+lamp+%d" % number))
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def refused(port: int) -> None:
    """Wait until no connection is taken any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                # The listener closed with this connection still in its queue: ask again.
                continue
            writer.close()


async def ended(served: Served, limit: float = 10.0) -> int:
    return await asyncio.to_thread(served.process.wait, limit)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_under_way_finishes_and_what_is_new_is_refused(
    behaviour: Path, number: int
) -> None:
    async with under_load(behaviour) as (served, held, tasks, _):
        served.stop(number)
        await refused(served.port)
        assert served.process.poll() is None
        assert not any(task.done() for task in tasks)
        held.go.set()
        for answer in await asyncio.gather(*tasks):
            status, _, body = split(answer)
            assert (status, body) == (200, b"done")
        await ended(served)


async def test_the_wait_is_bounded(behaviour: Path) -> None:
    async with under_load(behaviour, QUERYLIFT_SHUTDOWN_GRACE="0.5") as (served, _, tasks, raw):
        began = perf_counter()
        served.stop()
        await ended(served)
        assert 0.4 < perf_counter() - began < 5
        await asyncio.gather(*tasks)
        assert raw.requests


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once(behaviour: Path, second: int, tmp_path: Path) -> None:
    file = tmp_path / "memo"
    async with under_load(behaviour, QUERYLIFT_MEMO_SNAPSHOT=str(file)) as (served, _, tasks, _):
        served.stop()
        await refused(served.port)
        began = perf_counter()
        served.stop(second)
        await ended(served)
        assert perf_counter() - began < 5
        await asyncio.gather(*tasks)
    assert not any("memo" in name for name in os.listdir(tmp_path))
