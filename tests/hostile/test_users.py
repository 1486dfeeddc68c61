"""One user's requests tell nothing to another, whatever headers they send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import (
    Clients,
    Memo,
    ReformulationMiddleware,
    Reformulator,
    ReverseProxy,
    SearchRule,
)
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.runtime.snapshot import save
from middleware.testing import ScriptedEngine
from tests.upstream.wire import exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

_CLAIMS = (
    "X-Tenant", "X-Tenant-Id", "X-Scope-OrgID", "X-User", "X-Index", "X-Forwarded-User", "Cookie",
    "Authorization", "Query-Reformulation", "Query-Reformulation-Control", "Forwarded", "Scope",
    "X-Forwarded-For", "Host",
)  # fmt: skip


def made(memo: Memo) -> Reformulator:
    return Reformulator(ScriptedEngine(lambda text: f"lifted {text}"), budget=30.0, memo=memo)


@pytest.mark.parametrize("claim", _CLAIMS)
async def test_no_header_chooses_the_scope(claim: str) -> None:
    """Where nothing is configured all share one; a client cannot say that it is another."""
    memo = Memo()
    with made(memo) as reformulator:
        async with upstream() as raw:
            app = ReverseProxy(raw.url, reformulator=reformulator, rules=[SearchRule("/s")])
            async with front(app) as port:
                for said in (b"one", b"two"):
                    lines = () if claim == "Host" else (claim.encode() + b": " + said,)
                    await exchange(port, get(b"/s?q=red+lamp", *lines))
    assert [key.scope for key, _, _ in memo.entries(0.0)] == [""]


async def test_a_configured_scope_parts_what_it_names_and_nothing_else_does() -> None:
    def tenant_of(scope: Mapping[str, Any]) -> str:
        headers = dict(scope["headers"])
        return str(headers.get(b"x-verified-tenant", b""), "ascii")

    memo, said = Memo(), []
    with made(memo) as reformulator:
        async with upstream() as raw:
            app = ReverseProxy(
                raw.url,
                reformulator=reformulator,
                rules=[SearchRule("/s")],
                clients=Clients(tenant_of=tenant_of),
            )
            async with front(app) as port:
                for tenant in (b"a", b"b", b"a"):
                    request = get(b"/s?q=red+lamp", b"X-Verified-Tenant: " + tenant)
                    said.append(dict(split(await exchange(port, request))[1]))
    sources = [line[b"query-reformulation"].split(b";")[1] for line in said]
    assert sources == [b"src=engine", b"src=engine", b"src=memo"]
    assert sorted(key.scope for key, _, _ in memo.entries(0.0)) == ["a", "b"]


async def test_credentials_are_kept_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the memo, its snapshot, a log, or a header of the answer."""
    caplog.set_level(logging.DEBUG)
    memo, secret = Memo(), b"Bearer kept-by-nobody"
    with made(memo) as reformulator:
        async with upstream() as raw:
            app = ReverseProxy(raw.url, reformulator=reformulator, rules=[SearchRule("/s")])
            async with front(app) as port:
                lines = (b"Authorization: " + secret, b"Cookie: id=kept-by-nobody")
                answer = await exchange(port, get(b"/s?q=red+lamp", *lines))
        assert raw.requests[0].values(b"authorization") == [secret]
    assert save(tmp_path / "s", memo, now=0.0)
    assert b"kept-by-nobody" not in answer + (tmp_path / "s").read_bytes()
    assert "kept-by-nobody" not in caplog.text


async def test_one_users_later_page_never_takes_anothers_first() -> None:
    with made(Memo()) as reformulator:
        async with upstream() as raw:
            rule = SearchRule("/i/_search", dialect=ElasticsearchDialect())
            app = ReverseProxy(raw.url, reformulator=reformulator, rules=[rule])
            async with front(app) as port:
                for user, start in ((b"a", 0), (b"b", 10), (b"a", 10)):
                    target = b"/i/_search?q=red+lamp&from=%d" % start
                    await exchange(port, get(target, b"Authorization: Bearer " + user))
            sent = [b"lifted" in request.target for request in raw.requests]
    assert sent == [True, False, True]


@settings(max_examples=30, deadline=None)
@given(value=st.binary(max_size=60))
def test_control_of_any_kind_is_only_obeyed_where_trusted(value: bytes) -> None:
    """And is never passed on, whatever it says."""
    passed: list[list[tuple[bytes, bytes]]] = []
    said: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.extend(value for _, value in message.get("headers", []))

    async def main(trusted: bool) -> None:
        with made(Memo()) as reformulator:
            wrapped = ReformulationMiddleware(
                app,
                reformulator,
                rules=[SearchRule("/s")],
                trust_control=trusted,
            )
            lines = [(b"query-reformulation-control", line) for line in (value, b"off")]
            scope: dict[str, Any] = {
                "type": "http",
                "method": "GET",
                "path": "/s",
                "query_string": b"q=red+lamp",
                "headers": lines,
            }
            await wrapped(scope, receive, send)

    asyncio.run(main(trusted=False))
    assert said[0].startswith(b"rewritten")
    said.clear()
    asyncio.run(main(trusted=True))
    assert passed == [[], []]
