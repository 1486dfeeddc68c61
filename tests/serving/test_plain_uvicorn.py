"""Plain uvicorn in front of ``ReverseProxy``, with the options that the docs and examples give."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from middleware import ReverseProxy
from middleware.serving.server import bound_socket
from tests.hostile.test_chunks import content
from tests.upstream.wire import RawUpstream, exchange, get, reply, split, upstream

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
DATE, SERVER = b"Mon, 01 Jan 2024 00:00:00 GMT", b"es"
BODY = b'{"query": "red lamp"}'


def options(path: str) -> dict[str, Any]:
    """Return the keywords of the call of ``uvicorn.run`` in a page or a script."""
    text = (ROOT / path).read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL) if path.endswith(".md") else [text]
    [call] = [
        node
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "uvicorn.run"
    ]
    keywords = {str(key.arg): ast.literal_eval(key.value) for key in call.keywords}
    return {name: value for name, value in keywords.items() if name != "port"}


def flags(path: str) -> dict[str, Any]:
    """Return the options that a command line of uvicorn in a page or a docstring sets."""
    text = " ".join((ROOT / path).read_text("utf-8").split())
    [found] = re.findall(r"--no-date-header[a-z0-9 -]*", text)
    context = uvicorn.main.make_context("uvicorn", [*shlex.split(found), "app"])
    return {name: context.params[name] for name in ("date_header", "server_header", "http", "ws")}


TOLD = {
    "the tutorial": lambda: options("docs/tutorials/proxy.md"),
    "the tutorial's command line": lambda: flags("docs/tutorials/proxy.md"),
    "an example": lambda: options("examples/reverse_proxy.py"),
    "an example's command line": lambda: flags("examples/unix_socket_proxy.py"),
}


@asynccontextmanager
async def served(raw: RawUpstream, **given: Any) -> AsyncIterator[int]:
    """Run a whole server, as only its ticks set the headers that it adds."""
    config = uvicorn.Config(
        ReverseProxy(raw.url, rules=[]), log_config=None, timeout_graceful_shutdown=1, **given
    )
    server = uvicorn.Server(config)
    with bound_socket("127.0.0.1", 0) as bound:
        task = asyncio.create_task(server._serve(sockets=[bound]))
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110  # uvicorn tells no event
                await asyncio.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def values(answer: bytes, name: bytes) -> list[bytes]:
    return [value for found, value in split(answer)[1] if found == name]


ANSWERS: dict[str, list[bytes]] = {
    "both": [b"Date: " + DATE, b"Server: " + SERVER],
    "a date": [b"Date: " + DATE],
    "a server": [b"Server: " + SERVER],
    "capitals": [b"DATE: " + DATE, b"SERVER: " + SERVER],
    "neither": [],
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("told", TOLD)
async def test_the_upstreams_date_and_server_stand_alone(told: str, answer: str) -> None:
    async with upstream(reply(b"ok", *ANSWERS[answer])) as raw, served(raw, **TOLD[told]()) as port:
        found = await exchange(port, get())
    sent = b"\r\n".join(ANSWERS[answer]).lower()
    assert values(found, b"date") == ([DATE] if b"date:" in sent else [])
    assert values(found, b"server") == ([SERVER] if b"server:" in sent else [])


async def test_without_the_options_both_are_doubled() -> None:
    """Once this fails, uvicorn lets an app's headers win, and the docs can say less."""
    async with upstream(reply(b"ok", *ANSWERS["both"])) as raw, served(raw) as port:
        found = await exchange(port, get())
    assert len(values(found, b"date")) == len(values(found, b"server")) == 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH"])
@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.0", b"x/9"])
@pytest.mark.parametrize("told", TOLD)
async def test_the_body_beside_an_offer_goes_on(
    told: str, offer: bytes, method: bytes, framing: str
) -> None:
    head = [b"Connection: upgrade, close", b"Upgrade: " + offer, b"Sec-WebSocket-Version: 13"]
    data = b"%b /doc HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method, b"\r\n".join(head))
    if framing == "length":
        data += b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    else:
        data += b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    async with upstream() as raw, served(raw, **TOLD[told]()) as port:
        assert split(await exchange(port, data, deadline=20))[0] == 200
    assert [content(request) for request in raw.requests] == [BODY]
