"""A chunked body arrives whole, however it is cut, and so does the request behind it."""

from __future__ import annotations

import asyncio

import pytest

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.protocol import MAX_PIECES, BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import Received, front, get, in_segments, split, upstream

pytestmark = pytest.mark.anyio

BODIES: dict[str, tuple[bytes, bytes]] = {
    "one": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "empty": (b"0\r\n\r\n", b""),
    "newlines": (b"6\r\n\n\n\r\n\r\n\r\n0\r\n\r\n", b"\n\n\r\n\r\n"),
    "an end inside": (b"7\r\n0\r\n\r\nxy\r\n0\r\n\r\n", b"0\r\n\r\nxy"),
    "a size inside": (b"8\r\nff\r\nff\r\n\r\n0\r\n\r\n", b"ff\r\nff\r\n"),
    "leading zeros": (b"0000005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "capitals": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "extension": (b"5;a=b;c\r\nhello\r\n0;x\r\n\r\n", b"hello"),
    "long extension": (b"5;" + b"a" * 200 + b"=b\r\nhello\r\n0\r\n\r\n", b"hello"),
    "trailers": (b"5\r\nhello\r\n0\r\nabc: d\r\nff: 1\r\n\r\n", b"hello"),
    "many": (b"1\r\n\n\r\n" * 900 + b"0\r\n\r\n", b"\n" * 900),
    "many zeros": (b"2\r\n0\n\r\n" * 900 + b"0\r\n\r\n", b"0\n" * 900),
    "large": (b"20000\r\n" + b"\n" * 0x20000 + b"\r\n0\r\n\r\n", b"\n" * 0x20000),
    "a request inside": (b"12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"),
}
_PUT = b"PUT /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
TYPED = "/s?q=café".encode()


def content(request: Received) -> bytes:
    """Return the body that was sent to the upstream, without its framing."""
    if request.values(b"content-length"):
        return request.body
    parts, rest = [], request.body
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        parts.append(rest[:size])
        rest = rest[size + 2 :]
    return b"".join(parts)


@pytest.mark.parametrize("step", [1, 3, 1000, 10**6])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_arrives_whole(name: str, step: int) -> None:
    """In segments of any size; the next request's target keeps its bytes beyond ASCII."""
    sent, expected = BODIES[name]
    step = max(step, len(sent) // 3000)
    data = _PUT + sent + b"\r\n" * 3 + get(TYPED)
    reformulator = Reformulator(ScriptedEngine())
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[SearchRule("/s")], reformulator=reformulator)
        async with front(app, BoundedProtocol) as port:
            answer = await in_segments(port, data, step)
    await asyncio.to_thread(reformulator.close)
    assert split(answer)[0] == 200
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [request.target for request in raw.requests] == [b"/put", TYPED]
    assert content(raw.requests[0]) == expected


@pytest.mark.parametrize("pipelined", [2, 5, 30])
async def test_data_of_many_pieces_is_not_mixed_up(pipelined: int) -> None:
    """What waits for its turn comes before what is received meanwhile."""
    one = _PUT + b"3\r\nab\n\r\n" * MAX_PIECES + b"0\r\n\r\n"
    reformulator = Reformulator(ScriptedEngine())
    async with upstream() as raw:
        app = ReverseProxy(raw.url, rules=[SearchRule("/s")], reformulator=reformulator)
        async with front(app, BoundedProtocol) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(one * pipelined)
            await asyncio.sleep(0)
            writer.write(get(b"/end"))
            await asyncio.wait_for(reader.read(), 10)
            writer.close()
    await asyncio.to_thread(reformulator.close)
    assert [content(r) for r in raw.requests] == [b"ab\n" * MAX_PIECES] * pipelined + [b""]
