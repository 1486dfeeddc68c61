"""Sockets and servers, and their errors for addresses that cannot be bound."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest
from starlette.responses import PlainTextResponse

from middleware import ConfigurationError
from middleware.serving.server import address_of, bound_socket, served_in_thread


def test_the_error_for_a_taken_port_names_an_option() -> None:
    """The error names the port and the option that changes it."""
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
def test_errors_for_impossible_addresses(host: str, port: int, said: str) -> None:
    """Other machines' addresses, unknown names and impossible ports are refused in words."""
    with pytest.raises(ConfigurationError, match=said):
        bound_socket(host, port)


def test_a_bound_socket_refuses_connections() -> None:
    """Until the server runs, a client is refused and does not hang."""
    with bound_socket("127.0.0.1", 0) as bound, pytest.raises(ConnectionRefusedError):
        socket.create_connection(bound.getsockname(), timeout=5)


def test_a_wildcard_address_is_shown_as_loopback() -> None:
    """The shown address can be opened in a browser."""
    with bound_socket("0.0.0.0", 0) as bound:
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_server_in_a_thread_stops_at_the_end_of_its_block() -> None:
    """It serves inside the block; after it, the thread and the port are gone."""
    with served_in_thread(PlainTextResponse("here")) as url:
        assert httpx.get(url, trust_env=False).text == "here"
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert "querylift-backend" not in {thread.name for thread in threading.enumerate()}
