"""Odd answers of the upstream to plain requests."""

from __future__ import annotations

from .cases import Case, Plan, answer, cases, chunked, head, plan, post

_TWO = b"Content-Length: 2"
_TE = b"Transfer-Encoding: chunked"
_OK = answer(_TWO, body=b"ok")


def _to_head(by: Plan) -> Case:
    """Return a request by HEAD that is answered so."""
    return Case((head(method=b"HEAD"),), by, heads=frozenset({0}))


def _status(line: bytes, *, then: str = "keep") -> Plan:
    """Return an answer with this status line."""
    return plan(answer(_TWO, status=line, body=b"ok"), then=then)


def _lines(*lines: bytes) -> Plan:
    """Return an answer with these lines in its head."""
    return plan(answer(*lines, _TWO, body=b"ok"))


def _length(*lines: bytes, body: bytes = b"ok", then: str = "close") -> Plan:
    """Return an answer that is framed by these lines."""
    return plan(answer(*lines, body=body), then=then)


_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
INTERIMS = cases(
    "interim",
    {
        "100": plan(_INTERIM + _OK, then="close"),
        "100 on its own": plan(_INTERIM, _OK, then="close"),
        "100 with lines": plan(b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n" + _OK, then="close"),
        "three of 100": plan(_INTERIM * 3 + _OK, then="close"),
        "102": plan(b"HTTP/1.1 102 Processing\r\n\r\n" + _OK, then="close"),
        "103": plan(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + _OK, then="close"
        ),
        "103 on its own": plan(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", _OK, then="close"
        ),
        "199": plan(b"HTTP/1.1 199 Odd\r\n\r\n" + _OK, then="close"),
        "100 with a length": plan(
            b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n" + _OK, then="close"
        ),
        "101 that nobody asked for": plan(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            then="close",
        ),
        "100 and then nothing": plan(_INTERIM, then="close"),
        "twenty of 103": plan(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20 + _OK, then="close"
        ),
        "100 to POST": Case((post(b"Content-Length: 5"),), plan(_INTERIM + _OK, then="close")),
        "100 to HEAD": _to_head(plan(_INTERIM + _OK[:-2], then="close")),
    },
)
BODILESS = cases(
    "bodiless",
    {
        "204": plan(answer(status=b"HTTP/1.1 204 No Content")),
        "204 with a length of zero": plan(
            answer(b"Content-Length: 0", status=b"HTTP/1.1 204 No Content")
        ),
        "204 with a length": plan(answer(_TWO, status=b"HTTP/1.1 204 No Content")),
        "204 with a body": plan(answer(_TWO, status=b"HTTP/1.1 204 No Content", body=b"ok")),
        "204 with chunks": plan(
            answer(_TE, status=b"HTTP/1.1 204 No Content", body=chunked(b"ok"))
        ),
        "304": plan(answer(b'ETag: "a"', status=b"HTTP/1.1 304 Not Modified")),
        "304 with a length": plan(answer(_TWO, status=b"HTTP/1.1 304 Not Modified")),
        "304 with a body": plan(answer(_TWO, status=b"HTTP/1.1 304 Not Modified", body=b"ok")),
        "304 with chunks": plan(
            answer(_TE, status=b"HTTP/1.1 304 Not Modified", body=chunked(b"ok"))
        ),
        "304 with coding alone": plan(answer(_TE, status=b"HTTP/1.1 304 Not Modified")),
        "205 with a body": plan(answer(_TWO, status=b"HTTP/1.1 205 Reset Content", body=b"ok")),
        "205 without a length": plan(answer(status=b"HTTP/1.1 205 Reset Content"), then="close"),
        "HEAD": _to_head(plan(answer(_TWO))),
        "HEAD with a large length": _to_head(plan(answer(b"Content-Length: 99999999999"))),
        "HEAD with a body": _to_head(plan(_OK)),
        "HEAD with chunks": _to_head(plan(answer(_TE, body=chunked(b"ok")))),
        "HEAD with coding alone": _to_head(plan(answer(_TE))),
        "HEAD without framing": _to_head(plan(answer())),
        "HEAD that closes": _to_head(plan(answer(_TWO), then="close")),
        "HEAD with two lengths": _to_head(plan(answer(_TWO, b"Content-Length: 3"))),
        "length of zero": plan(answer(b"Content-Length: 0")),
        "length of zero and a body": plan(answer(b"Content-Length: 0", body=b"ok")),
        "204 that closes": plan(answer(status=b"HTTP/1.1 204 No Content"), then="close"),
    },
)
LENGTHS = cases(
    "answered length",
    {
        "two that agree": _length(_TWO, _TWO, then="keep"),
        "two that differ": _length(_TWO, b"Content-Length: 1"),
        "list that agrees": _length(b"Content-Length: 2, 2"),
        "list that differs": _length(b"Content-Length: 2, 1"),
        "plus": _length(b"Content-Length: +2"),
        "minus": _length(b"Content-Length: -2"),
        "leading zero": _length(b"Content-Length: 02", then="keep"),
        "hexadecimal": _length(b"Content-Length: 0x2"),
        "letters": _length(b"Content-Length: two"),
        "empty": _length(b"Content-Length:"),
        "blanks around": _length(b"Content-Length:   2  ", then="keep"),
        "tab before": _length(b"Content-Length:\t2"),
        "blank before the colon": _length(b"Content-Length : 2"),
        "folded": _length(b"Content-Length:\r\n 2"),
        "name with an underscore": _length(b"Content_Length: 1"),
        "20 digits": _length(b"Content-Length: 99999999999999999999"),
        "2 to the 64 and 2": _length(b"Content-Length: 18446744073709551618"),
        "shorter body": _length(b"Content-Length: 5"),
        "shorter body and reset": _length(b"Content-Length: 5", then="reset"),
        "no body": _length(b"Content-Length: 5", body=b""),
        "longer body": _length(b"Content-Length: 1", then="keep"),
        "longer body that closes": _length(b"Content-Length: 1"),
        "none": _length(body=b"ok"),
        "none and a large body": _length(body=b"0123456789" * 20_000),
        "none and no body": _length(body=b""),
        "none in HTTP/1.0": plan(answer(status=b"HTTP/1.0 200 OK", body=b"ok"), then="close"),
        "large body": _length(b"Content-Length: 200000", body=b"0123456789" * 20_000, then="keep"),
        "to HTTP/1.0": Case((head(version=b"HTTP/1.0"),), plan(_OK)),
        "none, to HTTP/1.0": Case(
            (head(version=b"HTTP/1.0"),), plan(answer(body=b"ok"), then="close")
        ),
    },
)
CODINGS = cases(
    "answered coding",
    {
        "chunked": _length(_TE, body=chunked(b"o", b"k"), then="keep"),
        "capitals": _length(b"TRANSFER-ENCODING: CHUNKED", body=chunked(b"ok"), then="keep"),
        "length before": _length(_TWO, _TE, body=chunked(b"ok"), then="keep"),
        "length after": _length(_TE, _TWO, body=chunked(b"ok"), then="keep"),
        "longer length": _length(_TE, b"Content-Length: 99", body=chunked(b"ok"), then="keep"),
        "twice": _length(_TE, _TE, body=chunked(b"ok")),
        "twice in a list": _length(b"Transfer-Encoding: chunked, chunked", body=chunked(b"ok")),
        "gzip before": _length(b"Transfer-Encoding: gzip, chunked", body=chunked(b"ok")),
        "gzip": _length(b"Transfer-Encoding: gzip", body=b"ok"),
        "gzip after": _length(b"Transfer-Encoding: chunked, gzip", body=chunked(b"ok")),
        "identity": _length(b"Transfer-Encoding: identity", body=b"ok"),
        "identity with a length": _length(b"Transfer-Encoding: identity", _TWO, body=b"ok"),
        "unknown": _length(b"Transfer-Encoding: xchunked", body=chunked(b"ok")),
        "empty": _length(b"Transfer-Encoding:", body=b"ok"),
        "blank before the colon": _length(b"Transfer-Encoding : chunked", body=chunked(b"ok")),
        "folded": _length(b"Transfer-Encoding:\r\n chunked", body=chunked(b"ok")),
        "blanks around": _length(
            b"Transfer-Encoding:   chunked  ", body=chunked(b"ok"), then="keep"
        ),
        "HTTP/1.0": plan(answer(_TE, status=b"HTTP/1.0 200 OK", body=chunked(b"ok")), then="close"),
        "to HTTP/1.0": Case((head(version=b"HTTP/1.0"),), plan(answer(_TE, body=chunked(b"ok")))),
        "a large chunk": _length(_TE, body=chunked(b"0123456789" * 20_000), then="keep"),
        "a thousand chunks": _length(_TE, body=chunked(*[b"xyz"] * 1000), then="keep"),
        "chunks on their own": plan(answer(_TE), b"1\r\no\r\n", b"1\r\nk\r\n", b"0\r\n\r\n"),
    },
)


def _chunk(body: bytes, *, then: str = "close") -> Plan:
    return plan(answer(_TE, body=body), then=then)


CHUNKS = cases(
    "answered chunks",
    {
        "no last one": _chunk(b"2\r\nok\r\n"),
        "no last one and reset": _chunk(b"2\r\nok\r\n", then="reset"),
        "last one without an end": _chunk(b"2\r\nok\r\n0\r\n"),
        "half a chunk": _chunk(b"9\r\nok"),
        "no chunk at all": _chunk(b""),
        "no hexadecimal": _chunk(b"z\r\nok\r\n0\r\n\r\n"),
        "no size": _chunk(b"\r\nok\r\n0\r\n\r\n"),
        "minus": _chunk(b"-2\r\nok\r\n0\r\n\r\n"),
        "prefix 0x": _chunk(b"0x2\r\nok\r\n0\r\n\r\n"),
        "too large a size": _chunk(b"fffffffffffffffff\r\nok\r\n0\r\n\r\n"),
        "2 to the 64 and 2": _chunk(b"10000000000000002\r\nok\r\n0\r\n\r\n"),
        "leading zeros": _chunk(b"0002\r\nok\r\n000\r\n\r\n", then="keep"),
        "blank after the size": _chunk(b"2 \r\nok\r\n0 \r\n\r\n", then="keep"),
        "extension": _chunk(b'2;a="b"\r\nok\r\n0;c\r\n\r\n', then="keep"),
        "bare LF after the size": _chunk(b"2\nok\r\n0\r\n\r\n"),
        "bare LF after the data": _chunk(b"2\r\nok\n0\r\n\r\n"),
        "bare LFs": _chunk(b"2\nok\n0\n\n"),
        "no end after the data": _chunk(b"2\r\nok0\r\n\r\n"),
        "more data than the size": _chunk(b"1\r\nok\r\n0\r\n\r\n"),
        "trailer": _chunk(b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", then="keep"),
        "trailers": _chunk(b"2\r\nok\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n", then="keep"),
        "trailer without a colon": _chunk(b"2\r\nok\r\n0\r\nX-T\r\n\r\n"),
        "trailer of 20,000 bytes": _chunk(
            b"2\r\nok\r\n0\r\nX-T: " + b"v" * 20_000 + b"\r\n\r\n", then="keep"
        ),
        "by byte": plan(
            *(
                answer(_TE, body=chunked(b"ok", b"ko"))[at : at + 1]
                for at in range(len(answer(_TE, body=chunked(b"ok", b"ko"))))
            )
        ),
    },
)
CUTS = cases(
    "cut",
    {
        "at once": plan(then="close"),
        "at once by reset": plan(then="reset"),
        "in the version": plan(b"HTT", then="close"),
        "in the status line": plan(b"HTTP/1.1 2", then="close"),
        "after the status line": plan(b"HTTP/1.1 200 OK\r\n", then="close"),
        "in a header": plan(b"HTTP/1.1 200 OK\r\nX-A: b", then="close"),
        "before the end of the head": plan(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", then="close"),
        "after the head": plan(answer(_TWO), then="close"),
        "in a large body": plan(
            answer(b"Content-Length: 200000", body=b"0123456789" * 10_000), then="close"
        ),
        "blank line alone": plan(b"\r\n", then="close"),
        "at once, to POST": Case((post(b"Content-Length: 5"),), plan(then="close")),
        "in the status line, to POST": Case(
            (post(b"Content-Length: 5"),), plan(b"HTTP/1.1 2", then="close")
        ),
        "in a body, to POST": Case(
            (post(b"Content-Length: 5"),), plan(answer(_TWO, body=b"o"), then="close")
        ),
    },
)
STATUSES = cases(
    "status line",
    {
        "no reason": _status(b"HTTP/1.1 200 "),
        "no reason and no blank": _status(b"HTTP/1.1 200"),
        "reason of many words": _status(b"HTTP/1.1 200 All is well, really"),
        "reason in UTF-8": _status("HTTP/1.1 200 Très bien".encode()),
        "reason of 10,000 bytes": _status(b"HTTP/1.1 200 " + b"r" * 10_000),
        "reason with NUL": _status(b"HTTP/1.1 200 a\x00b", then="close"),
        "reason with a control byte": _status(b"HTTP/1.1 200 a\x01b", then="close"),
        "reason with a bare CR": _status(b"HTTP/1.1 200 a\rb", then="close"),
        "HTTP/1.0": _status(b"HTTP/1.0 200 OK", then="close"),
        "HTTP/1.2": _status(b"HTTP/1.2 200 OK", then="close"),
        "HTTP/0.9": _status(b"HTTP/0.9 200 OK", then="close"),
        "HTTP/2.0": _status(b"HTTP/2.0 200 OK", then="close"),
        "HTTP/2": _status(b"HTTP/2 200 OK", then="close"),
        "HTTP/1.10": _status(b"HTTP/1.10 200 OK", then="close"),
        "HTTP alone": _status(b"HTTP 200 OK", then="close"),
        "small letters": _status(b"http/1.1 200 OK", then="close"),
        "ICY": _status(b"ICY 200 OK", then="close"),
        "RTSP": _status(b"RTSP/1.0 200 OK", then="close"),
        "no version": _status(b"200 OK", then="close"),
        "no head at all": plan(b"just a text\r\n", then="close"),
        "two blanks": _status(b"HTTP/1.1  200 OK", then="close"),
        "tab": _status(b"HTTP/1.1\t200\tOK", then="close"),
        "blank before": _status(b" HTTP/1.1 200 OK", then="close"),
        "blank line before": plan(b"\r\n" + _OK, then="close"),
        "000": _status(b"HTTP/1.1 000 Odd", then="close"),
        "099": _status(b"HTTP/1.1 099 Odd", then="close"),
        "20": _status(b"HTTP/1.1 20 Odd", then="close"),
        "2000": _status(b"HTTP/1.1 2000 Odd", then="close"),
        "299": _status(b"HTTP/1.1 299 Odd"),
        "418": _status(b"HTTP/1.1 418 Teapot"),
        "499": _status(b"HTTP/1.1 499 Odd"),
        "599": _status(b"HTTP/1.1 599 Odd"),
        "600": _status(b"HTTP/1.1 600 Odd", then="close"),
        "999": _status(b"HTTP/1.1 999 Odd", then="close"),
        "minus": _status(b"HTTP/1.1 -200 Odd", then="close"),
        "letters": _status(b"HTTP/1.1 2xx Odd", then="close"),
        "no blank after": _status(b"HTTP/1.1 200OK", then="close"),
        "bare LF after": plan(b"HTTP/1.1 200 OK\nX-From: upstream\nContent-Length: 2\n\nok"),
        "301": _status(b"HTTP/1.1 301 Moved"),
        "500": _status(b"HTTP/1.1 500 Oh"),
        "503": _status(b"HTTP/1.1 503 Busy"),
        "401": plan(
            answer(
                b"WWW-Authenticate: Basic",
                _TWO,
                status=b"HTTP/1.1 401 Unauthorized",
                body=b"ok",
            )
        ),
        "407": plan(
            answer(
                b"Proxy-Authenticate: Basic",
                _TWO,
                status=b"HTTP/1.1 407 Proxy Authentication Required",
                body=b"ok",
            )
        ),
    },
)
HEADS = cases(
    "answered head",
    {
        "folded": _lines(b"X-A: 1", b" 2"),
        "folded with a tab": _lines(b"X-A: 1", b"\t2"),
        "folded first": plan(
            b"HTTP/1.1 200 OK\r\n X-A: 1\r\nX-From: upstream\r\nContent-Length: 2\r\n\r\nok",
            then="close",
        ),
        "bare LF after a header": plan(
            b"HTTP/1.1 200 OK\r\nX-From: upstream\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
        ),
        "bare CR in a value": plan(answer(b"X-A: b\rc", _TWO, body=b"ok"), then="close"),
        "NUL in a value": plan(answer(b"X-A: b\x00c", _TWO, body=b"ok"), then="close"),
        "control byte in a value": plan(answer(b"X-A: b\x01c", _TWO, body=b"ok"), then="close"),
        "DEL in a value": plan(answer(b"X-A: b\x7fc", _TWO, body=b"ok"), then="close"),
        "tab in a value": _lines(b"X-A: b\tc"),
        "Latin-1": _lines(b"X-A: \xe9"),
        "UTF-8": _lines("X-A: é水".encode()),
        "empty value": _lines(b"X-A:"),
        "blanks around a value": _lines(b"X-A:   b   "),
        "no colon": plan(answer(b"X-A", _TWO, body=b"ok"), then="close"),
        "empty name": plan(answer(b": 1", _TWO, body=b"ok"), then="close"),
        "blank before the colon": plan(answer(b"X-A : 1", _TWO, body=b"ok"), then="close"),
        "blank in a name": plan(answer(b"X A: 1", _TWO, body=b"ok"), then="close"),
        "bad name": plan(answer(b"X(A: 1", _TWO, body=b"ok"), then="close"),
        "Latin-1 in a name": plan(answer(b"X\xe9: 1", _TWO, body=b"ok"), then="close"),
        "underscore in a name": _lines(b"X_A: 1"),
        "200 headers": _lines(*[b"X-%d: 1" % n for n in range(200)]),
        "1,000 headers": _lines(*[b"X-%d: 1" % n for n in range(1000)]),
        "value of 30,000 bytes": _lines(b"X-A: " + b"v" * 30_000),
        "value of 60,000 bytes": _lines(b"X-A: " + b"v" * 60_000),
        "value of 800,000 bytes": plan(
            answer(b"X-A: " + b"v" * 800_000, _TWO, body=b"ok"), then="close"
        ),
        "cookies": _lines(b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d", b"Set-Cookie: a=e"),
        "the same twice": _lines(b"X-A: 1", b"x-a: 2"),
        "Content-Type twice": _lines(b"Content-Type: a/b", b"Content-Type: c/d"),
        "Connection lists a header": _lines(b"Connection: x-drop", b"X-Drop: 1"),
        "Connection lists Set-Cookie": _lines(b"Connection: set-cookie", b"Set-Cookie: a=b"),
        "Connection lists Content-Type": _lines(b"Connection: content-type", b"Content-Type: a/b"),
        "Connection: close": plan(answer(b"Connection: close", _TWO, body=b"ok"), then="close"),
        "Connection: close that stays": _lines(b"Connection: close"),
        "Keep-Alive": _lines(b"Keep-Alive: timeout=5"),
        "Proxy-Connection": _lines(b"Proxy-Connection: keep-alive"),
        "Proxy-Authenticate": _lines(b"Proxy-Authenticate: Basic"),
        "Trailer": _lines(b"Trailer: X-T"),
        "TE": _lines(b"TE: trailers"),
        "Upgrade": _lines(b"Upgrade: h2c"),
        "Via": _lines(b"Via: 1.1 other"),
        "Location": _lines(b"Location: http://other.example/x"),
        "Location of its own": _lines(b"Location: /x"),
        "Refresh": _lines(b"Refresh: 0; url=/x"),
        "Date twice": _lines(b"Date: now", b"Date: then"),
        "Server twice": _lines(b"Server: a", b"Server: b"),
        "Content-Encoding": _lines(b"Content-Encoding: gzip"),
        "ETag": _lines(b'ETag: W/"a"', b"Last-Modified: now"),
        "Content-Range without a range": _lines(b"Content-Range: bytes 0-1/2"),
        "X-Accel-Redirect": _lines(b"X-Accel-Redirect: /elsewhere"),
        "X-Accel-Expires": _lines(b"X-Accel-Expires: 5"),
        "X-Accel-Buffering": _lines(b"X-Accel-Buffering: no"),
        "X-Accel-Limit-Rate": _lines(b"X-Accel-Limit-Rate: 100000"),
        "X-Accel-Charset": _lines(b"X-Accel-Charset: utf-8"),
        "X-Sendfile": _lines(b"X-Sendfile: /etc/hostname"),
        "Status": _lines(b"Status: 404"),
        "by byte": plan(*(_OK[at : at + 1] for at in range(len(_OK)))),
    },
)
GARBAGE = cases(
    "garbage",
    {
        "before": plan(b"garbage" + _OK, then="close"),
        "line before": plan(b"garbage\r\n" + _OK, then="close"),
        "blank lines before": plan(b"\r\n\r\n\r\n" + _OK, then="close"),
        "NUL before": plan(b"\x00" + _OK, then="close"),
        "byte order mark before": plan(b"\xef\xbb\xbf" + _OK, then="close"),
        "after a length": plan(_OK + b"garbage"),
        "after chunks": plan(answer(_TE, body=chunked(b"ok")) + b"garbage"),
        "after 204": plan(answer(status=b"HTTP/1.1 204 No Content") + b"garbage"),
        "after 304": plan(answer(status=b"HTTP/1.1 304 Not Modified") + b"garbage"),
        "after HEAD": _to_head(plan(answer(_TWO) + b"garbage")),
        "line end after": plan(_OK + b"\r\n"),
        "second answer": plan(_OK + answer(_TWO, body=b"no")),
        "second answer after chunks": plan(
            answer(_TE, body=chunked(b"ok")) + answer(_TWO, body=b"no")
        ),
        "second answer after 204": plan(
            answer(status=b"HTTP/1.1 204 No Content") + answer(_TWO, body=b"no")
        ),
        "second answer after HEAD": _to_head(plan(answer(_TWO) + answer(_TWO, body=b"no"))),
        "interim after": plan(_OK + _INTERIM),
        "TLS": plan(b"\x15\x03\x01\x00\x02\x02\x16", then="close"),
        "SMTP": plan(b"220 a ESMTP\r\n", then="close"),
        "HTTP/2": plan(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", then="close"),
    },
)
_SIZE = 4_000_000
_LARGE = post(b"Content-Length: %d" % _SIZE, body=b"x" * _SIZE)
_LARGE_CHUNKS = post(_TE, body=chunked(*[b"x" * 65_536] * (_SIZE // 65_536)))
# An upstream that closes with unread bytes resets the connection, and nginx may lose its answer.
_RESETS = ("close", "reset")
_REFUSED = b"HTTP/1.1 413 Payload Too Large"
_EARLY: dict[str, Plan] = {
    "413 and close": plan(
        answer(_TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="close"
    ),
    "413 and drain": plan(
        answer(_TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="drain"
    ),
    "413 and wait": plan(
        answer(_TWO, b"Connection: close", status=_REFUSED, body=b"ok"), early=True, then="wait"
    ),
    "413 in chunks": plan(
        answer(_TE, status=_REFUSED, body=chunked(b"ok")), early=True, then="close"
    ),
    "401": plan(
        answer(_TWO, b"WWW-Authenticate: Basic", status=b"HTTP/1.1 401 No", body=b"ok"),
        early=True,
        then="close",
    ),
    "307": plan(
        answer(b"Location: /y", b"Content-Length: 0", status=b"HTTP/1.1 307 Elsewhere"),
        early=True,
        then="close",
    ),
    "200": plan(answer(_TWO, body=b"ok"), early=True, then="close"),
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
