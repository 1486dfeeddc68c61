"""``querylift serve`` without a dialect: it is detected once the upstream is there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.upstream.wire import RawUpstream, Received, exchange, get, silent_address, split

from .running import Served, ended, fresh, serving, until

pytestmark = pytest.mark.anyio

_THREAD = {"QUERYLIFT_ENGINE_PROCESS": "false"}
_ROOT = json.dumps({"version": {"number": "9.0.0", "lucene_version": "10"}, "tagline": "t"})


class Elastic:
    """Answers as Elasticsearch does, a search with the text that arrived; while it boots, 503."""

    def __init__(self) -> None:
        self.boots = False

    async def __call__(
        self, request: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        status, body = "200 OK", _ROOT
        if self.boots:
            status, body = "503 Service Unavailable", "not yet"
        elif request.target.endswith(b"/_search"):
            body = json.dumps({"hits": {"hits": []}, "asked": request.body.decode()})
        elif request.target != b"/":
            status, body = "404 Not Found", "{}"
        product = "" if self.boots else "X-Elastic-Product: Elasticsearch\r\n"
        length = f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{product}{length}\r\n{body}".encode())


class App:
    """A user's own app, which takes ``?q=`` and knows no other path."""

    async def __call__(
        self, request: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        found = request.target.startswith(b"/find?q=")
        status = b"200 OK" if found else b"404 Not Found"
        body = request.target if found else b"<html>no such page</html>"
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


@asynccontextmanager
async def running(
    behaviour: Path, url: str, *options: str, **variables: str
) -> AsyncIterator[Served]:
    """Run it with nothing but the upstream's URL."""
    engine = ("--engine", "faulty", "--model", str(behaviour), "--budget-ms", "5000")
    variables = {**_THREAD, "QUERYLIFT_ADMIN_METRICS": "true", **variables}
    context = serving(url, *engine, *options, dialect=None, **variables)
    served = await asyncio.to_thread(context.__enter__)
    try:
        yield served
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def listening(raw: RawUpstream, port: int = 0) -> AsyncIterator[RawUpstream]:
    server = await asyncio.start_server(raw._serve, "127.0.0.1", port)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        raw.drop_connections()


def match(text: str) -> bytes:
    body = json.dumps({"query": {"match": {"title": text}}}).encode()
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return get(b"/shop/_search", *lines, method=b"POST") + body


async def asked(served: Served, request: bytes) -> tuple[int, str, bytes]:
    """Return status, what the header says, and the body."""
    status, lines, body = split(await exchange(served.port, request))
    said = dict(lines).get(b"query-reformulation", b"none").decode()
    return status, said.partition(";dur=")[0], body


async def comes_to(served: Served, request: bytes, said: str) -> tuple[int, str, bytes]:
    async with asyncio.timeout(20):
        while (answer := await asked(served, request))[1] != said:
            pass  # each is a request that takes its time
    return answer


async def dialect(served: Served) -> tuple[Any, Any]:
    _, told = await asyncio.to_thread(served.ready)
    return told["dialect"], told["dialect_guessed"]


async def log_of(served: Served) -> list[str]:
    served.stop()
    _, told = await asyncio.to_thread(served.process.communicate, None, 10)
    return [line for line in told.splitlines() if "querylift.detection" in line]


async def test_an_upstream_that_comes_up_later(behaviour: Path) -> None:
    """The start does not wait; requests meanwhile carry the reason; no restart is needed."""
    raw = RawUpstream(Elastic())
    async with listening(raw):
        port = raw.port
    async with running(behaviour, f"http://127.0.0.1:{port}") as served:
        status, said, _ = await asked(served, match("a red lamp"))
        assert (status, said) == (502, "skipped;reason=dialect_unknown")
        assert await dialect(served) == (None, True)
        async with listening(raw, port):
            answer = await comes_to(served, match("a red lamp"), "rewritten;src=engine")
            assert json.loads(json.loads(answer[2])["asked"]) == {
                "query": {"match": {"title": "lifted a red lamp"}}
            }
            assert await dialect(served) == ("elasticsearch", True)
            # A request that is no search has no header.
            assert (await asked(served, get(b"/_cat/indices?q=a+red+lamp")))[1] == "none"
            count = 'querylift_reformulations_total{mode="replace",outcome="skipped",'
            count += 'reason="dialect_unknown",source=""}'
            assert await asyncio.to_thread(served.metric, count) >= 1
            first, second = await log_of(served)
    assert "WARNING" in first
    assert "cannot be asked yet which search API it is" in first
    assert "INFO" in second
    assert second.endswith("speaks elasticsearch, as its answer to GET / shows")


async def test_an_upstream_that_boots_first(behaviour: Path) -> None:
    """Its 503 is relayed, and not taken for the answer of an app."""
    elastic = Elastic()
    elastic.boots = True
    async with listening(RawUpstream(elastic)) as raw, running(behaviour, raw.url) as served:
        for _ in range(3):
            status, said, body = await asked(served, match("a red lamp"))
            assert (status, said, body) == (503, "skipped;reason=dialect_unknown", b"not yet")
        elastic.boots = False
        await comes_to(served, match("a red lamp"), "rewritten;src=engine")
        assert await dialect(served) == ("elasticsearch", True)


async def test_a_post_is_sent_once_while_the_dialect_is_unknown(behaviour: Path) -> None:
    """It may be no search, so it is not repeated if a kept connection turns out to be closed."""
    seen: list[int] = []

    async def answer(
        request: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.target != b"/order":
            writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
            return
        seen.append(id(writer))
        if len(seen) == 2:
            writer.close()
            raise ConnectionError
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with listening(RawUpstream(answer)) as raw, running(behaviour, raw.url) as served:
        order = get(b"/order", b"Content-Length: 2", method=b"POST") + b"{}"
        assert (await asked(served, order))[:2] == (200, "skipped;reason=dialect_unknown")
        assert (await asked(served, order))[0] == 502
        assert len(seen) == 2


async def test_an_app_of_the_users_own(behaviour: Path) -> None:
    """It is handled as ``plain``; one line says so, and how to change it."""
    async with listening(RawUpstream(App())) as raw, running(behaviour, raw.url) as served:
        target = b"/find?q=" + fresh().replace(" ", "+").encode()
        answer = await comes_to(served, get(target), "rewritten;src=engine")
        assert answer[2] == target.replace(b"q=", b"q=lifted+")
        assert (await asked(served, get(b"/find?q=a+lamp&page=2")))[1] == "skipped;reason=paged"
        status, said, _ = await asked(served, get(b"/other"))
        assert (status, said) == (404, "skipped;reason=no_text")
        assert await dialect(served) == ("plain", True)
        [line] = await log_of(served)
    assert "none of the known search APIs, so its dialect is plain" in line


async def test_each_worker_probes_and_one_logs(behaviour: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("the system cannot fork")
    elastic = Elastic()
    elastic.boots = True
    options = ("--workers", "2")
    async with (
        listening(RawUpstream(elastic)) as raw,
        running(behaviour, raw.url, *options) as served,
    ):
        base = served.admin.base_url
        ports = [(base.port or 0) + number for number in range(2)]

        def told(port: int) -> Any:
            try:
                return httpx.get(base.copy_with(port=port).join("/readyz"), trust_env=False).json()
            except httpx.TransportError:  # it is not there yet
                return {"dialect": "?"}

        for port in ports:
            await asyncio.to_thread(until, partial(lambda p: told(p)["dialect"] is None, port))
        elastic.boots = False
        for port in ports:
            await asyncio.to_thread(
                until, partial(lambda p: told(p)["dialect"] == "elasticsearch", port)
            )
        lines = await log_of(served)
    assert [line.split()[-2:] for line in lines if "speaks" in line] == [["/", "shows"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_while_it_asks(behaviour: Path, number: signal.Signals) -> None:
    """A probe without an answer does not delay the end, and logs nothing."""
    with silent_address() as url:
        async with running(behaviour, url) as served:
            assert await dialect(served) == (None, True)
            served.stop(number)
            _, told = await asyncio.to_thread(served.process.communicate, None, 3)
            assert told == ""


async def test_a_name_that_the_upstream_contradicts_is_logged(behaviour: Path) -> None:
    """It stays in use."""
    variables = {"QUERYLIFT_DIALECT": "solr"}
    async with (
        listening(RawUpstream(Elastic())) as raw,
        running(behaviour, raw.url, **variables) as served,
    ):
        await asyncio.to_thread(until, lambda: raw.requests)
        assert await dialect(served) == ("solr", False)
        assert (await asked(served, match("a red lamp")))[1] == "none"
        [line] = await log_of(served)
    assert "WARNING" in line
    assert "the dialect is set to solr, but" in line


def test_an_unknown_name_ends_the_start() -> None:
    status, told, _ = ended(["--upstream", "http://127.0.0.1:1", "--dialect", "elastic"])
    assert status == 1
    assert "no dialect is called 'elastic'; known: algolia, elasticsearch, " in told
