"""Sockets and servers: what they say when they cannot have an address."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest
from starlette.responses import PlainTextResponse

from middleware.errors import ConfigurationError
from middleware.serving.server import address_of, bound_socket, served_in_thread


def test_a_taken_port_is_told_with_a_way_out() -> None:
    """The error names the port and says which option to use."""
    with bound_socket("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .* taken .* --port"):
            bound_socket("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("203.0.113.7", 0, "not an address of this machine"),
        ("no such host", 80, "no such address: no such host"),
        ("127.0.0.1", 70_000, "70000 is not a port"),
    ],
)
def test_an_address_that_is_not_to_be_had_is_told(host: str, port: int, said: str) -> None:
    """Foreign addresses, unknown names and impossible ports give an error in words."""
    with pytest.raises(ConfigurationError, match=said):
        bound_socket(host, port)


def test_a_bound_socket_takes_no_connections_yet() -> None:
    """Until the server runs, callers are refused and not left hanging."""
    with bound_socket("127.0.0.1", 0) as bound, pytest.raises(ConnectionRefusedError):
        socket.create_connection(bound.getsockname(), timeout=5)


def test_addresses_are_ones_to_click_on() -> None:
    """A wildcard address is told as the loopback one."""
    with bound_socket("0.0.0.0", 0) as bound:
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_server_in_a_thread_stops_with_its_block() -> None:
    """Inside the block requests are answered; after it the thread and the port are gone."""
    with served_in_thread(PlainTextResponse("here")) as url:
        assert httpx.get(url, trust_env=False).text == "here"
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert "querylift-backend" not in {thread.name for thread in threading.enumerate()}
