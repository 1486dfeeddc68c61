"""Whether a server accepts connections is found out within the time given."""

from __future__ import annotations

import socket
import threading

import pytest

from middleware.engines.connectivity import can_connect


def test_one_that_listens_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert can_connect(f"http://127.0.0.1:{port}/a", timeout=10)
    assert not can_connect(f"http://127.0.0.1:{port}/a", timeout=10)


def test_the_proxy_on_the_way_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        for proxy in (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"):
            monkeypatch.setenv("https_proxy", proxy)
            assert can_connect("https://nobody.invalid/a", timeout=10)
        monkeypatch.setenv("no_proxy", "nobody.invalid")
        assert not can_connect("https://nobody.invalid/a", timeout=10)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def hangs(*_: object, **__: object) -> None:
        go.wait()
        raise OSError("no answer")

    monkeypatch.setattr(socket, "create_connection", hangs)
    try:
        assert not can_connect("http://127.0.0.1:1", timeout=0.05)
    finally:
        go.set()
