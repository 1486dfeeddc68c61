"""Asking whether a server is there: quick where it is, and bounded where it is not."""

from __future__ import annotations

import socket
import threading

import pytest

from middleware.engines.reachability import reachable


def test_one_that_listens_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert reachable(f"http://127.0.0.1:{port}/a", within=10)
    assert not reachable(f"http://127.0.0.1:{port}/a", within=10)


def test_the_proxy_on_the_way_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        for proxy in (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"):
            monkeypatch.setenv("https_proxy", proxy)
            assert reachable("https://nobody.invalid/a", within=10)
        monkeypatch.setenv("no_proxy", "nobody.invalid")
        assert not reachable("https://nobody.invalid/a", within=10)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def hangs(*_: object, **__: object) -> None:
        go.wait()
        raise OSError("no answer")

    monkeypatch.setattr(socket, "create_connection", hangs)
    try:
        assert not reachable("http://127.0.0.1:1", within=0.05)
    finally:
        go.set()
