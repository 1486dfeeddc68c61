"""Requests that expect, offer, follow each other, come in pieces, or have conditions."""

from __future__ import annotations

from .cases import Case, Plan, answer, cases, chunked, head, plan, post
from .framing import FIVE, TE

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_EXPECT = b"Expect: 100-continue"


def _waiting(*lines: bytes, body: bytes, method: bytes = b"POST") -> Case:
    """Return a client that sends its body once it is told to."""
    return Case((post(*lines, method=method, body=b""), body), awaits=_GO_ON)


EXPECTATIONS = cases(
    "expect",
    {
        "length": _waiting(_EXPECT, b"Content-Length: 5", body=b"abcde"),
        "chunks": _waiting(_EXPECT, TE, body=FIVE),
        "PUT": _waiting(_EXPECT, b"Content-Length: 5", body=b"abcde", method=b"PUT"),
        "GET with a body": _waiting(_EXPECT, b"Content-Length: 5", body=b"abcde", method=b"GET"),
        "capital": _waiting(b"Expect: 100-Continue", b"Content-Length: 5", body=b"abcde"),
        "capitals": _waiting(b"EXPECT: 100-CONTINUE", b"Content-Length: 5", body=b"abcde"),
        "blanks around": _waiting(b"Expect:  100-continue  ", b"Content-Length: 5", body=b"abcde"),
        "large body": _waiting(_EXPECT, b"Content-Length: 300000", body=b"0123456789" * 30_000),
        "body at once": post(_EXPECT, b"Content-Length: 5"),
        "chunks at once": post(_EXPECT, TE, body=FIVE),
        "no body": head(_EXPECT),
        "length of zero": post(_EXPECT, b"Content-Length: 0", body=b""),
        "twice": post(_EXPECT, _EXPECT, b"Content-Length: 5"),
        "HTTP/1.0": head(
            _EXPECT, b"Content-Length: 5", version=b"HTTP/1.0", method=b"POST", body=b"abcde"
        ),
        "unknown": post(b"Expect: x", b"Content-Length: 5"),
        "empty": post(b"Expect:", b"Content-Length: 5"),
        "parameter": post(b"Expect: 100-continue;a=b", b"Content-Length: 5"),
        "list": post(b"Expect: 100-continue, x", b"Content-Length: 5"),
        "101": post(b"Expect: 101-continue", b"Content-Length: 5"),
        "two requests": post(_EXPECT, b"Content-Length: 5") * 2,
    },
)
_SETTINGS = b"HTTP2-Settings: AAMAAABkAAQAAP__"
_OFFERS: dict[str, tuple[bytes, ...]] = {
    "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", _SETTINGS),
    "websocket": (
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "unknown": (b"Connection: Upgrade", b"Upgrade: foo/2"),
    "not listed": (b"Upgrade: h2c",),
    "listed alone": (b"Connection: upgrade",),
    "several": (b"Connection: upgrade, close", b"Upgrade: a/1, b", b"Upgrade: c"),
}
UPGRADES = cases(
    "upgrade",
    {
        **{f"{name}, GET": head(*offer) for name, offer in _OFFERS.items()},
        **{
            f"{name}, length": post(*offer, b"Content-Length: 5") for name, offer in _OFFERS.items()
        },
        **{f"{name}, chunks": post(*offer, TE, body=FIVE) for name, offer in _OFFERS.items()},
        **{
            f"{name}, PUT after GET": head() + post(*offer, TE, body=FIVE, method=b"PUT")
            for name, offer in _OFFERS.items()
        },
        "HTTP/1.0": head(*_OFFERS["h2c"], version=b"HTTP/1.0"),
        "expects, too": _waiting(*_OFFERS["h2c"], _EXPECT, TE, body=FIVE),
        "accepted by the upstream": Case(
            (head(*_OFFERS["websocket"]),),
            plan(
                b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                then="close",
            ),
        ),
        "offered by the upstream": Case(
            (head(),),
            plan(answer(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 0")),
        ),
        "demanded by the upstream": Case(
            (head(),),
            plan(
                answer(
                    b"Upgrade: TLS/1.2",
                    b"Connection: Upgrade",
                    b"Content-Length: 0",
                    status=b"HTTP/1.1 426 Upgrade Required",
                )
            ),
        ),
    },
)
_PUT = post(b"Content-Length: 5", method=b"PUT")
_CHUNKS = post(TE, body=chunked(b"ab", b"cde"))
_TEN = b"".join(head(target=b"/%d" % n) for n in range(10))
PIPELINES = cases(
    "pipeline",
    {
        "two": head(target=b"/1") + head(target=b"/2"),
        "three": b"".join(head(target=b"/%d" % n) for n in range(3)),
        "ten": _TEN,
        "ten with bodies": _PUT * 10,
        "ten with chunks": _CHUNKS * 10,
        "both framings in turns": (_PUT + _CHUNKS) * 5,
        "with and without bodies": (head() + _PUT + head() + _CHUNKS) * 2,
        "blank lines between": b"\r\n".join([head(), _PUT, _CHUNKS, head()]),
        "two blank lines between": b"\r\n\r\n".join([head(), head(), head()]),
        "bare LF between": b"\n".join([head(), head()]),
        "byte too many between": head() + b"x" + head(target=b"/2"),
        "HEAD in the middle": Case((head() + head(method=b"HEAD") + head(),), heads=frozenset({1})),
        "many of HEAD": Case((head(method=b"HEAD") * 5,), heads=frozenset(range(5))),
        "close in the middle": head() + head(b"Connection: close") + head(target=b"/late"),
        "HTTP/1.0 in the middle": head() + head(version=b"HTTP/1.0") + head(target=b"/late"),
        "HTTP/1.0 kept": head(b"Connection: keep-alive", version=b"HTTP/1.0") * 2,
        "malformed second": head() + b"GET\r\n\r\n" + head(target=b"/late"),
        "malformed last": _TEN + head(b"Content-Length: x"),
        "broken chunk in the middle": head() + post(TE, body=b"z\r\n") + head(target=b"/late"),
        "CONNECT in the middle": head() + head(method=b"CONNECT") + head(target=b"/late"),
        "no host in the middle": head() + head(host=None) + head(target=b"/late"),
        "upgrade in the middle": head()
        + post(*_OFFERS["h2c"], b"Content-Length: 5")
        + head(target=b"/3"),
        "expectation in the middle": head() + post(_EXPECT, TE, body=FIVE) + head(target=b"/3"),
        "request in a body": post(b"Content-Length: %d" % len(_TEN), body=_TEN) + head(),
        "request in a chunk": post(TE, body=chunked(_TEN)) + head(),
        "different methods": b"".join(
            head(method=method) for method in (b"GET", b"DELETE", b"OPTIONS", b"PATCH", b"REPORT")
        ),
        "thirty": head() * 30,
        "large bodies": post(b"Content-Length: 100000", body=b"0123456789" * 10_000) * 3,
    },
)


def _cut(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[at : at + size] for at in range(0, len(data), size))


_ODD = head(b"X-A: \xe9", target=b"/caf\xc3\xa9?q=%zz")
SEGMENTS = cases(
    "segments",
    {
        "GET by byte": _cut(head(), 1),
        "raw bytes by byte": _cut(_ODD, 1),
        "length by byte": _cut(post(b"Content-Length: 5"), 1),
        "chunks by byte": _cut(_CHUNKS, 1),
        "chunks by two bytes": _cut(_CHUNKS, 2),
        "chunks by three bytes": _cut(_CHUNKS, 3),
        "trailers by byte": _cut(
            post(TE, body=chunked(b"ab", end=b"0;x\r\nX-T: 1\r\nX-U: 2\r\n\r\n")), 1
        ),
        "pipeline by byte": _cut(head() + _PUT + _CHUNKS, 1),
        "pipeline by seven bytes": _cut((head() + _PUT + _CHUNKS) * 3, 7),
        "upgrade by byte": _cut(post(*_OFFERS["h2c"], TE, body=FIVE), 1),
        "head and body apart": (post(b"Content-Length: 5", body=b""), b"abcde"),
        "CR and LF apart": (b"GET /x HTTP/1.1\r", b"\nHost: a\r", b"\n\r", b"\n"),
        "between the requests": (head(), head(), head()),
        "end of one with the start of another": (head()[:-1], b"\n" + head()[:10], head()[10:]),
        "large body in pieces": (
            post(b"Content-Length: 200000", body=b""),
            *_cut(b"0123456789" * 20_000, 30_011),
        ),
        "malformed by byte": _cut(head(b"X A: 1"), 1),
        "bare LF by byte": _cut(b"GET /x HTTP/1.1\nHost: a\n\n", 1),
        "fold by byte": _cut(head(b"X-A: 1", b" 2"), 1),
    },
)
_VALID = plan(
    answer(
        b'ETag: "v1"',
        b"Last-Modified: Sat, 01 Nov 2025 10:00:00 GMT",
        b"Accept-Ranges: bytes",
        b"Content-Length: 10",
        body=b"0123456789",
    )
)
_PART = plan(
    answer(
        b"Content-Range: bytes 2-4/10",
        b"Content-Length: 3",
        status=b"HTTP/1.1 206 Partial Content",
        body=b"234",
    )
)
_BAD_RANGE = plan(
    answer(
        b"Content-Range: bytes */10",
        b"Content-Length: 0",
        status=b"HTTP/1.1 416 Range Not Satisfiable",
    )
)
_SAME = plan(answer(b'ETag: "v1"', status=b"HTTP/1.1 304 Not Modified"))
_FAILED = plan(answer(b"Content-Length: 0", status=b"HTTP/1.1 412 Precondition Failed"))


def _asked(*lines: bytes, by: Plan = _VALID, method: bytes = b"GET") -> Case:
    return Case((head(*lines, method=method),), by)


CONDITIONS = cases(
    "conditions",
    {
        "range that the upstream ignores": _asked(b"Range: bytes=2-4"),
        "range": _asked(b"Range: bytes=2-4", by=_PART),
        "ranges": _asked(b"Range: bytes=0-0, 2-4"),
        "range of the end": _asked(b"Range: bytes=-3"),
        "range without an end": _asked(b"Range: bytes=3-", by=_PART),
        "range that is none": _asked(b"Range: bytes=x"),
        "range of an unknown unit": _asked(b"Range: lines=1-2"),
        "range beyond": _asked(b"Range: bytes=99-", by=_BAD_RANGE),
        "overlapping ranges": _asked(b"Range: bytes=" + b",".join([b"0-"] * 50)),
        "If-Range with a tag": _asked(b"Range: bytes=2-4", b'If-Range: "v1"', by=_PART),
        "If-Range with a date": _asked(
            b"Range: bytes=2-4", b"If-Range: Sat, 01 Nov 2025 10:00:00 GMT"
        ),
        "If-None-Match": _asked(b'If-None-Match: "v1"', by=_SAME),
        "If-None-Match that the upstream ignores": _asked(b'If-None-Match: "v1"'),
        "If-None-Match of any": _asked(b"If-None-Match: *"),
        "If-None-Match of several": _asked(b'If-None-Match: "a", W/"v1"'),
        "If-None-Match that is none": _asked(b"If-None-Match: v1"),
        "If-Match": _asked(b'If-Match: "v2"', by=_FAILED),
        "If-Match that the upstream ignores": _asked(b'If-Match: "v2"'),
        "If-Modified-Since": _asked(b"If-Modified-Since: Sat, 01 Nov 2025 10:00:00 GMT"),
        "If-Modified-Since in the future": _asked(
            b"If-Modified-Since: Sat, 01 Nov 2099 10:00:00 GMT", by=_SAME
        ),
        "If-Modified-Since that is none": _asked(b"If-Modified-Since: yesterday"),
        "If-Unmodified-Since": _asked(b"If-Unmodified-Since: Sat, 01 Nov 2014 10:00:00 GMT"),
        "range of POST": _asked(
            b"Range: bytes=2-4", b"Content-Length: 0", by=_PART, method=b"POST"
        ),
        "both of a tag": _asked(b'If-Match: "v1"', b'If-None-Match: "v1"'),
        "cache directives": _asked(b"Cache-Control: only-if-cached", b"Pragma: no-cache"),
    },
)
PASSED = cases(
    "passed",
    {
        "cookies in two lines": head(b"Cookie: a=b", b"Cookie: c=d"),
        "Accept-Encoding": head(b"Accept-Encoding: gzip, br;q=0.5, *;q=0"),
        "Authorization": head(b"Authorization: Basic eDp5"),
        "Authorization twice": head(b"Authorization: a", b"Authorization: b"),
        "User-Agent that is empty": head(b"User-Agent:"),
        "Content-Type twice": post(
            b"Content-Type: a/b", b"Content-Type: c/d", b"Content-Length: 5"
        ),
        "Content-Encoding": post(b"Content-Encoding: gzip", b"Content-Length: 5"),
        "X-Forwarded-For": head(b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-For: 5.6.7.8"),
        "Forwarded": head(b"Forwarded: for=1.2.3.4"),
        "Via": head(b"Via: 1.1 other"),
        "CDN-Loop of others": head(b"CDN-Loop: other"),
        "Max-Forwards of zero": head(b"Max-Forwards: 0", method=b"OPTIONS"),
        "X-HTTP-Method-Override": post(b"X-HTTP-Method-Override: DELETE", b"Content-Length: 5"),
        "X-Original-URL": head(b"X-Original-URL: /admin"),
        "X-Accel-Redirect": head(b"X-Accel-Redirect: /x"),
        "Origin": head(b"Origin: null", b"Sec-Fetch-Mode: cors"),
        "preflight": head(
            b"Origin: http://b", b"Access-Control-Request-Method: PUT", method=b"OPTIONS"
        ),
        "Date": head(b"Date: now"),
        "Trace context": head(b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad-01"),
        "Content-MD5 without a body": head(b"Content-MD5: x"),
        "Priority": head(b"Priority: u=1, i"),
        "Early-Data": head(b"Early-Data: 1"),
    },
)
