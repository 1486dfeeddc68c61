"""Odd framing of the answers to plain requests."""

from __future__ import annotations

from .cases import Case, Plan, answer, cases, chunked, head, plan, post

TWO = b"Content-Length: 2"
TE = b"Transfer-Encoding: chunked"
OK = answer(TWO, body=b"ok")


def to_head(by: Plan) -> Case:
    """Return a request by HEAD that is answered so."""
    return Case((head(method=b"HEAD"),), by, heads=frozenset({0}))


def with_status(line: bytes, *, then: str = "keep") -> Plan:
    """Return an answer with this status line."""
    return plan(answer(TWO, status=line, body=b"ok"), then=then)


def with_lines(*lines: bytes) -> Plan:
    """Return an answer with these lines in its head."""
    return plan(answer(*lines, TWO, body=b"ok"))


def framed(*lines: bytes, body: bytes = b"ok", then: str = "close") -> Plan:
    """Return an answer that is framed by these lines."""
    return plan(answer(*lines, body=body), then=then)


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
INTERIMS = cases(
    "interim",
    {
        "100": plan(INTERIM + OK, then="close"),
        "100 on its own": plan(INTERIM, OK, then="close"),
        "100 with lines": plan(b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n" + OK, then="close"),
        "three of 100": plan(INTERIM * 3 + OK, then="close"),
        "102": plan(b"HTTP/1.1 102 Processing\r\n\r\n" + OK, then="close"),
        "103": plan(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + OK, then="close"
        ),
        "103 on its own": plan(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK, then="close"),
        "199": plan(b"HTTP/1.1 199 Odd\r\n\r\n" + OK, then="close"),
        "100 with a length": plan(
            b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n" + OK, then="close"
        ),
        "101 that nobody asked for": plan(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            then="close",
        ),
        "100 and then nothing": plan(INTERIM, then="close"),
        "twenty of 103": plan(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20 + OK, then="close"
        ),
        "100 to POST": Case((post(b"Content-Length: 5"),), plan(INTERIM + OK, then="close")),
        "100 to HEAD": to_head(plan(INTERIM + OK[:-2], then="close")),
    },
)
BODILESS = cases(
    "bodiless",
    {
        "204": plan(answer(status=b"HTTP/1.1 204 No Content")),
        "204 with a length of zero": plan(
            answer(b"Content-Length: 0", status=b"HTTP/1.1 204 No Content")
        ),
        "204 with a length": plan(answer(TWO, status=b"HTTP/1.1 204 No Content")),
        "204 with a body": plan(answer(TWO, status=b"HTTP/1.1 204 No Content", body=b"ok")),
        "204 with chunks": plan(answer(TE, status=b"HTTP/1.1 204 No Content", body=chunked(b"ok"))),
        "304": plan(answer(b'ETag: "a"', status=b"HTTP/1.1 304 Not Modified")),
        "304 with a length": plan(answer(TWO, status=b"HTTP/1.1 304 Not Modified")),
        "304 with a body": plan(answer(TWO, status=b"HTTP/1.1 304 Not Modified", body=b"ok")),
        "304 with chunks": plan(
            answer(TE, status=b"HTTP/1.1 304 Not Modified", body=chunked(b"ok"))
        ),
        "304 with coding alone": plan(answer(TE, status=b"HTTP/1.1 304 Not Modified")),
        "205 with a body": plan(answer(TWO, status=b"HTTP/1.1 205 Reset Content", body=b"ok")),
        "205 without a length": plan(answer(status=b"HTTP/1.1 205 Reset Content"), then="close"),
        "HEAD": to_head(plan(answer(TWO))),
        "HEAD with a large length": to_head(plan(answer(b"Content-Length: 99999999999"))),
        "HEAD with a body": to_head(plan(OK)),
        "HEAD with chunks": to_head(plan(answer(TE, body=chunked(b"ok")))),
        "HEAD with coding alone": to_head(plan(answer(TE))),
        "HEAD without framing": to_head(plan(answer())),
        "HEAD that closes": to_head(plan(answer(TWO), then="close")),
        "HEAD with two lengths": to_head(plan(answer(TWO, b"Content-Length: 3"))),
        "length of zero": plan(answer(b"Content-Length: 0")),
        "length of zero and a body": plan(answer(b"Content-Length: 0", body=b"ok")),
        "204 that closes": plan(answer(status=b"HTTP/1.1 204 No Content"), then="close"),
    },
)
LENGTHS = cases(
    "answered length",
    {
        "two that agree": framed(TWO, TWO, then="keep"),
        "two that differ": framed(TWO, b"Content-Length: 1"),
        "list that agrees": framed(b"Content-Length: 2, 2"),
        "list that differs": framed(b"Content-Length: 2, 1"),
        "plus": framed(b"Content-Length: +2"),
        "minus": framed(b"Content-Length: -2"),
        "leading zero": framed(b"Content-Length: 02", then="keep"),
        "hexadecimal": framed(b"Content-Length: 0x2"),
        "letters": framed(b"Content-Length: two"),
        "empty": framed(b"Content-Length:"),
        "blanks around": framed(b"Content-Length:   2  ", then="keep"),
        "tab before": framed(b"Content-Length:\t2"),
        "blank before the colon": framed(b"Content-Length : 2"),
        "folded": framed(b"Content-Length:\r\n 2"),
        "name with an underscore": framed(b"Content_Length: 1"),
        "20 digits": framed(b"Content-Length: 99999999999999999999"),
        "2 to the 64 and 2": framed(b"Content-Length: 18446744073709551618"),
        "shorter body": framed(b"Content-Length: 5"),
        "shorter body and reset": framed(b"Content-Length: 5", then="reset"),
        "no body": framed(b"Content-Length: 5", body=b""),
        "longer body": framed(b"Content-Length: 1", then="keep"),
        "longer body that closes": framed(b"Content-Length: 1"),
        "none": framed(body=b"ok"),
        "none and a large body": framed(body=b"0123456789" * 20_000),
        "none and no body": framed(body=b""),
        "none in HTTP/1.0": plan(answer(status=b"HTTP/1.0 200 OK", body=b"ok"), then="close"),
        "large body": framed(b"Content-Length: 200000", body=b"0123456789" * 20_000, then="keep"),
        "to HTTP/1.0": Case((head(version=b"HTTP/1.0"),), plan(OK)),
        "none, to HTTP/1.0": Case(
            (head(version=b"HTTP/1.0"),), plan(answer(body=b"ok"), then="close")
        ),
    },
)
CODINGS = cases(
    "answered coding",
    {
        "chunked": framed(TE, body=chunked(b"o", b"k"), then="keep"),
        "capitals": framed(b"TRANSFER-ENCODING: CHUNKED", body=chunked(b"ok"), then="keep"),
        "length before": framed(TWO, TE, body=chunked(b"ok"), then="keep"),
        "length after": framed(TE, TWO, body=chunked(b"ok"), then="keep"),
        "longer length": framed(TE, b"Content-Length: 99", body=chunked(b"ok"), then="keep"),
        "twice": framed(TE, TE, body=chunked(b"ok")),
        "twice in a list": framed(b"Transfer-Encoding: chunked, chunked", body=chunked(b"ok")),
        "gzip before": framed(b"Transfer-Encoding: gzip, chunked", body=chunked(b"ok")),
        "gzip": framed(b"Transfer-Encoding: gzip", body=b"ok"),
        "gzip after": framed(b"Transfer-Encoding: chunked, gzip", body=chunked(b"ok")),
        "identity": framed(b"Transfer-Encoding: identity", body=b"ok"),
        "identity with a length": framed(b"Transfer-Encoding: identity", TWO, body=b"ok"),
        "unknown": framed(b"Transfer-Encoding: xchunked", body=chunked(b"ok")),
        "empty": framed(b"Transfer-Encoding:", body=b"ok"),
        "blank before the colon": framed(b"Transfer-Encoding : chunked", body=chunked(b"ok")),
        "folded": framed(b"Transfer-Encoding:\r\n chunked", body=chunked(b"ok")),
        "blanks around": framed(
            b"Transfer-Encoding:   chunked  ", body=chunked(b"ok"), then="keep"
        ),
        "HTTP/1.0": plan(answer(TE, status=b"HTTP/1.0 200 OK", body=chunked(b"ok")), then="close"),
        "to HTTP/1.0": Case((head(version=b"HTTP/1.0"),), plan(answer(TE, body=chunked(b"ok")))),
        "a large chunk": framed(TE, body=chunked(b"0123456789" * 20_000), then="keep"),
        "a thousand chunks": framed(TE, body=chunked(*[b"xyz"] * 1000), then="keep"),
        "chunks on their own": plan(answer(TE), b"1\r\no\r\n", b"1\r\nk\r\n", b"0\r\n\r\n"),
    },
)


def _chunk(body: bytes, *, then: str = "close") -> Plan:
    return plan(answer(TE, body=body), then=then)


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
                answer(TE, body=chunked(b"ok", b"ko"))[at : at + 1]
                for at in range(len(answer(TE, body=chunked(b"ok", b"ko"))))
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
        "after the head": plan(answer(TWO), then="close"),
        "in a large body": plan(
            answer(b"Content-Length: 200000", body=b"0123456789" * 10_000), then="close"
        ),
        "blank line alone": plan(b"\r\n", then="close"),
        "at once, to POST": Case((post(b"Content-Length: 5"),), plan(then="close")),
        "in the status line, to POST": Case(
            (post(b"Content-Length: 5"),), plan(b"HTTP/1.1 2", then="close")
        ),
        "in a body, to POST": Case(
            (post(b"Content-Length: 5"),), plan(answer(TWO, body=b"o"), then="close")
        ),
    },
)
