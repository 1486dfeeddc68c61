"""Requests made of a seed and a number alone: what goes wrong with them on the way."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random

from .cases import BREAKING, TEMPLATES, Case

__all__ = ["make"]

MARKS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\\ud800", b"%", b"%2", b"%zz"),
    *(b"%00", b"%E9", b"%C3%A9", b"%25", b"%252e", b"%2f", b"\xe9", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"&", b"&q=x", b"=", b"+", b";", b"#", b"?", b"..", b"/../", b"//", b"*", b"@", b"://"),
    *(b"null", b"1e999", b"-0", b'"q":"z",', b'"query":1,', b"\n", b"\r", b"\t", b"\x00", b"\x1f"),
)


def make(seed: int, number: int) -> Case:
    """Return the request of a number; the same seed and number give the same one."""
    rng = Random(f"{seed}/{number}")
    case = rng.choice(TEMPLATES)(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        rng.choice(_MUTATIONS)(rng, case)
    if case.body is not None and rng.random() < 0.3:
        case.chunked = True
    most = rng.choice((1, 7, 100, 5000)) if len(case.body or b"") < 3000 else 60_000
    case.sizes = [rng.randint(1, most) for _ in range(4)]
    case.answer = rng.choice((b"200", b"200", b"200", b"404", b"500", b"503", b"204")) + (
        b" " + rng.choice((b"length", b"chunked", b"close"))
    )
    if any(name.lower().startswith(b"if-") for name, _ in case.headers) and rng.random() < 0.3:
        case.answer = b"304 length"
    elif rng.random() < 0.05:
        case.answer = rng.choice((b"413", b"401", b"307", b"503", b"200")) + (
            b" " + rng.choice((b"early", b"early drain"))
        )
    elif rng.random() < 0.02 and case.body:
        head, body = case.wire(number)
        case.cut = rng.randint(1, len(head) + len(body) - 1)
    return case


def _mutated(rng: Random, data: bytes) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        stop = rng.randint(at, min(len(data), at + 6))
        odd = rng.choice((rng.choice(MARKS), rng.randbytes(rng.randint(0, 3)), data[at:stop] * 2))
        data = data[:at] + odd + data[stop:]
    return data


def _mutate_target(rng: Random, case: Case) -> None:
    path, mark, query = case.target.partition(b"?")
    if rng.random() < 0.3:
        path = _mutated(rng, path)
    else:
        query = _mutated(rng, query)
    target = path + (mark or b"?") + query
    if rng.random() < 0.95:  # most are such that a server takes them, or one of them does
        kept = BREAKING if rng.random() < 0.5 else frozenset(range(0x21)) | {0x7F}
        target = bytes(byte for byte in target if byte not in kept)
    case.target = target or b"/"


def _mutate_body(rng: Random, case: Case) -> None:
    if case.body is not None:
        case.body = _mutated(rng, case.body)


def _grow_body(rng: Random, case: Case) -> None:
    if case.body is None:
        return
    kind = rng.randrange(5)
    if kind == 0:
        case.body = (
            rng.choice((b"[", b'{"query":', b'{"bool":{"must":[')) * rng.choice((50, 5000))
            + case.body
        )
    elif kind == 1 and rng.random() < 0.1:
        case.body += b" " * rng.choice((1000, 262_144 - len(case.body) % 1000, 300_000))
    elif kind == 2:
        case.body = case.body[: rng.randint(0, len(case.body))]
    elif kind == 3:
        case.body = case.body.decode("latin-1").encode(
            rng.choice(("utf-16", "utf-8-sig", "utf-32"))
        )
    else:
        case.body = gzip.compress(case.body, mtime=0)
        if rng.random() < 0.7:
            case.headers.append(
                (b"content-encoding", rng.choice((b"gzip", b"GZIP", b"br", b"zstd, gzip")))
            )


_LINES: tuple[tuple[bytes, bytes], ...] = (
    *((b"X-Odd", b"\xe9\xff"), (b"X-Empty", b""), (b"X-Long", b"v" * 6000), (b"X-Odd", b"again")),
    *((b"Accept-Encoding", b"gzip, br"), (b"Range", b"bytes=0-1"), (b"Cookie", b"a=b; c")),
    *((b"Connection", b"close"), (b"Connection", b"keep-alive, x-drop"), (b"X-Drop", b"1")),
    *((b"TE", b"trailers"), (b"Expect", b"100-continue"), (b"Keep-Alive", b"timeout=5")),
    *((b"Authorization", b"AWS4-HMAC-SHA256 Credential=a, Signature=0"), (b"Signature", b"s=:x:")),
    *(
        (b"Content-Digest", b"sha-256=:x:"),
        (b"Authorization", b"Bearer x"),
        (b"Proxy-Connection", b"close"),
    ),
    *((b"Query-Reformulation-Control", b"off"), (b"Query-Reformulation-Control", b"mode=expand")),
    *((b"Query-Reformulation-Control", b"budget=0, \xff"), (b"Query-Reformulation", b"rewritten")),
    *(
        (b"X-Forwarded-Host", b"evil.test"),
        (b"X-HTTP-Method-Override", b"DELETE"),
        (b"Content-Type", b""),
    ),
    *((b"Content-Type", b"application/json; charset=utf-16"), (b"Content-Type", b"\xff/\xff;;=")),
    *(
        (b"Content-Type", b"application/x-www-form-urlencoded; charset=latin-1"),
        (b"Upgrade", b"websocket"),
    ),
    *((b"If-None-Match", b'"x"'), (b"if-none-match", b"*"), (b"If-Match", b'W/"x", "y"')),
    *((b"If-Modified-Since", b"x"), (b"If-Unmodified-Since", b"x"), (b"If-Range", b'"x"')),
    *((b"Range", b"bytes=0-0,5-"), (b"RANGE", b"items=1")),
)
_OFFERS: tuple[tuple[tuple[bytes, bytes], ...], ...] = (
    (
        (b"Connection", b"Upgrade, HTTP2-Settings"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMAAABkAAQAAP__"),
    ),
    (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"Sec-WebSocket-Version", b"13"),
    ),
    ((b"connection", b"keep-alive, upgrade"), (b"UPGRADE", b"foo/2, bar")),
    ((b"Connection", b"upgrade"), (b"Upgrade", b"TLS/1.0"), (b"Upgrade", b"h2c")),
)


def _add_header(rng: Random, case: Case) -> None:
    case.headers.insert(rng.randint(0, len(case.headers)), rng.choice(_LINES))


def _offer(rng: Random, case: Case) -> None:
    """Offer another protocol."""
    at = rng.randint(0, len(case.headers))
    case.headers[at:at] = rng.choice(_OFFERS)


def _odd_header(rng: Random, case: Case) -> None:
    kind = rng.randrange(5)
    if kind == 4:
        case.coding = rng.choice((b"Chunked", b"gzip, chunked"))
    elif kind == 0:
        case.host = rng.choice((b"evil.test", b"10.0.0.9:99", b"", b"a b", b"front.test:80"))
    elif kind == 1:
        case.headers.append((b"Transfer-Encoding", rng.choice((b"gzip", b"identity"))))
    elif kind == 2:
        case.headers.append((rng.choice((b"X Bad", b"", b"X\xe9")), b"1"))
    else:
        case.headers = [line for line in case.headers if rng.random() < 0.5]


def _mutate_method(rng: Random, case: Case) -> None:
    case.method = rng.choice((b"GET", b"POST", b"PUT", b"HEAD", b"post", b"SEARCH", b"G\x7fT"))


_MUTATIONS: tuple[Callable[[Random, Case], None], ...] = (
    *(_mutate_target, _mutate_target, _mutate_body, _mutate_body, _grow_body, _add_header),
    *(_add_header, _odd_header, _mutate_method, _offer),
)
