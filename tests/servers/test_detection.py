"""Detecting an upstream's dialect: with a manual clock and scripted answers, and over sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from middleware import ConfigurationError
from middleware.dialects.detection.client import ProbeAnswer, ProbeError, SendProbe, probe_client
from middleware.dialects.detection.detector import LOGGER, DialectDetector
from middleware.dialects.detection.probes import PROBES
from middleware.serving.assembly import build_proxy
from middleware.serving.server import served_in_thread
from middleware.serving.settings import Settings, UpstreamSettings
from middleware.testing import ManualClock
from tests.upstream.wire import Received, reply, upstream
from tests.ways.driving import until

pytestmark = pytest.mark.anyio

GONE = ProbeError("no connection", reachable=False)
SLOW = ProbeError("slow", reachable=True)
MISSING: ProbeAnswer = (404, [], b"nothing here")
BOOTS: ProbeAnswer = (503, [], b"<html>Service Unavailable</html>")
ELASTIC: ProbeAnswer = (200, [(b"X-Elastic-Product", b"Elasticsearch")], b"{}")
Say = Callable[[str], ProbeAnswer | Exception]


@pytest.fixture
def anyio_backend() -> str:
    """Sockets of asyncio."""
    return "asyncio"


class Detection:
    """A detector whose upstream answers what the test says, with what it used."""

    def __init__(self, say: Say, **options: object) -> None:
        self.say = say
        self.probes: list[str] = []
        self.used: list[str] = []
        self.clock = ManualClock()
        self.detector = DialectDetector(
            "http://search.test:9200",
            self.used.append,
            connect=self._connect,
            now=self.clock.now,
            sleep=self._sleep,
            **options,  # type: ignore[arg-type]
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[SendProbe]:
        yield self._send

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        timer = self.clock.call_at(self.clock.now() + seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    async def _send(self, probe: str) -> ProbeAnswer:
        self.probes.append(probe)
        said = self.say(probe)
        if isinstance(said, Exception):
            raise said
        return said

    async def __aenter__(self) -> Detection:
        self.detector.start()
        await self.clock.settle()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.detector.stop()
        assert "detection" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_an_upstream_that_starts_later(caplog: pytest.LogCaptureFixture) -> None:
    """It is probed seldom enough; one line says why not yet, one what it is."""
    caplog.set_level(logging.INFO, LOGGER)
    async with Detection(lambda probe: GONE) as detection:
        assert (detection.probes, detection.used) == (["/"], [])
        await detection.clock.advance(100.0)
        assert detection.probes == ["/"] * 24
        detection.say = lambda probe: ELASTIC
        await detection.clock.advance(5.0)
        assert detection.used == ["elasticsearch"]
        assert len(detection.probes) == 25
        detection.detector.start()
        await detection.clock.advance(10_000.0)
        assert len(detection.probes) == 25, "the dialect is known"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (
            "WARNING",
            "http://search.test:9200 cannot be asked yet which search API it is: no connection; "
            "until then, requests pass unchanged (dialect_unknown)",
        ),
        (
            "INFO",
            "http://search.test:9200 speaks elasticsearch, as its answer to GET / shows",
        ),
    ]


@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 500, 501]
)
async def test_an_app(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it answers to unknown paths, it is an app at once, and that is logged once."""
    caplog.set_level(logging.INFO, LOGGER)
    answer: ProbeAnswer = (status, [(b"location", b"https://login.test/")], b"<html>hello</html>")
    async with Detection(lambda probe: answer) as detection:
        assert (detection.probes, detection.used) == ([*PROBES], ["plain"])
        await detection.clock.advance(100_000.0)
        assert detection.probes == [*PROBES] * 4
        assert detection.used == ["plain"]
    [record] = caplog.records
    assert "none of the known search APIs, so its dialect is plain" in record.getMessage()


@pytest.mark.parametrize("first", [BOOTS, (429, [], b""), (502, [], b""), (504, [], b"")])
async def test_one_that_boots(first: ProbeAnswer) -> None:
    """It is not taken for an app, and each round is one probe."""
    async with Detection(lambda probe: first if probe == "/" else MISSING) as detection:
        await detection.clock.advance(30.0)
        assert set(detection.probes) == {"/"}
        assert detection.used == []
        detection.say = lambda probe: ELASTIC
        await detection.clock.advance(5.0)
        assert detection.used == ["elasticsearch"]


async def test_one_that_boots_behind_a_load_balancer() -> None:
    """It is taken for an app until a later round."""
    async with Detection(lambda probe: MISSING) as detection:
        assert detection.used == ["plain"]
        detection.say = lambda probe: ELASTIC
        await detection.clock.advance(29.0)
        assert detection.used == ["plain"]
        await detection.clock.advance(2.0)
        assert detection.used == ["plain", "elasticsearch"]


@pytest.mark.parametrize(
    "failure",
    [
        BOOTS,
        SLOW,
    ],
)
async def test_an_app_whose_front_page_never_works(failure: ProbeAnswer | Exception) -> None:
    """It is taken for an app after a minute."""
    async with Detection(lambda probe: failure if probe == "/" else MISSING) as detection:
        await detection.clock.advance(55.0)
        assert detection.used == []
        await detection.clock.advance(15.0)
        assert detection.used == ["plain"]


async def test_an_unexpected_exception_is_logged_and_the_round_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Detection(lambda probe: ValueError("a fault")) as detection:
        await detection.clock.advance(1.0)
        detection.say = lambda probe: ELASTIC
        await detection.clock.advance(2.0)
        assert detection.used == ["elasticsearch"]
    assert "a fault" in caplog.text


async def test_it_can_be_stopped_and_started_again() -> None:
    async with Detection(lambda probe: GONE) as detection:
        detection.detector.start()
        await detection.clock.settle()
        assert detection.probes == ["/"], "one task probes"
        await detection.detector.stop()
        await detection.clock.advance(100.0)
        assert detection.probes == ["/"]
        detection.detector.start()
        await detection.clock.settle()
        assert detection.probes == ["/", "/"]


@pytest.mark.parametrize(
    ("named", "answer", "warns"),
    [
        ("elasticsearch", ELASTIC, False),
        ("opensearch", ELASTIC, False),
        ("solr", ELASTIC, True),
        ("solr", MISSING, False),
    ],
)
async def test_a_dialect_that_was_named_stays(
    named: str, answer: ProbeAnswer, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A contradiction is logged once, and nothing else."""
    caplog.set_level(logging.INFO, LOGGER)
    async with Detection(lambda probe: GONE, named=named) as detection:
        await detection.clock.advance(10.0)
        detection.say = lambda probe: answer
        await detection.clock.advance(1000.0)
        assert detection.used == []
        assert detection.probes[-len(PROBES) :].count("/") <= len(PROBES)
        count = len(detection.probes)
        await detection.clock.advance(1000.0)
        assert len(detection.probes) == count
    assert [record.getMessage() for record in caplog.records] == [
        "the dialect is set to solr, but http://search.test:9200 speaks elasticsearch, as its "
        "answer to GET / shows"
    ] * warns


async def test_a_quiet_one_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    async with Detection(lambda probe: GONE, quiet=True) as detection:
        detection.say = lambda probe: ELASTIC
        await detection.clock.advance(1.0)
        assert detection.used == ["elasticsearch"]
    assert caplog.records == []


# --- On sockets ---


async def found(url: str) -> str:
    """Return the first dialect that is used for an upstream."""
    used: list[str] = []
    detector = DialectDetector(url, used.append)
    detector.start()
    try:
        await until(lambda: used)
    finally:
        await detector.stop()
    return used[0]


async def _elasticsearch(request: Request) -> Response:
    body = {"version": {"number": "9.0.0", "lucene_version": "10.1.0"}, "tagline": "t"}
    return JSONResponse(body, headers={"x-elastic-product": "Elasticsearch"})


async def _refused(request: Request) -> Response:
    return PlainTextResponse("no", 403)


async def _typesense(request: Request) -> Response:
    said = "Forbidden - a valid `x-typesense-api-key` header must be sent."
    return JSONResponse({"message": said}, 401)


async def _meilisearch(request: Request) -> Response:
    return JSONResponse({"commitSha": "x", "commitDate": "x", "pkgVersion": "1.9.0"})


async def _solr(request: Request) -> Response:
    return PlainTextResponse('<html ng-app="solrAdminApp">' + " " * 200_000)


async def _endless(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 10_000
            await asyncio.sleep(0)  # lets the server notice that the client has left

    return StreamingResponse(pieces())


@pytest.mark.parametrize(
    ("routes", "dialect"),
    [
        ([Route("/", _elasticsearch)], "elasticsearch"),
        ([Route("/", _refused), Route("/collections", _typesense)], "typesense"),
        ([Route("/", _endless), Route("/version", _meilisearch)], "meilisearch"),
        ([Route("/solr/", _solr)], "solr"),
        ([Route("/", _refused), Route("/search", _refused)], "plain"),
    ],
)
async def test_the_first_answer_that_identifies_a_dialect_counts(
    routes: list[Route], dialect: str
) -> None:
    """Refusals and unknown paths before it do not matter, nor does the length of a page."""
    with served_in_thread(Starlette(routes=routes)) as url:
        assert await found(url) == dialect
    with served_in_thread(Starlette(routes=[Mount("/base", routes=routes)])) as url:
        assert await found(f"{url}/base/") == dialect


async def test_probes_are_harmless() -> None:
    """GETs without credentials, cookies or a body; a redirect is not followed."""
    lines = (b"Location: http://[::bad/", b"Set-Cookie: a=b; Path=/")
    answer = reply(b"", *lines, status=b"307 Temporary Redirect")
    async with upstream(answer) as raw:
        assert await found(raw.url) == "plain"
        assert [request.target.decode() for request in raw.requests] == [*PROBES]
        for request in raw.requests:
            assert request.head.startswith(b"GET ")
            assert {name for name, _ in request.lines} <= {
                b"host", b"user-agent", b"accept", b"accept-encoding", b"connection",
            }  # fmt: skip


async def test_an_answer_that_never_ends_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was received is enough, and the connection is closed."""
    monkeypatch.setattr("middleware.dialects.detection.client._BODY", 0.1)

    async def drips(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    async with upstream(drips) as raw:
        assert await found(raw.url) == "elasticsearch"
        assert len(raw.requests) == 1


@pytest.mark.parametrize("reset", [False, True])
async def test_one_that_closes_its_connections_is_not_there(reset: bool) -> None:
    """A proxy does so while nothing listens behind it; it is never taken for an app."""

    async def close(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with upstream(close) as raw, probe_client(raw.url, False) as send:
        for _ in range(2):
            with pytest.raises(ProbeError, match="closed the connection") as caught:
                await send("/")
            assert not caught.value.reachable


async def test_failures_of_a_probe() -> None:
    """They tell an upstream that is there from one that is not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with probe_client(f"http://127.0.0.1:{port}", False) as send:
        with pytest.raises(ProbeError, match="no connection to the upstream") as caught:
            await send("/")
        assert not caught.value.reachable
    async with upstream(reply(status=b"2OO")) as raw, probe_client(raw.url, False) as send:
        with pytest.raises(ProbeError, match="not valid HTTP") as caught:
            await send("/")
        assert caught.value.reachable


def test_unknown_names_fail_at_the_start() -> None:
    """The error lists the known names, before anything is probed."""
    for name in ("elastic", "", "pending"):
        with pytest.raises(ConfigurationError, match=r"no dialect is called .*algolia.*typesense"):
            build_proxy(Settings(upstream=UpstreamSettings(url="http://127.0.0.1:1"), dialect=name))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, None),
        ({"dialect": "auto"}, None),
        ({"path": ("/find",)}, None),
        ({"param": ("text",)}, "plain"),
        ({"json_pointer": ("/query",)}, "plain"),
        ({"json_pointer": ("/query",), "dialect": "solr"}, "solr"),
    ],
)
def test_settings_for_the_text_name_the_plain_dialect(
    options: dict[str, object], named: str | None
) -> None:
    assert Settings(**options).named_dialect == named  # type: ignore[arg-type]
    proxy = build_proxy(Settings(upstream=UpstreamSettings(url="http://127.0.0.1:1"), **options))  # type: ignore[arg-type]
    assert (proxy.background is None) == (named == "plain")
    assert proxy.dialects() == {"dialect": named, "dialect_guessed": named is None}
