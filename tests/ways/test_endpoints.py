"""The endpoints of the middleware, and what its constructor refuses."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from middleware import (
    ConfigurationError,
    Metrics,
    MissingExtraError,
    ReformulationMiddleware,
    Reformulator,
    SearchRule,
)
from middleware.instrumentation.metrics import METRICS
from middleware.testing import ScriptedEngine

from .conftest import Build
from .driving import RESULT, App, call, http_scope
from .readiness import METRICS_PAGE, PREFIX, READY, readiness, wrapped

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("/ops/search", "/ops/search/readyz"), ("", "/readyz"), (PREFIX, READY)],
)
async def test_the_prefix_can_be_chosen(build: Build, prefix: str, path: str) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, build(), rules=[SearchRule()], prefix=prefix)
    assert (await readiness(middleware, path))[0] == 200
    assert (await readiness(middleware, f"/mounted{path}", root_path="/mounted"))[0] == 200
    head = await call(middleware, http_scope("HEAD", path))
    assert head.status == 200
    assert int(head.header(b"content-length")[0]) > 0
    assert not app.scopes
    for scope in (http_scope("POST", path), http_scope(path="/other/readyz")):
        await call(middleware, scope)
    assert len(app.scopes) == 2, "another method or place is the app's"


async def test_without_a_prefix_every_path_is_the_apps(build: Build) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, build(), prefix=None, metrics=Metrics(), rules=[])
    for path in (READY, METRICS_PAGE, "/readyz", "None/readyz"):
        await call(middleware, http_scope(path=path))
    assert len(app.scopes) == 4


@pytest.mark.parametrize(
    "prefix",
    ["ops", "/ops/", "/", "ops/", "/a b", "/a?b", "/a#b", "/%41", "//a", "/a//b", "/../a", "/a/."],
)
def test_a_malformed_prefix_is_told_at_once(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=[], prefix=prefix)


def test_malformed_rules_are_told_at_once() -> None:
    wrong: Any = ["/search"]
    with pytest.raises(ConfigurationError, match="SearchRule"):
        ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=wrong)
    one: Any = SearchRule("/search")
    assert ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=one).rules == (one,)


async def test_the_metrics_page(build: Build, engine: ScriptedEngine) -> None:
    """All names are those of the table, and the counts are of what was done."""
    metrics = Metrics()
    reformulator = build(observers=[metrics])
    metrics.watch(reformulator)
    metrics.watch(reformulator)
    app = wrapped(App(), reformulator, metrics=metrics)
    for query in (b"q=red+lamp", b"q=red+lamp", b"q=x", b"q=red+lamp+%22a+b%22"):
        await call(app, http_scope(query=query))
    client = await call(app, http_scope(path=METRICS_PAGE))
    assert client.header(b"content-type")[0].startswith(b"text/plain; version=")
    assert not client.header(RESULT)
    families = {f.name: f for f in text_string_to_metric_families(client.body.decode())}
    names = {f"{f.name}_total" if f.type == "counter" else f.name for f in families.values()}
    assert {name for name in names if not name.endswith("_created")} == set(METRICS)
    decisions = {
        (s.labels["outcome"], s.labels["reason"], s.labels["source"], s.labels["mode"]): s.value
        for s in families["querylift_reformulations"].samples
        if s.name.endswith("_total")
    }
    assert decisions == {
        ("rewritten", "", "engine", "replace"): 1,
        ("rewritten", "", "memo", "replace"): 1,
        ("skipped", "too_short", "", "replace"): 1,
        ("skipped", "quoted", "", "replace"): 1,
    }
    values = {s.name: s.value for f in families.values() for s in f.samples if not s.labels}
    assert values["querylift_ready"] == 1
    assert values["querylift_breaker_open"] == 0
    assert values["querylift_memo_entries"] == 1
    assert values["querylift_memo_bytes"] == reformulator.stats().memo.bytes
    assert values["querylift_memo_hits_total"] == 1
    queue = {s.labels["lane"]: s.value for s in families["querylift_queue"].samples}
    assert queue == {"foreground": 0, "background": 0, "running": 0}
    assert (await call(app, http_scope("HEAD", METRICS_PAGE))).status == 200


def test_metrics_without_their_library_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"querylift\[metrics\]"):
        Metrics()


async def test_no_metrics_no_page(reformulator: Reformulator) -> None:
    app = App()
    await call(ReformulationMiddleware(app, reformulator, rules=[]), http_scope(path=METRICS_PAGE))
    assert len(app.scopes) == 1


def test_metrics_of_two_reformulators_do_not_fit_on_one_page(build: Build) -> None:
    metrics = Metrics()
    metrics.watch(build())
    with pytest.raises(ConfigurationError, match="of its own"):
        metrics.watch(build())
