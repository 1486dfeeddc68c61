"""Trailers, broken pipelines and targets that nobody may lose an answer over, on raw sockets."""

from __future__ import annotations

import asyncio

import pytest

from middleware import ReverseProxy
from middleware.serving.chunks import ChunkLines
from middleware.serving.protocol import BoundedProtocol
from tests.upstream.wire import Answer, RawUpstream, exchange, front, split, upstream

from .test_chunks import content

pytestmark = pytest.mark.anyio

END = b"GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def sent(data: bytes, step: int = 10**6) -> tuple[bytes, RawUpstream]:
    """Return all answers to data that comes in segments, and what the upstream got."""
    async with upstream() as raw, front(ReverseProxy(raw.url, rules=[]), BoundedProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    return answer, raw


TRAILERS = [
    b"Connection: close",
    b"connection:close",
    b"Connection: keep-alive, close",
    b"Proxy-Connection: close",
    b"Upgrade: h2c",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Content-Length: 9",
    b"Content-Length: x",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Host: b",
    b"Expect: 100-continue",
    b"X-A: 1\r\nConnection: close\r\nX-B: 2",
    b"0: 1",
    b"5: abcde",
]


@pytest.mark.parametrize("last", [b"0", b"000", b"0" * 80, b"0;a=b"])
@pytest.mark.parametrize("step", [1, 3, 10**6])
@pytest.mark.parametrize("trailers", TRAILERS)
async def test_a_trailer_means_nothing(trailers: bytes, step: int, last: bytes) -> None:
    """The body goes on, no trailer does, and the connection is kept."""
    request = POST + b"5\r\nabcde\r\n" + last + b"\r\n" + trailers + b"\r\n\r\n"
    answer, raw = await sent(request * 2 + END, step)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert [content(found) for found in raw.requests] == [b"abcde", b"abcde", b""]
    assert all(b"close" not in value for value in raw.requests[0].values(b"connection"))
    assert len(raw.requests[0].lines) == len(raw.requests[1].lines)


@pytest.mark.parametrize(
    "trailers", [b"X", b": 1", b" X: 1", b"X : 1", b"X(: 1", b"X: \x00", b"GET / HTTP/1.1"]
)
async def test_a_malformed_trailer_is_refused(trailers: bytes) -> None:
    answer, raw = await sent(POST + b"5\r\nabcde\r\n0\r\n" + trailers + b"\r\n\r\n" + END)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"/end" not in [found.target for found in raw.requests]


@pytest.mark.parametrize("line", [b"5\r\n", b"05;a=b\r\n", b"0" * 90 + b"5\r\n", b"5\n"])
@pytest.mark.parametrize("step", [1, 2, 100])
def test_the_length_of_a_chunk_does_not_depend_on_segments(line: bytes, step: int) -> None:
    lines = ChunkLines()
    found = [lines.length_after(line[at : at + step]) for at in range(0, len(line), step)]
    assert found == [0] * (len(found) - 1) + [5]


SPACED = [
    b"5 ;a=b", b"5; a=b", b"5\t;a", b"5 \t ; a = b ; c", b"5;a = \"b c\"", b"5 ;a=\"x\ty\" ; b",
    b"05  ;a", b"5 ; a\t", b"5;a;  b=c  ;d", b'5 ; a="b;c" ',
]  # fmt: skip


@pytest.mark.parametrize("line", SPACED)
@pytest.mark.parametrize("step", [1, 3, 100])
async def test_blanks_around_extensions_are_taken(line: bytes, step: int) -> None:
    """However the line is parted (RFC 9112, 7.1.1)."""
    request = POST + line + b"\r\nabcde\r\n0 ; last\r\n\r\n" + END
    answer, raw = await sent(request, step)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert content(raw.requests[0]) == b"abcde"


@pytest.mark.parametrize("line", [b"5 ", b"5\t", b"5 5", b"5 a", b"5 a;b", b" 5", b"5 \x0b;a"])
async def test_blanks_of_no_extension_are_refused(line: bytes) -> None:
    answer, raw = await sent(POST + line + b"\r\nabcde\r\n0\r\n\r\n" + END)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"/end" not in [found.target for found in raw.requests]


GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
BROKEN: dict[str, bytes] = {
    "size": POST + b"z\r\n",
    "no size": POST + b"\r\n",
    "minus": POST + b"-1\r\nabcde\r\n",
    "end of a chunk": POST + b"2\r\nabcde\r\n",
    "second chunk": POST + b"2\r\nab\r\nx\r\n",
    "extension": POST + b"2;a\x00\r\nab\r\n",
    "trailer": POST + b"0\r\nX\r\n\r\n",
    "too large a size": POST + b"f" * 20 + b"\r\n",
    "request line": b"GET\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "with an offer": POST.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\n\r\n") + b"z\r\n",
    "expected": POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") + b"z\r\n",
}


@pytest.mark.parametrize("before", [1, 2, 5])
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_request_is_refused_after_the_answers_before_it(
    name: str, before: int
) -> None:
    """The client does not wait for an answer that never comes."""
    gets = b"".join(GET % number for number in range(before))
    answer, raw = await sent(gets + BROKEN[name] + END)
    assert answer.count(b"HTTP/1.1 200") == before
    assert answer.rindex(b"HTTP/1.1 400") > answer.rindex(b"HTTP/1.1 200")
    assert b"/end" not in [found.target for found in raw.requests]


@pytest.mark.parametrize(
    "value", [b"100-continue ", b" 100-continue\t", b"100-continue  ", b"\t100-Continue \t "]
)
async def test_blanks_around_an_expectation_are_none_of_it(value: bytes) -> None:
    async with upstream() as raw, front(ReverseProxy(raw.url, rules=[]), BoundedProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST.replace(b"\r\n\r\n", b"\r\nExpect:" + value + b"\r\n\r\n"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        writer.write(b"5\r\nabcde\r\n0\r\n\r\n" + END)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert head.startswith(b"HTTP/1.1 100")
    assert answer.count(b"HTTP/1.1 200") == 2


TARGETS: dict[bytes, bytes] = {
    b"GET http://a": b"/",
    b"GET http://a/": b"/",
    b"GET http://a:80": b"/",
    b"GET http://a?q=1": b"/?q=1",
    b"GET http://a?q=/b": b"/?q=/b",
    b"GET http://a?": b"/?",
    b"GET http://[::1]:9200": b"/",
    b"GET HTTPS://A": b"/",
    b"GET http://a/x?q": b"/x?q",
    b"DELETE http://a": b"/",
    b"OPTIONS http://a": b"*",
    b"OPTIONS http://a:80": b"*",
    b"OPTIONS http://a?q": b"/?q",
    b"OPTIONS http://a/": b"/",
    b"OPTIONS *": b"*",
}


@pytest.mark.parametrize("line", TARGETS)
async def test_a_target_may_be_absolute_and_without_a_path(line: bytes) -> None:
    answer, raw = await sent(line + b" HTTP/1.1\r\nHost: a\r\n\r\n" + END)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [found.target for found in raw.requests] == [TARGETS[line], b"/end"]


@pytest.mark.parametrize("zeros", [0, 1, 18, 19, 40, 4000])
async def test_a_length_may_begin_with_any_number_of_zeros(zeros: int) -> None:
    length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * zeros + b"5\r\n\r\nabcde"
    answer, raw = await sent(length + END)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [content(found) for found in raw.requests] == [b"abcde", b""]


OK = b" 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _answering(*pieces: bytes) -> Answer:
    async def answer(
        request: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    return answer


OTHERS = [b"RTSP/1.0", b"ICE/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/2", b"SIP/2.0", b"ICY", b"\x00"]
OTHERS += [b"HTP/1.1", b"http/1.1", b"HTTPS/1.1", b"\r\nRTSP/1.0", b""]


@pytest.mark.parametrize("step", [1, 4, 10**6])
@pytest.mark.parametrize("protocol", OTHERS)
async def test_an_answer_in_another_protocol_is_none(protocol: bytes, step: int) -> None:
    data = protocol + OK
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    async with (
        upstream(_answering(*pieces)) as raw,
        front(ReverseProxy(raw.url, rules=[]), BoundedProtocol) as port,
    ):
        assert split(await exchange(port, END))[0] == 502


@pytest.mark.parametrize("step", [1, 4, 10**6])
@pytest.mark.parametrize("protocol", [b"HTTP/1.1", b"HTTP/1.0", b"\r\nHTTP/1.1", b"\n\nHTTP/1.0"])
async def test_answers_of_http_1_are_taken(protocol: bytes, step: int) -> None:
    data = protocol + OK
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    async with (
        upstream(_answering(*pieces)) as raw,
        front(ReverseProxy(raw.url, rules=[]), BoundedProtocol) as port,
    ):
        status, _, body = split(await exchange(port, END))
    assert (status, body) == (200, b"ok")
