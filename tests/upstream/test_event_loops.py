"""The connection to the upstream on event loops whose transports have classes of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import exchange, front, get, reply, split, upstream


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


@pytest.mark.parametrize(
    "loop",
    [
        asyncio.new_event_loop,
        pytest.param(
            _uvloop, marks=pytest.mark.skipif(sys.platform == "win32", reason="has no uvloop")
        ),
    ],
)
def test_requests_of_all_kinds_pass(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    body = bytes(range(256)) * 8_000  # more than is held at a time

    async def pass_some() -> None:
        async with upstream(reply(body)) as raw:
            async with front(Forwarder(raw.url), "httptools") as port:
                assert split(await exchange(port, get(b"/a?q=1")))[::2] == (200, body)
                part = body[:8_192]
                chunks = 4 * (b"%x\r\n%b\r\n" % (len(part), part))
                head = b"POST /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
                assert split(await exchange(port, sent))[::2] == (200, body)
            assert [request.target for request in raw.requests] == [b"/a?q=1", b"/b"]
            assert raw.requests[1].body.count(body[:256]) == 4 * 32  # as chunks
            raw_port = raw.port
        async with front(Forwarder(f"http://127.0.0.1:{raw_port}"), "httptools") as port:
            assert split(await exchange(port, get()))[0] == 502  # nobody listens there now

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(pass_some())
