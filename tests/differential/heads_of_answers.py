"""Odd status lines and heads of answers, answers that are none, and early ones."""

from __future__ import annotations

from .answers import INTERIM, OK, TE, TWO, to_head, with_lines, with_status
from .cases import Case, Plan, answer, cases, chunked, plan, post

STATUSES = cases(
    "status line",
    {
        "no reason": with_status(b"HTTP/1.1 200 "),
        "no reason and no blank": with_status(b"HTTP/1.1 200"),
        "reason of many words": with_status(b"HTTP/1.1 200 All is well, really"),
        "reason in UTF-8": with_status("HTTP/1.1 200 Très bien".encode()),
        "reason of 10,000 bytes": with_status(b"HTTP/1.1 200 " + b"r" * 10_000),
        "reason with NUL": with_status(b"HTTP/1.1 200 a\x00b", then="close"),
        "reason with a control byte": with_status(b"HTTP/1.1 200 a\x01b", then="close"),
        "reason with a bare CR": with_status(b"HTTP/1.1 200 a\rb", then="close"),
        "HTTP/1.0": with_status(b"HTTP/1.0 200 OK", then="close"),
        "HTTP/1.2": with_status(b"HTTP/1.2 200 OK", then="close"),
        "HTTP/0.9": with_status(b"HTTP/0.9 200 OK", then="close"),
        "HTTP/2.0": with_status(b"HTTP/2.0 200 OK", then="close"),
        "HTTP/2": with_status(b"HTTP/2 200 OK", then="close"),
        "HTTP/1.10": with_status(b"HTTP/1.10 200 OK", then="close"),
        "HTTP alone": with_status(b"HTTP 200 OK", then="close"),
        "small letters": with_status(b"http/1.1 200 OK", then="close"),
        "ICY": with_status(b"ICY 200 OK", then="close"),
        "RTSP": with_status(b"RTSP/1.0 200 OK", then="close"),
        "no version": with_status(b"200 OK", then="close"),
        "no head at all": plan(b"just a text\r\n", then="close"),
        "two blanks": with_status(b"HTTP/1.1  200 OK", then="close"),
        "tab": with_status(b"HTTP/1.1\t200\tOK", then="close"),
        "blank before": with_status(b" HTTP/1.1 200 OK", then="close"),
        "blank line before": plan(b"\r\n" + OK, then="close"),
        "000": with_status(b"HTTP/1.1 000 Odd", then="close"),
        "099": with_status(b"HTTP/1.1 099 Odd", then="close"),
        "20": with_status(b"HTTP/1.1 20 Odd", then="close"),
        "2000": with_status(b"HTTP/1.1 2000 Odd", then="close"),
        "299": with_status(b"HTTP/1.1 299 Odd"),
        "418": with_status(b"HTTP/1.1 418 Teapot"),
        "499": with_status(b"HTTP/1.1 499 Odd"),
        "599": with_status(b"HTTP/1.1 599 Odd"),
        "600": with_status(b"HTTP/1.1 600 Odd", then="close"),
        "999": with_status(b"HTTP/1.1 999 Odd", then="close"),
        "minus": with_status(b"HTTP/1.1 -200 Odd", then="close"),
        "letters": with_status(b"HTTP/1.1 2xx Odd", then="close"),
        "no blank after": with_status(b"HTTP/1.1 200OK", then="close"),
        "bare LF after": plan(b"HTTP/1.1 200 OK\nX-From: upstream\nContent-Length: 2\n\nok"),
        "301": with_status(b"HTTP/1.1 301 Moved"),
        "500": with_status(b"HTTP/1.1 500 Oh"),
        "503": with_status(b"HTTP/1.1 503 Busy"),
        "401": plan(
            answer(
                b"WWW-Authenticate: Basic",
                TWO,
                status=b"HTTP/1.1 401 Unauthorized",
                body=b"ok",
            )
        ),
        "407": plan(
            answer(
                b"Proxy-Authenticate: Basic",
                TWO,
                status=b"HTTP/1.1 407 Proxy Authentication Required",
                body=b"ok",
            )
        ),
    },
)
HEADS = cases(
    "answered head",
    {
        "folded": with_lines(b"X-A: 1", b" 2"),
        "folded with a tab": with_lines(b"X-A: 1", b"\t2"),
        "folded first": plan(
            b"HTTP/1.1 200 OK\r\n X-A: 1\r\nX-From: upstream\r\nContent-Length: 2\r\n\r\nok",
            then="close",
        ),
        "bare LF after a header": plan(
            b"HTTP/1.1 200 OK\r\nX-From: upstream\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
        ),
        "bare CR in a value": plan(answer(b"X-A: b\rc", TWO, body=b"ok"), then="close"),
        "NUL in a value": plan(answer(b"X-A: b\x00c", TWO, body=b"ok"), then="close"),
        "control byte in a value": plan(answer(b"X-A: b\x01c", TWO, body=b"ok"), then="close"),
        "DEL in a value": plan(answer(b"X-A: b\x7fc", TWO, body=b"ok"), then="close"),
        "tab in a value": with_lines(b"X-A: b\tc"),
        "Latin-1": with_lines(b"X-A: \xe9"),
        "UTF-8": with_lines("X-A: é水".encode()),
        "empty value": with_lines(b"X-A:"),
        "blanks around a value": with_lines(b"X-A:   b   "),
        "no colon": plan(answer(b"X-A", TWO, body=b"ok"), then="close"),
        "empty name": plan(answer(b": 1", TWO, body=b"ok"), then="close"),
        "blank before the colon": plan(answer(b"X-A : 1", TWO, body=b"ok"), then="close"),
        "blank in a name": plan(answer(b"X A: 1", TWO, body=b"ok"), then="close"),
        "bad name": plan(answer(b"X(A: 1", TWO, body=b"ok"), then="close"),
        "Latin-1 in a name": plan(answer(b"X\xe9: 1", TWO, body=b"ok"), then="close"),
        "underscore in a name": with_lines(b"X_A: 1"),
        "200 headers": with_lines(*[b"X-%d: 1" % n for n in range(200)]),
        "1,000 headers": with_lines(*[b"X-%d: 1" % n for n in range(1000)]),
        "value of 30,000 bytes": with_lines(b"X-A: " + b"v" * 30_000),
        "value of 60,000 bytes": with_lines(b"X-A: " + b"v" * 60_000),
        "value of 800,000 bytes": plan(
            answer(b"X-A: " + b"v" * 800_000, TWO, body=b"ok"), then="close"
        ),
        "cookies": with_lines(b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d", b"Set-Cookie: a=e"),
        "the same twice": with_lines(b"X-A: 1", b"x-a: 2"),
        "Content-Type twice": with_lines(b"Content-Type: a/b", b"Content-Type: c/d"),
        "Connection lists a header": with_lines(b"Connection: x-drop", b"X-Drop: 1"),
        "Connection lists Set-Cookie": with_lines(b"Connection: set-cookie", b"Set-Cookie: a=b"),
        "Connection lists Content-Type": with_lines(
            b"Connection: content-type", b"Content-Type: a/b"
        ),
        "Connection: close": plan(answer(b"Connection: close", TWO, body=b"ok"), then="close"),
        "Connection: close that stays": with_lines(b"Connection: close"),
        "Keep-Alive": with_lines(b"Keep-Alive: timeout=5"),
        "Proxy-Connection": with_lines(b"Proxy-Connection: keep-alive"),
        "Proxy-Authenticate": with_lines(b"Proxy-Authenticate: Basic"),
        "Trailer": with_lines(b"Trailer: X-T"),
        "TE": with_lines(b"TE: trailers"),
        "Upgrade": with_lines(b"Upgrade: h2c"),
        "Via": with_lines(b"Via: 1.1 other"),
        "Location": with_lines(b"Location: http://other.example/x"),
        "Location of its own": with_lines(b"Location: /x"),
        "Refresh": with_lines(b"Refresh: 0; url=/x"),
        "Date twice": with_lines(b"Date: now", b"Date: then"),
        "Server twice": with_lines(b"Server: a", b"Server: b"),
        "Content-Encoding": with_lines(b"Content-Encoding: gzip"),
        "ETag": with_lines(b'ETag: W/"a"', b"Last-Modified: now"),
        "Content-Range without a range": with_lines(b"Content-Range: bytes 0-1/2"),
        "X-Accel-Redirect": with_lines(b"X-Accel-Redirect: /elsewhere"),
        "X-Accel-Expires": with_lines(b"X-Accel-Expires: 5"),
        "X-Accel-Buffering": with_lines(b"X-Accel-Buffering: no"),
        "X-Accel-Limit-Rate": with_lines(b"X-Accel-Limit-Rate: 100000"),
        "X-Accel-Charset": with_lines(b"X-Accel-Charset: utf-8"),
        "X-Sendfile": with_lines(b"X-Sendfile: /etc/hostname"),
        "Status": with_lines(b"Status: 404"),
        "by byte": plan(*(OK[at : at + 1] for at in range(len(OK)))),
    },
)
GARBAGE = cases(
    "garbage",
    {
        "before": plan(b"garbage" + OK, then="close"),
        "line before": plan(b"garbage\r\n" + OK, then="close"),
        "blank lines before": plan(b"\r\n\r\n\r\n" + OK, then="close"),
        "NUL before": plan(b"\x00" + OK, then="close"),
        "byte order mark before": plan(b"\xef\xbb\xbf" + OK, then="close"),
        "after a length": plan(OK + b"garbage"),
        "after chunks": plan(answer(TE, body=chunked(b"ok")) + b"garbage"),
        "after 204": plan(answer(status=b"HTTP/1.1 204 No Content") + b"garbage"),
        "after 304": plan(answer(status=b"HTTP/1.1 304 Not Modified") + b"garbage"),
        "after HEAD": to_head(plan(answer(TWO) + b"garbage")),
        "line end after": plan(OK + b"\r\n"),
        "second answer": plan(OK + answer(TWO, body=b"no")),
        "second answer after chunks": plan(
            answer(TE, body=chunked(b"ok")) + answer(TWO, body=b"no")
        ),
        "second answer after 204": plan(
            answer(status=b"HTTP/1.1 204 No Content") + answer(TWO, body=b"no")
        ),
        "second answer after HEAD": to_head(plan(answer(TWO) + answer(TWO, body=b"no"))),
        "interim after": plan(OK + INTERIM),
        "TLS": plan(b"\x15\x03\x01\x00\x02\x02\x16", then="close"),
        "SMTP": plan(b"220 a ESMTP\r\n", then="close"),
        "HTTP/2": plan(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", then="close"),
    },
)
_SIZE = 4_000_000
_LARGE = post(b"Content-Length: %d" % _SIZE, body=b"x" * _SIZE)
_LARGE_CHUNKS = post(TE, body=chunked(*[b"x" * 65_536] * (_SIZE // 65_536)))
# An upstream that closes with unread bytes resets the connection, and nginx may lose its answer.
_RESETS = ("close", "reset")
_REFUSED = b"HTTP/1.1 413 Payload Too Large"
_EARLY: dict[str, Plan] = {
    "413 and close": plan(
        answer(TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="close"
    ),
    "413 and drain": plan(
        answer(TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="drain"
    ),
    "413 and wait": plan(
        answer(TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="wait"
    ),
    "413 in chunks": plan(
        answer(TE, status=_REFUSED, body=chunked(b"ok")), early=True, then="close"
    ),
    "401": plan(
        answer(TWO, b"WWW-Authenticate: Basic", status=b"HTTP/1.1 401 No", body=b"ok"),
        early=True,
        then="close",
    ),
    "307": plan(
        answer(b"Location: /y", b"Content-Length: 0", status=b"HTTP/1.1 307 Elsewhere"),
        early=True,
        then="close",
    ),
    "200": plan(answer(TWO, body=b"ok"), early=True, then="close"),
    "503 to the end": plan(answer(status=b"HTTP/1.1 503 Busy", body=b"ok"), early=True, then="end"),
    "nothing": plan(early=True, then="close"),
}
EARLY = cases(
    "early",
    {
        **{
            f"{name}, length": Case((_LARGE,), by, loose=True, varies=by.then in _RESETS)
            for name, by in _EARLY.items()
        },
        **{
            f"{name}, chunks": Case((_LARGE_CHUNKS,), by, loose=True, varies=by.then in _RESETS)
            for name, by in _EARLY.items()
        },
    },
)
