"""A client's Connection line cannot take off what decides, or who sent a request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import Clients, Reformulator, ReverseProxy, SearchRule
from middleware.http.client_keys import by_address, by_header, by_tenant
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from middleware.upstream.headers import HOP_BY_HOP, RequestHeaders
from tests.upstream.wire import exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

KEPT = [
    b"Authorization", b"Cookie", b"X-Forwarded-For", b"x-forwarded-proto", b"Forwarded",
    b"X-Real-IP",
    b"CF-Connecting-IP", b"True-Client-IP", b"X-Auth-Request-Email", b"X-Remote-User", b"Via",
    b"X-CSRF-Token", b"CDN-Loop", b"Content-Type", b"Content-Encoding", b"Host", b"Origin",
    b"X-Org", b"X-Site", b"X-Typesense-API-KEY", b"X-Algolia-API-Key", b"api-key", b"apikey",
    b"X-Session-Id", b"Signature-Input", b"Signature", b"DPoP", b"X-Amz-Security-Token",
]  # fmt: skip
GONE = [b"X-Mine", b"X-Hop", b"HTTP2-Settings"]


@pytest.mark.parametrize("how", ["{}", "close, {}", "{} , x-mine", ",{},", "\t{}", "upgrade,{}"])
@pytest.mark.parametrize("name", [*KEPT, *GONE])
async def test_what_a_listed_line_becomes(name: bytes, how: str) -> None:
    """Through real sockets; the tenant's and the client's header are configured ones."""
    clients = Clients(
        tenant_of=by_tenant("X-Org"), client_key=by_header("X-Site"), rate_limit_key=by_address()
    )
    listed = b"Connection: " + how.format(name.decode().lower()).encode()
    lines = [listed] if name == b"Host" else [listed, name + b": value"]
    reformulator = Reformulator(ScriptedEngine())
    async with upstream() as raw:
        proxy = ReverseProxy(
            raw.url, rules=[SearchRule("/s")], reformulator=reformulator, clients=clients
        )
        async with front(proxy, BoundedProtocol) as port:
            answer = await exchange(port, get(b"/s?q=red+lamp", *lines))
    reformulator.close()
    assert split(answer)[0] == 200
    received = raw.requests[0].values(name.lower())
    if name == b"Host":
        assert received == [raw.url.removeprefix("http://").encode()]
    else:
        assert received == ([] if name in GONE else [b"value"])


NAMES = st.sampled_from([name.lower() for name in (*KEPT, *GONE)])


@settings(max_examples=200)
@given(present=st.lists(NAMES, unique=True), listed=st.lists(NAMES), kept=st.frozensets(NAMES))
def test_no_list_takes_off_a_kept_line(
    present: list[bytes], listed: list[bytes], kept: frozenset[bytes]
) -> None:
    """Whatever is listed, in however many lines, what is configured goes on."""
    lines = [(name, b"v") for name in present]
    lines += [(b"connection", name) for name in listed]
    made, _, _ = RequestHeaders(b"up", kept=kept).build({"headers": lines})
    names = {name for name, _ in made}
    assert kept.intersection(present) <= names
    assert not names & HOP_BY_HOP
    assert not ({n.lower() for n in GONE} - kept) & set(listed) & names


def test_the_configured_headers_are_known() -> None:
    """Also those of a function of one's own, which names its header."""

    def own(scope: object) -> str:
        return ""

    own.header = "X-Own"  # type: ignore[attr-defined]
    assert Clients(tenant_of=own, client_key=by_header("X-Site")).headers == ["x-own", "x-site"]
    assert Clients().headers == []
