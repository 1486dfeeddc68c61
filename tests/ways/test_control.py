"""The control header: what it means, who may say it, and that it goes no further."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from middleware import (
    ConfigurationError,
    Mode,
    ReformulationMiddleware,
    Reformulator,
    SearchRule,
    trusting,
)
from middleware.asgi import MAX_BUDGET
from middleware.http.control import DEFAULT_CONTROL, Control, parse_control
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .driving import App, Client, call, http_scope, said, until

pytestmark = pytest.mark.anyio

CONTROL = b"query-reformulation-control"


@pytest.mark.parametrize(
    ("value", "control"),
    [
        ("", Control()),
        ("off", Control(mode=Mode.OFF)),
        ("no-cache", Control(cached=False)),
        ("no-store", Control(stored=False)),
        ("budget=50", Control(budget=0.05)),
        ("budget=12.5", Control(budget=0.0125)),
        ("budget=0", Control(budget=0.0)),
        ("budget=999999", Control(budget=10.0)),
        ("mode=expand", Control(mode=Mode.EXPAND)),
        (
            " NO-Cache , no-store,Budget = 20 ,\tMODE=Shadow ",
            Control(Mode.SHADOW, 0.02, False, False),
        ),
        ("off, mode=replace", Control(mode=Mode.REPLACE)),
        ("budget=20, budget=30", Control(budget=0.03)),
        ("budget=20, budget=soon", Control(budget=0.02)),
        ("mode=expand, mode=louder", Control(mode=Mode.EXPAND)),
        *[
            (nonsense, Control())
            for nonsense in (
                "on",
                "budget",
                "budget=",
                "budget=-1",
                "budget=nan",
                "budget=inf",
                "budget=1e999",
                "mode=",
                "mode",
                "mode=of",
                "nocache",
                ",,;=,=,\x00\xff",
                '"off"',
            )
        ],
    ],
)
def test_what_entries_mean(value: str, control: Control) -> None:
    assert parse_control(value, max_budget=10.0) == control


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.floats(0.001, 60))
@example("budget=1_0", 1.0)
@example("budget=٣", 1.0)
def test_nothing_that_is_said_breaks_it_or_passes_the_bound(value: str, most: float) -> None:
    control = parse_control(value, max_budget=most)
    if control.budget is not None:
        assert math.isfinite(control.budget)
        assert 0 <= control.budget <= most


_ENTRIES = st.lists(
    st.sampled_from(["off", "no-cache", "no-store", "mode=expand", "mode=off", "budget=7"]),
    max_size=6,
)


@given(_ENTRIES, st.lists(st.sampled_from(["x", "budget=x", "mode=x", "", "=", "off-ish"])))
def test_nonsense_between_entries_changes_nothing(entries: list[str], nonsense: list[str]) -> None:
    alone = parse_control(",".join(entries), max_budget=1.0)
    mixed = [word for pair in zip(nonsense, entries, strict=False) for word in pair]
    mixed += [*entries[len(nonsense) :], *nonsense[len(entries) :]]
    assert parse_control(",".join(mixed), max_budget=1.0) == alone


@given(_ENTRIES)
def test_the_default_is_what_nothing_says(entries: list[str]) -> None:
    assert (parse_control(",".join(entries), max_budget=1.0) == DEFAULT_CONTROL) is (not entries)


RULES = [SearchRule("/search")]


@pytest.mark.parametrize("path", ["/search", "/other"])
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("values", [[b"off"], [b""], [b"x", b"\xff\x00"], [b"no-cache", b"off"]])
async def test_it_is_removed_for_everybody_everywhere(
    reformulator: Reformulator, path: str, trusted: bool, values: list[bytes]
) -> None:
    app = App()
    around = [(b"x-a", b"1"), *((CONTROL, value) for value in values), (b"x-b", b"2")]
    scope = http_scope(path=path, query=b"q=red+lamp", headers=around)
    before = [*scope["headers"]]
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, trust_control=trusted)
    client = await call(middleware, scope)
    assert app.scopes[0]["headers"][1:] == [(b"x-a", b"1"), (b"x-b", b"2")]
    assert scope["headers"] == before
    assert not client.header(CONTROL)
    if path == "/search":
        obeyed = trusted and b"off" in values
        assert said(client.result) == (
            "skipped;reason=disabled" if obeyed else "rewritten;src=engine"
        )


async def test_memo_entries_are_obeyed(reformulator: Reformulator, engine: ScriptedEngine) -> None:
    middleware = ReformulationMiddleware(App(), reformulator, rules=RULES, trust_control=True)

    async def source(control: bytes) -> str:
        scope = http_scope(query=b"q=red+lamp", headers=[(CONTROL, control)])
        return said((await call(middleware, scope)).result)

    assert await source(b"no-store") == "rewritten;src=engine"
    assert await source(b"") == "rewritten;src=engine", "nothing was kept"
    assert await source(b"") == "rewritten;src=memo"
    assert await source(b"no-cache") == "rewritten;src=engine"
    assert len(engine.calls) == 3


@pytest.mark.parametrize(
    ("control", "waits"),
    [(b"budget=250", 0.25), (b"budget=nonsense", 0.1), (b"budget=1e9", MAX_BUDGET)],
)
async def test_a_trusted_budget_is_kept_to(
    build: Build, clock: ManualClock, engine: ScriptedEngine, control: bytes, waits: float
) -> None:
    engine.delay = 100.0
    client = Client()
    middleware = ReformulationMiddleware(App(), build(), rules=RULES, trust_control=True)
    scope = http_scope(query=b"q=red+lamp", headers=[(CONTROL, control)])
    task = asyncio.ensure_future(middleware(scope, client.receive, client.send))
    await clock.advance(waits - 0.001)
    assert not task.done()
    await clock.advance(0.001)
    await until(task.done)
    assert said(client.result) == "fallback;reason=timeout"
    assert client.result[1]["dur"] == pytest.approx(1000 * waits, abs=0.01)


async def test_a_trusted_mode_is_obeyed(build: Build) -> None:
    app = App()
    reformulator = build(engine=ScriptedEngine({"garden lamp": "outdoor lamp"}))
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, trust_control=True)
    scope = http_scope(query=b"q=garden+lamp", headers=[(CONTROL, b"mode=expand")])
    await call(middleware, scope)
    assert app.query == b"q=garden+lamp+outdoor"


@pytest.mark.parametrize(
    ("networks", "client", "obeyed"),
    [
        (["10.0.0.0/8"], ("10.1.2.3", 5), True),
        (["10.0.0.0/8"], ("11.1.2.3", 5), False),
        (["192.0.2.7", "10.0.0.0/8"], ("192.0.2.7", 5), True),
        (["10.0.0.0/8"], ("::ffff:10.1.2.3", 5), True),
        (["fd00::/8"], ("fd12::1", 5), True),
        (["fd00::/8"], ("10.1.2.3", 5), False),
        (["0.0.0.0/0", "::/0"], None, False),
        (["0.0.0.0/0", "::/0"], ("testclient", 5), False),
        ([], ("127.0.0.1", 5), False),
    ],
)
async def test_callers_can_be_trusted_by_network(
    build: Build, networks: list[str], client: Any, obeyed: bool
) -> None:
    """By the connection's own address: what a header claims plays no part."""
    middleware = ReformulationMiddleware(
        App(), build(), rules=RULES, trust_control=trusting(networks)
    )
    claims = [(b"x-forwarded-for", b"10.1.2.3"), (b"forwarded", b"for=10.1.2.3")]
    scope = http_scope(query=b"q=red+lamp", headers=[(CONTROL, b"off"), *claims], client=client)
    outcome = said((await call(middleware, scope)).result)
    assert (outcome == "skipped;reason=disabled") is obeyed


@pytest.mark.parametrize("network", ["10.0.0.1/8", "localhost", "", "10.0.0.0/33"])
def test_what_is_no_network_is_told_at_once(network: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a network"):
        trusting([network])


async def test_trust_that_fails_is_none(build: Build) -> None:
    def broken(scope: Any) -> bool:
        raise KeyError("tenant")

    middleware = ReformulationMiddleware(App(), build(), rules=RULES, trust_control=broken)
    scope = http_scope(query=b"q=red+lamp", headers=[(CONTROL, b"off")])
    assert said((await call(middleware, scope)).result) == "rewritten;src=engine"
