"""Decisions that must not come back: stale rewrites, told file paths, and rules by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from middleware import (
    Acceptance,
    Admission,
    Memo,
    ModelError,
    Policy,
    ReformulationMiddleware,
    Reformulator,
    ReverseProxy,
    SearchRule,
    Source,
)
from middleware.serving.server import served_in_thread
from middleware.testing import ScriptedEngine

_FILE = "/srv/secret-models/t5/model.safetensors"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the query string that arrived."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["query_string"]})


class Broken(ScriptedEngine):
    """An engine whose error names a file."""

    def load(self) -> None:
        """Fail."""
        raise ModelError(f"{_FILE} is damaged; copy it again")


@pytest.mark.parametrize("degraded", [False, True])
@pytest.mark.parametrize("prefix", ["/-/querylift", "/status"])
def test_the_public_readiness_page_tells_no_file(degraded: bool, prefix: str) -> None:
    """Whatever is asked of it, it tells one word; only the admin port tells why."""
    reformulator = Reformulator(Broken(), allow_degraded_start=degraded)
    app = ReformulationMiddleware(echo, reformulator, rules=[SearchRule("/s")], prefix=prefix)
    targets = [
        prefix + "/readyz" + more
        for more in ("", "?verbose", "?verbose=1&details=true", "?format=json", "?path=/", "?q=a")
    ]
    heads: Sequence[dict[str, str]] = ({}, {"Accept": "text/plain"}, {"X-Forwarded-For": "::1"})
    with served_in_thread(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for target in targets:
            for head in heads:
                answer = client.get(target, headers=head)
                assert answer.json().keys() == {"status"}
                told = answer.text + str(answer.headers)
                for word in ("secret", ".safetensors", "damaged", "ModelError", "scripted"):
                    assert word not in told
        assert client.head(targets[0]).content == b""


@pytest.mark.parametrize(
    "make",
    [
        lambda reformulator: ReformulationMiddleware(echo, reformulator),  # type: ignore[call-arg]
        lambda reformulator: ReverseProxy("http://127.0.0.1:1"),  # type: ignore[call-arg]
    ],
)
def test_there_are_no_rules_by_default(make: Callable[[Reformulator], Any]) -> None:
    """Which requests are searches, the user says."""
    with pytest.raises(TypeError, match="rules"):
        make(Reformulator(ScriptedEngine()))


@pytest.mark.parametrize(
    "target",
    ["/", "/search2", "/searc", "/search/x", "/api/search", "/SEARCH", "/login", "/-/readyz",
     "/readyz", "/_search", "/i/_delete_by_query", "//search/x", "/%73earch/x", "/search;x"],
)  # fmt: skip
def test_what_no_rule_names_is_untouched(target: str) -> None:
    """Over sockets, with the parameter that searches have."""
    with Reformulator(ScriptedEngine(lambda text: f"lifted {text}"), budget=30) as reformulator:
        app = ReformulationMiddleware(echo, reformulator, rules=[SearchRule("/search")])
        with served_in_thread(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/search?q=red+lamp").text == "q=lifted+red+lamp"
            answer = client.get(f"{url}{target}?q=red+lamp")
            assert answer.text == "q=red+lamp"
            assert "query-reformulation" not in answer.headers


POLICIES = [
    Policy(admission=Admission(max_chars=100)),
    Policy(admission=Admission(min_chars=3)),
    Policy(admission=Admission(max_words=9)),
    Policy(admission=Admission(languages=("en", "de"))),
    Policy(acceptance=Acceptance(max_lost=0.9)),
    Policy(acceptance=Acceptance(max_new=0.9)),
    Policy(acceptance=Acceptance(max_growth=9.0)),
    Policy(acceptance=Acceptance(protected=["lamp"])),
    Policy(acceptance=Acceptance(known=["lamp"])),
    Policy(acceptance=Acceptance(languages=("en", "de"))),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_another_policy_decided_is_stale(policy: Policy) -> None:
    """One memo for both: an entry is found by those who would decide alike, and by nobody else."""
    memo = Memo()
    for chosen, source in (
        (Policy(), Source.ENGINE),
        (Policy(), Source.MEMO),
        (policy, Source.ENGINE),
        (policy, Source.MEMO),
        (Policy(), Source.MEMO),
    ):
        engine = ScriptedEngine(lambda text: f"lifted {text}")
        with Reformulator(engine, memo=memo, policy=chosen, budget=30) as reformulator:
            assert reformulator.reformulate_sync("red lamp shade").source is source
