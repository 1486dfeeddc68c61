"""Resident memory under requests that are as large as they may be and never the same."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from .running import Served, fresh, serving, until

_HEAD = 60_000  # bytes; the server takes 64 KiB
_PATH = 8_000  # a longer path is no search's
_WARM, _MEASURED = 300, 1800
_ALLOWED = 10 * 2**20  # bytes: the memo of these requests, and what malloc keeps

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def letters(draw: random.Random, count: int) -> str:
    """Return letters that no other request has."""
    return draw.randbytes(count // 2 + 1).hex()[:count]


def search(path: str, headers: str = "", *, text: str = "", more: str = "") -> bytes:
    """Return a search of Elasticsearch by POST, without ``Host``."""
    body = json.dumps({"query": {"match": {"title": text or fresh()}}, "x": more}).encode()
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def an_index(draw: random.Random) -> bytes:
    return search(f"/{letters(draw, _PATH)}/_search")


def a_wide_index(draw: random.Random) -> bytes:
    """One character makes each of them take four bytes as a text in memory."""
    return search(f"/%F0%9F%94%8E{letters(draw, _PATH)}/_search")


def indices(draw: random.Random) -> bytes:
    return search(f"/{','.join(letters(draw, 4) for _ in range(_PATH // 5))}/_search")


def a_client(draw: random.Random) -> bytes:
    return search("/i/_search", f"X-Client: {letters(draw, _HEAD)}\r\n")


def clients(draw: random.Random) -> bytes:
    """Many short lines, which are as many objects."""
    lines = "".join(f"X-Client: {letters(draw, 8)}\r\n" for _ in range(400))
    return search("/i/_search", lines)


def a_browser(draw: random.Random) -> bytes:
    """What a browser's own request is recognized by, each as large as it can be."""
    lines = f"Sec-Fetch-Site: same-origin\r\nX-Forwarded-For: {letters(draw, _HEAD // 2)}\r\n"
    return search("/i/_search", f"{lines}Cookie: {letters(draw, _HEAD // 2)}\r\n")


def a_tenant(draw: random.Random) -> bytes:
    return search("/i/_search", f"X-Tenant: {letters(draw, _HEAD)}\r\n")


def credentials(draw: random.Random) -> bytes:
    return search("/i/_search", f"Authorization: {letters(draw, _HEAD)}\r\n")


def a_later_page(draw: random.Random) -> bytes:
    return search(f"/i/_search?from=10&x={letters(draw, 50_000)}", text=letters(draw, 200_000))


def a_long_text(draw: random.Random) -> bytes:
    """Nearly the longest that is rewritten, of characters that take much memory."""
    words = " ".join(draw.choice(("red", "lamp", "naïve")) for _ in range(40))
    return search("/i/_search", text=f"{words} {fresh()}")


def a_long_word(draw: random.Random) -> bytes:
    return search("/i/_search", text=f"{fresh()} {letters(draw, 400)}")


def a_long_body(draw: random.Random) -> bytes:
    return search("/i/_search", more=letters(draw, 250_000))


def headers(draw: random.Random) -> bytes:
    lines = "".join(f"X-{letters(draw, 60)}: {letters(draw, 50)}\r\n" for _ in range(400))
    return search("/i/_search", lines)


def a_field(draw: random.Random) -> bytes:
    body = json.dumps({"query": {"match": {letters(draw, 200_000): fresh()}}})
    head = "POST /i/_search HTTP/1.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def a_suggestion(draw: random.Random) -> bytes:
    given = "&".join(f"q={letters(draw, 4)}" for _ in range(35))
    return f"GET /i/_search?{given} HTTP/1.1\r\n\r\n".encode()


KINDS: list[Callable[[random.Random], bytes]] = [
    an_index, a_wide_index, indices, a_client, clients, a_browser, a_tenant, credentials,
    a_later_page, a_long_text, a_long_word, a_long_body, headers, a_field, a_suggestion,
]  # fmt: skip


def test_it_stays_flat(upstream: str, behaviour: Path) -> None:
    """Whatever requests contain, no table keeps it."""
    options = ("--engine", "faulty", "--model", str(behaviour), "--no-engine-process")
    told = ("--client-header", "X-Client", "--tenant-header", "X-Tenant", "--client-rate", "1000")
    more = ("--budget-ms", "9000", "--max-body-kib", "512")
    with serving(upstream, *options, *told, *more, dialect="elasticsearch") as served:
        until(lambda: served.ready()[0] == 200)
        send_many(served, 1, _WARM)
        before = resident(served)
        send_many(served, 2, _MEASURED)
        grown = resident(served) - before
        assert served.admin.get("/memo").json()["entries"] > _MEASURED / 4, "few were rewritten"
    assert grown < _ALLOWED, f"{grown / 2**20:.0f} MiB"


def resident(served: Served) -> int:
    pages = int(Path(f"/proc/{served.process.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def send_many(served: Served, seed: int, count: int) -> None:
    """Send each kind in turn, on four connections at a time."""
    statuses: list[int] = []

    def send(number: int) -> None:
        draw = random.Random(f"{seed} {number}")
        with socket.create_connection(("127.0.0.1", served.port), 60) as raw:
            for index in range(number, count, 4):
                request = KINDS[index % len(KINDS)](draw)
                raw.sendall(request.replace(b"\r\n", b"\r\nHost: a\r\n", 1))
                statuses.append(status_of(raw))

    threads = [Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == count
    assert set(statuses) <= {200, 404, 405}, set(statuses)


def status_of(raw: socket.socket) -> int:
    """Read one response with a length, and return its status."""
    with raw.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        length = 0
        while (line := answer.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        answer.read(length)
    return status
