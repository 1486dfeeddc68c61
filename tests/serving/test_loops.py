"""A proxy whose upstream is itself: refused at the start, or answered with 508."""

from __future__ import annotations

import socket

import pytest

from middleware import ConfigurationError, Forwarding, ReverseProxy
from middleware.serving.own_address import refuse_own_address
from middleware.serving.protocol import BoundedProtocol
from middleware.serving.server import bound_socket
from tests.upstream.wire import exchange, front, get, reply, split, upstream

pytestmark = pytest.mark.anyio


def _own_names() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        address = probe.getsockname()[0]
    return [address, "127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "127.1", "0.0.0.0"])
@pytest.mark.parametrize("path", ["", "/base"])
def test_the_own_address_is_refused_at_the_start(host: str, name: str, path: str) -> None:
    with bound_socket(host, 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(ConfigurationError, match="leads back"):
            refuse_own_address(f"http://{name}:{port}{path}", [bound])


def test_every_address_of_a_wildcard_is_its_own() -> None:
    with bound_socket("0.0.0.0", 0) as bound:
        for name in _own_names():
            with pytest.raises(ConfigurationError, match="leads back"):
                refuse_own_address(f"http://{name}:{bound.getsockname()[1]}", [bound])


def test_the_admin_port_is_refused_too() -> None:
    with (
        bound_socket("127.0.0.1", 0) as first,
        bound_socket("127.0.0.1", 0) as admin,
        pytest.raises(ConfigurationError, match="leads back"),
    ):
        refuse_own_address(f"http://localhost:{admin.getsockname()[1]}", [first, admin])


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "http://192.0.2.1:{}", "http://127.0.0.2:{}", "http://no.invalid:{}"],
)
def test_other_addresses_are_taken(url: str) -> None:
    """Another port, another machine, another address of this one, a name nobody knows now."""
    with bound_socket("127.0.0.1", 0) as bound:
        refuse_own_address(url.format(bound.getsockname()[1]), [bound])


def _looping(own: str) -> Forwarding:
    return Forwarding(loop_id=own)


LISTS = ["one", "one, two", "two,one", " two , one ", "cdn.example; a=b, one", "one;a=b"]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT"])
@pytest.mark.parametrize("lists", [*LISTS, "two", "one2", "cdn; one=1", ""])
async def test_a_request_that_comes_back(lists: str, method: bytes) -> None:
    """Only one's own name counts, in any place, with parameters or without."""
    async with upstream() as raw:
        proxy = ReverseProxy(raw.url, rules=[], forwarding=_looping("one"))
        async with front(proxy, BoundedProtocol) as port:
            lines = [b"CDN-Loop: " + lists.encode(), b"Connection: cdn-loop"]
            request = get(b"/s?q=a", *lines, b"Content-Length: 2", method=method) + b"{}"
            status, _, body = split(await exchange(port, request))
            assert proxy.client.active_connections == 0
    if lists in LISTS:
        assert status == 508
        assert b"leads back" in body
        assert raw.requests == []
    else:
        assert status == 200
        assert raw.requests[0].values(b"cdn-loop")[-1].endswith(b"one")


async def test_a_loop_through_another_proxy_ends_at_once() -> None:
    """Two proxies forward to each other: the second pass of the first one answers."""
    async with upstream() as raw:
        first = ReverseProxy(raw.url, rules=[], forwarding=_looping("first"))
        async with front(first, BoundedProtocol) as port:
            second = ReverseProxy(
                f"http://127.0.0.1:{port}", rules=[], forwarding=_looping("second")
            )
            async with front(second, BoundedProtocol) as back:
                looped = ReverseProxy(
                    f"http://127.0.0.1:{back}", rules=[], forwarding=_looping("first")
                )
                async with front(looped, BoundedProtocol) as entry:
                    for _ in range(10):
                        assert split(await exchange(entry, get(b"/s?q=a")))[0] == 508
                assert second.client.active_connections == looped.client.active_connections == 0
        assert raw.requests == []


async def test_two_proxies_in_a_row_are_no_loop() -> None:
    async with upstream(reply(b"found")) as raw:
        first = ReverseProxy(raw.url, rules=[], forwarding=_looping("first"))
        async with front(first, BoundedProtocol) as port:
            second = ReverseProxy(
                f"http://127.0.0.1:{port}", rules=[], forwarding=_looping("second")
            )
            async with front(second, BoundedProtocol) as entry:
                assert split(await exchange(entry, get(b"/s?q=a")))[2] == b"found"
    assert raw.requests[0].values(b"cdn-loop") == [b"second, first"]
