"""Asking an upstream what it is: by a clock and answers of the test's own, and on sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from middleware.dialects.detection.detector import LOGGER, Answer, DialectDetector
from middleware.dialects.detection.probes import PROBES
from middleware.errors import ConfigurationError
from middleware.serving.assembly import build_proxy
from middleware.serving.server import served_in_thread
from middleware.serving.settings import Settings, UpstreamSettings
from middleware.testing import ManualClock
from middleware.upstream.errors import (
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from tests.upstream.wire import Received, reply, upstream
from tests.ways.driving import until

pytestmark = pytest.mark.anyio

GONE = UpstreamUnreachableError("no connection")
MISSING: Answer = (404, [], b"nothing here")
BOOTS: Answer = (503, [], b"<html>Service Unavailable</html>")
ELASTIC: Answer = (200, [(b"X-Elastic-Product", b"Elasticsearch")], b"{}")
Say = Callable[[str], Answer | Exception]


@pytest.fixture
def anyio_backend() -> str:
    """Sockets of asyncio."""
    return "asyncio"


class Asked:
    """A recognition whose upstream says what the test says, and what it came to."""

    def __init__(self, say: Say, **options: object) -> None:
        self.say = say
        self.probes: list[str] = []
        self.used: list[str] = []
        self.clock = ManualClock()
        self.recognition = DialectDetector(
            "http://search.test:9200",
            self.used.append,
            ask=self._ask,
            clock=self.clock,
            **options,  # type: ignore[arg-type]
        )

    async def _ask(self, probe: str) -> Answer:
        self.probes.append(probe)
        said = self.say(probe)
        if isinstance(said, Exception):
            raise said
        return said

    async def __aenter__(self) -> Asked:
        self.recognition.start()
        await self.clock.settle()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.recognition.stop()
        assert "recognition" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_one_that_comes_up_later(caplog: pytest.LogCaptureFixture) -> None:
    """It is asked seldom enough, told once why not yet, and once what it is."""
    caplog.set_level(logging.INFO, LOGGER)
    async with Asked(lambda probe: GONE) as asked:
        assert (asked.probes, asked.used) == (["/"], [])
        await asked.clock.advance(100.0)
        assert asked.probes == ["/"] * 24
        asked.say = lambda probe: ELASTIC
        await asked.clock.advance(5.0)
        assert asked.used == ["elasticsearch"]
        assert len(asked.probes) == 25
        asked.recognition.start()
        await asked.clock.advance(10_000.0)
        assert len(asked.probes) == 25, "all is said"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (
            "WARNING",
            "http://search.test:9200 cannot be asked yet which search API it is: no connection; "
            "until it can, requests pass as they came (dialect_unknown)",
        ),
        (
            "INFO",
            "http://search.test:9200 speaks elasticsearch, as its answer to GET / tells",
        ),
    ]


@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 500, 501]
)
async def test_an_app(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it says to what it does not know: it is one, at once, and that is told once."""
    caplog.set_level(logging.INFO, LOGGER)
    answer: Answer = (status, [(b"location", b"https://login.test/")], b"<html>hello</html>")
    async with Asked(lambda probe: answer) as asked:
        assert (asked.probes, asked.used) == ([*PROBES], ["plain"])
        await asked.clock.advance(100_000.0)
        assert asked.probes == [*PROBES] * 4
        assert asked.used == ["plain"]
    [record] = caplog.records
    assert "none of the search APIs known, so that its dialect is plain" in record.getMessage()


@pytest.mark.parametrize("first", [BOOTS, (429, [], b""), (502, [], b""), (504, [], b"")])
async def test_one_that_boots(first: Answer) -> None:
    """It is not taken for an app, and one probe is enough each time."""
    async with Asked(lambda probe: first if probe == "/" else MISSING) as asked:
        await asked.clock.advance(30.0)
        assert set(asked.probes) == {"/"}
        assert asked.used == []
        asked.say = lambda probe: ELASTIC
        await asked.clock.advance(5.0)
        assert asked.used == ["elasticsearch"]


async def test_one_that_boots_behind_what_answers_for_it() -> None:
    """It is taken for an app until a later look."""
    async with Asked(lambda probe: MISSING) as asked:
        assert asked.used == ["plain"]
        asked.say = lambda probe: ELASTIC
        await asked.clock.advance(29.0)
        assert asked.used == ["plain"]
        await asked.clock.advance(2.0)
        assert asked.used == ["plain", "elasticsearch"]


@pytest.mark.parametrize(
    "failure",
    [
        BOOTS,
        UpstreamTimeoutError("read"),
        UpstreamTimeoutError("total"),
        UpstreamProtocolError("no HTTP"),
    ],
)
async def test_an_app_whose_front_page_never_works(failure: Answer | Exception) -> None:
    """After a minute that is how it is."""
    async with Asked(lambda probe: failure if probe == "/" else MISSING) as asked:
        await asked.clock.advance(55.0)
        assert asked.used == []
        await asked.clock.advance(15.0)
        assert asked.used == ["plain"]


async def test_one_that_takes_no_connection_is_not_there() -> None:
    async with Asked(lambda probe: UpstreamTimeoutError("connect")) as asked:
        await asked.clock.advance(500.0)
        assert asked.used == []
        assert set(asked.probes) == {"/"}


async def test_a_fault_of_its_own_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Asked(lambda probe: ValueError("a fault")) as asked:
        await asked.clock.advance(1.0)
        asked.say = lambda probe: ELASTIC
        await asked.clock.advance(2.0)
        assert asked.used == ["elasticsearch"]
    assert "a fault" in caplog.text


async def test_stopped_it_asks_no_more_and_can_be_started_again() -> None:
    async with Asked(lambda probe: GONE) as asked:
        asked.recognition.start()
        await asked.clock.settle()
        assert asked.probes == ["/"], "one task asks"
        await asked.recognition.stop()
        await asked.clock.advance(100.0)
        assert asked.probes == ["/"]
        asked.recognition.start()
        await asked.clock.settle()
        assert asked.probes == ["/", "/"]


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
    named: str, answer: Answer, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What contradicts it is told once, and nothing else is."""
    caplog.set_level(logging.INFO, LOGGER)
    async with Asked(lambda probe: GONE, named=named) as asked:
        await asked.clock.advance(10.0)
        asked.say = lambda probe: answer
        await asked.clock.advance(1000.0)
        assert asked.used == []
        assert asked.probes[-len(PROBES) :].count("/") <= len(PROBES)
        count = len(asked.probes)
        await asked.clock.advance(1000.0)
        assert len(asked.probes) == count
    assert [record.getMessage() for record in caplog.records] == [
        "the dialect is solr, but http://search.test:9200 speaks elasticsearch, as its answer to "
        "GET / tells"
    ] * warns


async def test_a_quiet_one_leaves_the_telling_to_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    async with Asked(lambda probe: GONE, quiet=True) as asked:
        asked.say = lambda probe: ELASTIC
        await asked.clock.advance(1.0)
        assert asked.used == ["elasticsearch"]
    assert caplog.records == []


# --- On sockets ---


async def found(url: str) -> str:
    """Return what an upstream is taken for at first."""
    used: list[str] = []
    recognition = DialectDetector(url, used.append)
    recognition.start()
    try:
        await until(lambda: used)
    finally:
        await recognition.stop()
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
            await asyncio.sleep(0)  # as the server has to see that nobody listens any more

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
async def test_the_first_answer_that_tells_counts(routes: list[Route], dialect: str) -> None:
    """Refusals and unknown paths before it do not matter, nor how long a page is."""
    with served_in_thread(Starlette(routes=routes)) as url:
        assert await found(url) == dialect
    with served_in_thread(Starlette(routes=[Mount("/base", routes=routes)])) as url:
        assert await found(f"{url}/base/") == dialect


async def test_probes_are_harmless() -> None:
    """GETs without credentials or a body; where they are sent elsewhere, they do not go."""
    answer = reply(b"", b"Location: http://127.0.0.1:1/elsewhere", status=b"307 Temporary Redirect")
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
    """What has come of it is enough, and the connection is closed."""
    monkeypatch.setattr("middleware.dialects.detection.detector._BODY", 0.1)

    async def drips(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    async with upstream(drips) as raw:
        assert await found(raw.url) == "elasticsearch"
        assert len(raw.requests) == 1


def test_unknown_names_fail_at_the_start() -> None:
    """With the list of those there are, and before anything is asked."""
    for name in ("elastic", "", "undecided"):
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
def test_who_says_where_the_text_is_has_named_the_dialect(
    options: dict[str, object], named: str | None
) -> None:
    assert Settings(**options).named_dialect == named  # type: ignore[arg-type]
    proxy = build_proxy(Settings(upstream=UpstreamSettings(url="http://127.0.0.1:1"), **options))  # type: ignore[arg-type]
    assert (proxy.beside is None) == (named == "plain")
    assert proxy.dialects() == {"dialect": named, "dialect_guessed": named is None}
