"""Pages and typing: what a client's earlier search means for the one that is asked now."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Scope

from middleware import (
    Clients,
    ConfigurationError,
    RateLimiter,
    ReformulationMiddleware,
    SearchRule,
    TypingAhead,
    by_connection,
    by_header,
)
from middleware.dialects.registry import load_dialect
from middleware.serving.assembly import build_clients, build_proxy
from middleware.serving.settings import Settings, UpstreamSettings
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .driving import JSON, App, body_messages, call, http_scope, said

pytestmark = pytest.mark.anyio
BROWSER = (b"sec-fetch-site", b"same-origin")


def rules(dialect: str) -> list[SearchRule]:
    """Return the rule of a dialect."""
    return [SearchRule("/**", dialect=load_dialect(dialect))]


class Search:
    """An app behind the middleware, asked in the words of one API."""

    def __init__(self, build: Build, dialect: str = "solr", **options: Any) -> None:
        self.app = App()
        self.always: tuple[tuple[bytes, bytes], ...] = ()
        clients = options.pop("clients", None)
        self.middleware = ReformulationMiddleware(
            self.app,
            build(**options),
            rules=rules(dialect),
            trust_control=True,
            clients=clients,
        )

    async def get(self, query: bytes, *lines: tuple[bytes, bytes], **scope: Any) -> str:
        """Ask Solr; return what the header says."""
        path = scope.pop("path", "/solr/c/select")
        asked = http_scope(path=path, query=query, headers=lines, **scope)
        return said((await call(self.middleware, asked)).result)

    async def post(self, path: str, body: Any) -> str:
        """Send JSON; return what the header says."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        asked = http_scope("POST", path, headers=[JSON, *self.always])
        return said((await call(self.middleware, asked, body_messages(data))).result)


async def test_page_two_has_the_query_of_page_one(build: Build, engine: ScriptedEngine) -> None:
    """Byte for byte, without asking the engine again."""
    search = Search(build)
    assert await search.get(b"q=red+lamp&start=0") == "rewritten;src=engine"
    assert await search.get(b"q=red+lamp&start=10") == "rewritten;src=memo"
    assert search.app.query == b"q=lifted+red+lamp&start=10"
    assert engine.calls == [["red lamp"]]


@pytest.mark.parametrize(
    "query", [b"q=red+lamp&page=2", b"q=red+lamp&start=10", b"offset=10&q=red+lamp"]
)
async def test_so_has_that_of_a_plain_search(build: Build, query: bytes) -> None:
    search = Search(build, "plain")
    assert await search.get(query) == "skipped;reason=paged"
    assert await search.get(b"q=red+lamp") == "rewritten;src=engine"
    assert await search.get(query) == "rewritten;src=memo"
    assert search.app.query == query.replace(b"red+lamp", b"lifted+red+lamp")


async def test_page_two_without_a_page_one_goes_on_as_it_came(
    build: Build, engine: ScriptedEngine
) -> None:
    """That the memo knows the text from somebody else is no reason to rewrite it."""
    search = Search(build)
    await search.get(b"q=red+lamp", client=("10.0.0.9", 1))
    assert await search.get(b"q=red+lamp&start=10") == "skipped;reason=paged"
    assert search.app.query == b"q=red+lamp&start=10"


async def test_the_page_one_seen_last_is_the_one_that_counts(
    build: Build, engine: ScriptedEngine
) -> None:
    """After a first page that was sent as it came, the later ones are too, and the other way."""
    search = Search(build)
    off = (b"query-reformulation-control", b"off")
    await search.get(b"q=red+lamp")
    assert await search.get(b"q=red+lamp", off) == "skipped;reason=disabled"
    assert await search.get(b"q=red+lamp&start=10") == "skipped;reason=paged"
    await search.get(b"q=red+lamp")
    assert await search.get(b"q=red+lamp&start=20") == "rewritten;src=memo"


async def test_a_first_page_that_was_late_has_later_pages_as_they_came(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """Although the rewrite is known by the time the second page is asked for."""
    engine.delay = 0.15
    search = Search(build, budget=0.1)
    late = asyncio.ensure_future(search.get(b"q=red+lamp"))
    await clock.advance(0.2)
    assert await late == "fallback;reason=timeout"
    assert len(search.middleware.reformulator.memo) == 1
    assert await search.get(b"q=red+lamp&start=10") == "skipped;reason=paged"
    assert search.app.query == b"q=red+lamp&start=10"


@pytest.mark.parametrize("word", [b"off", b"mode=shadow"])
async def test_a_caller_may_have_a_later_page_as_it_came(build: Build, word: bytes) -> None:
    search = Search(build)
    await search.get(b"q=red+lamp")
    control = (b"query-reformulation-control", word)
    assert await search.get(b"q=red+lamp&start=10", control) == "skipped;reason=paged"
    assert search.app.query == b"q=red+lamp&start=10"


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({}, {"path": "/solr/d/select"}),
        ({}, {"client": ("10.0.0.9", 50000)}),
        ({}, {"lines": [(b"authorization", b"Bearer b")]}),
        ({"lines": [(b"authorization", b"Bearer a")]}, {"lines": [(b"authorization", b"B b")]}),
    ],
)
async def test_other_clients_and_other_searches_are_apart(
    build: Build, first: dict[str, Any], later: dict[str, Any]
) -> None:
    search = Search(build)
    first_lines, later_lines = first.pop("lines", []), later.pop("lines", [])
    await search.get(b"q=red+lamp", *first_lines, **first)
    asked = await search.get(b"q=red+lamp&start=10", *later_lines, **later)
    assert asked == "skipped;reason=paged"


async def test_another_port_of_the_client_is_the_same_client(build: Build) -> None:
    """Connections come and go."""
    search = Search(build)
    await search.get(b"q=red+lamp", client=("127.0.0.1", 1))
    assert await search.get(b"q=red+lamp&start=9", client=("127.0.0.1", 2)) == "rewritten;src=memo"


async def test_expanded_pages_are_said_alike(build: Build) -> None:
    """A clause that can say added terms and one that cannot: each page has both as page one."""
    engine = ScriptedEngine({"garden lamp": "outdoor lamp"})
    search = Search(build, "elasticsearch", engine=engine, mode="expand")
    clauses: list[dict[str, Any]] = [
        {"match": {"t": "garden lamp"}},
        {"semantic": {"field": "v", "query": "garden lamp"}},
    ]
    body: dict[str, Any] = {"query": {"bool": {"should": clauses}}, "from": 0}
    assert await search.post("/i/_search", body) == "rewritten;src=engine"
    first = json.loads(search.app.bodies[-1])
    assert first["query"] != body["query"]
    body["from"] = 10
    assert await search.post("/i/_search", body) == "rewritten;src=memo"
    later = json.loads(search.app.bodies[-1])
    assert later == {**first, "from": 10}
    assert "outdoor" in json.dumps(later)


async def test_the_pages_of_a_multi_search(build: Build) -> None:
    """Queries of one request are pages each for itself."""
    search = Search(build, "meilisearch")
    queries: list[dict[str, Any]] = [
        {"indexUid": "a", "q": "red lamp"},
        {"indexUid": "b", "q": "old house"},
    ]
    await search.post("/multi-search", {"queries": queries})
    later = [
        {"indexUid": "a", "q": "red lamp", "offset": 20},
        {"indexUid": "b", "q": "new house", "offset": 20},
        {"indexUid": "c", "q": "old house"},
    ]
    await search.post("/multi-search", {"queries": later})
    sent = json.loads(search.app.bodies[-1])["queries"]
    assert [query["q"] for query in sent] == ["lifted red lamp", "new house", "lifted old house"]


async def test_signed_pages_stay(build: Build) -> None:
    search = Search(build)
    await search.get(b"q=red+lamp")
    signed = (b"x-amz-signature", b"0" * 64)
    assert await search.get(b"q=red+lamp&start=10", signed) == "skipped;reason=signed"


async def test_typing_is_left_alone_until_a_text_is_asked_for_twice(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """Each beginning goes on as it came; Enter, and a text after a pause, are rewritten."""
    clients = Clients(typing=TypingAhead(window=1.0), clock=clock)
    search = Search(build, clients=clients)
    outcomes = []
    for text in (b"red+lam", b"red+lamp", b"red+lamps", b"red+lamps"):
        outcomes.append(await search.get(b"q=" + text, BROWSER))
        clock.seconds += 0.2
    assert outcomes[1:] == ["skipped;reason=typing"] * 2 + ["rewritten;src=engine"]
    assert engine.calls[-1] == ["red lamps"]
    assert ["red lamp"] not in engine.calls
    clock.seconds += 2.0
    assert await search.get(b"q=red+lamps+tall", BROWSER) == "rewritten;src=engine"


async def test_typing_is_off_by_default_in_an_app(build: Build) -> None:
    search = Search(build)
    await search.get(b"q=red+lamp", BROWSER)
    assert await search.get(b"q=red+lamp+tall", BROWSER) == "rewritten;src=engine"


def serving(build: Build, clock: ManualClock, **options: Any) -> Search:
    """Return a search behind what ``querylift serve`` remembers of clients."""
    engine = ScriptedEngine(lambda text: f"lifted {text}")
    return Search(build, engine=engine, clients=build_clients(Settings(**options), None, clock))


@pytest.mark.model
async def test_serve_leaves_typing_alone_unless_told_otherwise(
    build: Build, clock: ManualClock
) -> None:
    """Keys of a browser's page, closer than the window; not a search after a pause."""
    search = serving(build, clock)
    await search.get(b"q=red+lam", BROWSER)
    clock.seconds += 0.29
    assert await search.get(b"q=red+lamp", BROWSER) == "skipped;reason=typing"
    clock.seconds += 0.31
    assert await search.get(b"q=red+lamp+tall", BROWSER) == "rewritten;src=engine"


async def test_serve_does_not_look_for_typing_with_zero_typing_ms(
    build: Build, clock: ManualClock
) -> None:
    search = serving(build, clock, typing_ms=0.0)
    await search.get(b"q=red+sof", BROWSER)
    assert await search.get(b"q=red+sofa", BROWSER) == "rewritten;src=engine"


Line = tuple[bytes, bytes]
BEHIND = (BROWSER, (b"x-forwarded-for", b"192.0.2.1"))
ME = (*BEHIND, (b"cookie", b"session=a"), (b"user-agent", b"A"))


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [
        # An app that asks for all of its users, with its own address and credentials.
        ((), (), {}),
        ([(b"authorization", b"ApiKey a")], [(b"authorization", b"ApiKey a")], {}),
        ([(b"user-agent", b"es-py"), (b"x-opaque-id", b"1")], [(b"user-agent", b"es-py")], {}),
        # Browsers that share an address: an office, a proxy that says nothing of whom it serves.
        ([BROWSER], [BROWSER], {"client": ("127.0.0.1", 50001)}),
        ([BROWSER, (b"user-agent", b"A")], [BROWSER, (b"user-agent", b"B")], {}),
        ([BROWSER, (b"cookie", b"s=a")], [BROWSER, (b"cookie", b"s=b")], {}),
        ([BROWSER, (b"cookie", b"s=a")], [BROWSER], {}),
        # Those behind a proxy that does.
        (BEHIND, [BROWSER, (b"x-forwarded-for", b"192.0.2.2")], {}),
        (BEHIND, [BROWSER, (b"forwarded", b"for=192.0.2.1")], {}),
        (BEHIND, BEHIND, {"client": ("127.0.0.9", 50000)}),
        (BEHIND, BEHIND[1:], {}),
        # Who says to be somebody else, without their cookie.
        (ME, (*BEHIND, (b"user-agent", b"A")), {}),
    ],
)
async def test_nobody_types_for_somebody_else(
    build: Build, clock: ManualClock, first: Any, second: Any, more: dict[str, Any]
) -> None:
    """What one asked for does not show in what becomes of the other's finished search."""
    search = serving(build, clock)
    await search.get(b"q=red+lamp", *first)
    assert await search.get(b"q=red+lamp+tall", *second, **more) == "rewritten;src=engine"


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        ([BROWSER], {}),
        (BEHIND, {"client": ("127.0.0.1", 50001)}),  # the proxy took another of its connections
        (ME, {"client": ("127.0.0.1", 50001)}),
    ],
)
async def test_one_person_types(
    build: Build, clock: ManualClock, lines: Any, more: dict[str, Any]
) -> None:
    search = serving(build, clock)
    await search.get(b"q=red+lamp", *lines)
    assert await search.get(b"q=red+lamp+tall", *lines, **more) == "skipped;reason=typing"
    path = "/solr/other/select"
    assert await search.get(b"q=red+lamp+tall+old", *lines, path=path) == "rewritten;src=engine"


async def test_a_header_that_tells_clients_apart_tells_who_types(
    build: Build, clock: ManualClock
) -> None:
    """Also where a program asks for people; requests without it are nobody's."""
    search = serving(build, clock, client_header="X-User")
    me, you = (b"x-user", b"me"), (b"x-user", b"you")
    await search.get(b"q=red+lamp", me)
    assert await search.get(b"q=red+lamp+tall", you) == "rewritten;src=engine"
    assert await search.get(b"q=red+lamp+old", me) == "skipped;reason=typing"
    await search.get(b"q=green+sofa")
    assert await search.get(b"q=green+sofa+old") == "rewritten;src=engine"


async def test_one_keystroke_that_asks_in_two_places_is_one(
    build: Build, clock: ManualClock
) -> None:
    """Two indices in one request, and two requests to different paths, are not asked twice."""
    clients = Clients(typing=TypingAhead(), clock=clock)
    search = Search(build, "meilisearch", clients=clients)

    def both(text: str) -> dict[str, Any]:
        return {"queries": [{"indexUid": uid, "q": text} for uid in ("a", "b")]}

    search.always = (BROWSER,)
    await search.post("/multi-search", both("red lam"))
    assert await search.post("/multi-search", both("red lamp")) == "skipped;reason=typing"
    for path, source in (("/indexes/a/search", "engine"), ("/indexes/b/search", "memo")):
        assert await search.post(path, {"q": "old hous"}) == f"rewritten;src={source}"
    for path in ("/indexes/a/search", "/indexes/b/search"):
        assert await search.post(path, {"q": "old house"}) == "skipped;reason=typing"


def test_clients_told_apart_by_a_header() -> None:
    """Behind a proxy all have its address; without the header, that is what there is."""
    client_key = by_header("X-Forwarded-For")

    def scope(*lines: tuple[bytes, bytes]) -> Scope:
        return http_scope(headers=lines)

    a, b = (scope((b"x-forwarded-for", address)) for address in (b"10.0.0.1", b"10.0.0.2"))
    assert by_connection(a) == by_connection(b) == "127.0.0.1"
    assert client_key(a) != client_key(b)
    assert client_key(a) == client_key(dict(a, client=("10.9.9.9", 7)))
    assert client_key(scope()) == by_connection(scope())
    secret = scope((b"authorization", b"Bearer secret"))
    assert "secret" not in repr(by_connection(secret))
    assert by_connection(http_scope(client=None)) == ""
    with pytest.raises(ConfigurationError, match="not the name of a header"):
        by_header("X Forwarded")


def test_serve_has_settings_for_it() -> None:
    """A wrong header is told at the start."""
    build_proxy(
        Settings(
            upstream=UpstreamSettings(url="http://x"), client_header="X-Real-IP", typing_ms=800.0
        )
    )
    with pytest.raises(ConfigurationError, match="not the name of a header"):
        build_proxy(Settings(upstream=UpstreamSettings(url="http://x"), client_header="a b"))
    with pytest.raises(ConfigurationError, match="typing_ms"):
        Settings(typing_ms=-1.0)


async def test_one_client_cannot_have_all_of_the_engine(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """What the memo knows costs nothing; others have theirs, and time fills the bucket again."""
    clients = Clients(rate_limiter=RateLimiter(1.0, burst=2), clock=clock)
    search = Search(build, clients=clients)
    me, you = {"client": ("192.0.2.1", 1)}, {"client": ("192.0.2.2", 1)}
    assert await search.get(b"q=red+lamp", **me) == "rewritten;src=engine"
    assert await search.get(b"q=blue+lamp", **me) == "rewritten;src=engine"
    for text in (b"q=green+lamp", b"q=white+lamp"):
        assert await search.get(text, **me) == "fallback;reason=rate_limited"
    assert await search.get(b"q=red+lamp", **me) == "rewritten;src=memo"
    assert await search.get(b"q=green+lamp", **you) == "rewritten;src=engine"
    assert await search.get(b"q=green+lamp", **me) == "rewritten;src=memo"
    await clock.advance(1.0)
    assert await search.get(b"q=white+lamp", **me) == "rewritten;src=engine"
    assert await search.get(b"q=black+lamp", **me) == "fallback;reason=rate_limited"
    assert len(engine.calls) == 4
