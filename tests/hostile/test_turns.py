"""No request holds the event loop for long: the longest turn of the server, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from middleware import PlainDialect, Reformulator, ReverseProxy, SearchRule
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.hostile.attacks import slowness
from tests.hostile.worst import filled
from tests.upstream.wire import front, get, split, upstream

pytestmark = pytest.mark.anyio

# CPU time of one turn. What it does to requests of any size is about 3 ms here.
LONGEST = 0.005
_CHUNKED = b"Transfer-Encoding: chunked"
KB, MB = 1024, 2**20


def post(body: bytes, *lines: bytes, target: bytes = b"/s", kind: bytes = b"json") -> bytes:
    kind = b"x-www-form-urlencoded" if kind == b"form" else kind
    length = b"Content-Length: %d" % len(body)
    return get(target, b"Content-Type: application/" + kind, length, *lines, method=b"POST") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return get(b"/other", _CHUNKED, method=b"PUT") + body + end


@contextmanager
def turns() -> Iterator[list[float]]:
    """Collect the CPU time of each callback of event loops in this thread."""
    found: list[float] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        found.append(time.thread_time() - began)

    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield found
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


def sent(port: int, request: bytes) -> bytes:
    """Send a request from a thread of its own, and return what comes back until a pause."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        with suppress(ConnectionError):
            client.sendall(request)
        with suppress(OSError):
            while b"\r\n\r\n" not in answer and (more := client.recv(65536)):
                answer += more
    return answer


async def longest_turn(request: bytes) -> tuple[int, float]:
    """Return the status of a request and the CPU seconds of the longest turn, the best of three."""
    rules = [
        SearchRule("/s", dialect=PlainDialect(["q"], ["/query", "/a/0"])),
        SearchRule("/**/_search", dialect=ElasticsearchDialect()),
        SearchRule("/**/_msearch", dialect=ElasticsearchDialect()),
        SearchRule("/**/a/**/b/**/*x*y*/**/c", dialect=PlainDialect()),
    ]
    best, status = 9.0, 0
    for _ in range(3):
        reformulator = Reformulator(ScriptedEngine(lambda text: f"lifted {text}"))
        async with upstream() as raw:
            app = ReverseProxy(
                raw.url,
                rules=rules,
                reformulator=reformulator,
                trust_control=True,
                expose_query=True,
            )
            async with front(app, BoundedProtocol) as port:
                await asyncio.to_thread(sent, port, get(b"/s?q=red+lamp"))
                with turns() as found:
                    answer = await asyncio.to_thread(sent, port, request)
        await asyncio.to_thread(reformulator.close)
        best, status = min(best, max(found) / slowness()), split(answer)[0]
        if best < LONGEST / 2:
            break
    return status, best


STREAMS = {
    "newlines in a chunk": (chunked(b"\n" * 4 * MB), 200),
    "blank lines in a chunk": (chunked(b"\r\n\r\n" * MB), 200),
    "ends of bodies in a chunk": (chunked(b"\n0\r\n\r\n" * (MB // 2)), 200),
    "newlines in many chunks": (chunked(*[b"\n" * KB] * 2 * KB), 200),
    "chunks of one byte": (chunked(*[b"x"] * 40_000), 200),
    "chunks of one zero": (chunked(*[b"0"] * 40_000), 200),
    "chunks of one newline": (chunked(*[b"\n"] * 40_000), 200),
    "sizes with zeros": (chunked(end=b"0000000000000001\r\nx\r\n" * 10_000 + b"0\r\n\r\n"), 200),
    "extensions": (chunked(end=b"1;a=b\r\nx\r\n" * 20_000 + b"0\r\n\r\n"), 200),
    "trailers": (chunked(b"x", end=b"0\r\n" + b"a: b\r\n" * 50_000 + b"\r\n"), 200),
    "newlines of known length": (post(b"\n" * 4 * MB, target=b"/other"), 200),
    "blank lines first": (b"\r\n" * MB + get(), 400),
    "newlines first": (b"\n" * MB + get(), 400),
    "returns first": (b"\r" * MB + get(), 400),
    "some blank lines first": (b"\r\n" * 20 + get(), 200),
    "newlines after the last": (get(b"/", b"Connection: close") + b"\n" * MB, 200),
    "a colon a line": (get(b"/", *[b"a:"] * 16_000), 400),
    "many headers": (get(b"/", *[b"x: y"] * 400), 200),
    "commas of Connection": (get(b"/", b"Connection: " + b"a," * 30_000), 200),
    "letters beyond ASCII": (get(b"/s?q=" + bytes(range(128, 256)) * 150), 200),
    "too many of them": (get(b"/s?q=" + bytes(range(128, 256)) * 480), 400),
    "mixed letters": (get(b"/s?q=" + b"a\xe9" * 15_000), 200),
    "a path of one segment": (get(b"/" + b"a" * 60_000), 200),
    "a path without a slash": (get(b"http" + b"a+" * 30_000), 400),
    "an absolute form": (get(b"http://" + b"a" * 60_000 + b"/s?q=a"), 200),
    "dot segments": (get(b"/a" * 15_000 + b"/.." * 9_000 + b"/s?q=a"), 200),
    "escaped dot segments": (get(b"/%2e%2e" * 2_000), 200),
    "too many of these": (get(b"/%2e%2e" * 8_000), 400),
    "slashes": (get(b"/" * 60_000), 200),
    "escapes in a path": (get(b"/" + b"%41" * 4_000), 200),
    "too many escapes": (get(b"/" + b"%41" * 20_000), 400),
    "twice escaped": (get(b"/" + b"%2541" * 4_000 + b"a" * 30_000), 200),
    "escapes in a query": (get(b"/s?a=" + b"%41" * 20_000), 200),
    "nearly a glob": (get(b"/a/b/xy" * 1100), 200),
    "control": (get(b"/s?q=a", b"Query-Reformulation-Control: " + b"no-cache," * 6_000), 200),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_bytes_are_read_in_short_turns(name: str) -> None:
    request, status = STREAMS[name]
    found, longest = await longest_turn(request)
    assert longest < LONGEST
    assert found == status


_MARKS = "\u0301\u0316\u0327\u0323"
TEXTS = [
    "a" + "\u0301\u0316" * 30_000, _MARKS * 15_000, "a" + _MARKS * 7 + "b", ("e" + _MARKS * 8) * 60,
    "\u0344" * 2_000, "\u1e69\u0323" * 600, "ﷺ" * 1_300, "가\u11a8" * 600, "\u0f71\u0f72" * 500,
    "é" * 2_000, "a " * 2_000, "_" * 510, "a_1" * 170, "1A_" * 21, "„" * 170, "« " * 170,
    "[ TO " * 100, "/ /a " * 100, "a(" * 250, "a.b(" * 120, "SELECT " * 70,
    "! " * 250, "\u2047" * 500, " " * 200_000,
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("form", ["url", "json", "decorated"])
async def test_texts_are_looked_at_in_short_turns(text: str, form: str) -> None:
    """One long text, and sixteen of them as far as they fit into a request."""
    encoded = text.encode()
    if form == "url":
        share = encoded[:3500].decode(errors="ignore").encode()
        fields = b"&".join([b"q=" + share.replace(b" ", b"+").replace(b"&", b"")] * 16)
        request = post(fields, kind=b"form")
    elif form == "json":
        one = b'{"match":{"a":"%b"}}' % text[:3500].encode()
        clauses = b",".join([one] * min(16, 250_000 // len(one)))
        request = post(b'{"query":{"bool":{"must":[%b]}}}' % clauses, target=b"/i/_search")
    else:
        request = post(b'{"query":"%b"}' % encoded[: 250 * KB].decode(errors="ignore").encode())
    status, longest = await longest_turn(request)
    assert longest < LONGEST
    assert status == 200


BODIES = {
    "fields": post(filled("q=&"), kind=b"form"),
    "pages": post(filled("page=&", "q=a&"), kind=b"form"),
    "names": post(filled("%71=a&"), kind=b"form"),
    "lines": post(b"{}\n" * 87_000, kind=b"x-ndjson", target=b"/_msearch"),
    "blank lines": post(b"\n" * 260_000, kind=b"x-ndjson", target=b"/_msearch"),
    "clauses": post(filled("{},", '{"query":{"bool":{"must":[', "{}]}}}"), target=b"/_search"),
    "items": post(filled("[],", '{"query":"red lamp","a":["x",', "[]]}")),
    "keys": post(filled('"#":1,', '{"query":"red lamp",', '"z":1}')),
    "numbers": post(filled("1,", '{"query":"red lamp","v":[', "1]}")),
    "blanks": post(filled(" ", '{"query":"red lamp","v":[', "1]}")),
    "depth": post(filled("[", '{"query":"red lamp","v":')),
    "long keys": post(filled("\\u00e9", '{"query":"red lamp","', '":1}')),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies_are_searched_in_short_turns(name: str) -> None:
    status, longest = await longest_turn(BODIES[name])
    assert longest < LONGEST
    assert status == 200
