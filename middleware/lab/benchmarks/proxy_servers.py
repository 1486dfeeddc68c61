"""The servers that ``querylift bench proxy`` compares: this package's proxy and its peers.

The proxy is ``querylift serve`` with the bundled model. The peers only forward. They run as
their documentation recommends, without access logs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, MissingExtraError
from .upstream import running, serve_app


def _fastapi_proxy_lib(upstream: str) -> Any:
    """Return the first example app of the library's documentation."""
    from fastapi_proxy_lib.fastapi.app import reverse_http_app

    return reverse_http_app(base_url=f"{upstream}/")


def _aiohttp(upstream: str) -> Any:
    """Return a minimal proxy on aiohttp's client: one session, answers streamed."""
    import aiohttp

    session: Any = None
    hops = {b"connection", b"host", b"transfer-encoding", b"keep-alive"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal session
        if scope["type"] != "http":
            return
        if session is None:
            session = aiohttp.ClientSession(auto_decompress=False)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope["query_string"].decode("latin-1")
        target = upstream + scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in hops
        ]
        async with session.request(
            scope["method"], target, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": [
                        (name.lower(), value)
                        for name, value in answer.raw_headers
                        if name.lower() not in hops
                    ],
                }
            )
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


PEERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "fastapi-proxy-lib": ("fastapi_proxy_lib", _fastapi_proxy_lib),
    "aiohttp": ("aiohttp", _aiohttp),
}
"""Maps a name to the required module, and to a function from an upstream's URL to the app."""


def require_peers() -> None:
    """Check that all peers are installed. Errors: ``MissingExtraError``."""
    for name, (module, _) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"the peer {name}", "bench")


def _serve_peer(name: str, upstream: str, pipe: Any) -> None:
    serve_app(PEERS[name][1](upstream), pipe, log_level="error")


@contextmanager
def running_peer(name: str, upstream: int) -> Iterator[int]:
    """Run a peer in a process of its own; yields the port."""
    with running(_serve_peer, name, f"http://127.0.0.1:{upstream}") as port:
        yield port


@contextmanager
def running_querylift(upstream: int, *options: str) -> Iterator[tuple[int, int]]:
    """Run ``querylift serve`` in front of the upstream; yields its port and process id.

    Errors: ``ConfigurationError`` if it does not start.
    """
    command = [
        sys.executable,
        "-m",
        __package__.partition(".")[0],
        "serve",
        "--port=0",
        "--admin-port=-1",
    ]
    command += ["--upstream", f"http://127.0.0.1:{upstream}", "--dialect", "plain"]
    command += ["--path", "/search", *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QUERYLIFT_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise ConfigurationError("querylift serve did not start; see above")
            yield int(line.split(" -> ")[0].rpartition(":")[2]), process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def process_tree(pid: int) -> list[int]:
    """Return the ids of a process and its descendants (on Linux; elsewhere only its own)."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            text = Path(f"/proc/{each}/task/{each}/children").read_text("ascii")
            found += [int(child) for child in text.split()]
    return found
