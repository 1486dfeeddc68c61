"""Requests: searches of every API, orders that look alike, and what is none of both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = ["BREAKING", "TEMPLATES", "Case", "pieces"]

TEXTS = (
    *("red lamp", "please show me red shoes", "login bug", "phone case without logo"),
    *("bike lamp 12v usb", "wireles headphones", "could you find a garden chair for me"),
    *("capital of peru?", "c++ vs c#", "54-QR323014", "4006381333931", "ac/dc", "PE clamp"),
    *("user:/ki.*/ AND -tag:old", '"red shoe"~2', "*", "", " ", "a", "red " * 90, "p:[10 TO 20}"),
    *(
        "{!edismax v=$qq}",
        '_val_:"x"',
        "café crème",
        "水 とお茶",
        "😀 red shoes",
        "\x00 red",
        "%zz",
    ),
    *("a&b=c", "a=b", 'say "hi" \\', "</script>", "\u2028", "\ufeffred lamp", "x\r\nhost: evil"),
)
# What a request line and a header's name may not hold, so that a server may refuse them.
BREAKING = frozenset(range(256)) - frozenset(range(0x21, 0x7F))
_ABSOLUTE = re.compile(rb"http://[a-z0-9.]*[a-z0-9](?:[/?]|$)")


@dataclass
class Case:
    """A request: its parts, and how its bytes come."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = None
    host: bytes = b"front.test"
    chunked: bool = False
    coding: bytes = b"chunked"
    """What a chunked body is said to be."""
    sizes: list[int] = field(default_factory=list)
    """Of the chunks of a chunked body, and then of the pieces that are written."""
    cut: int | None = None
    """Bytes after which the client leaves."""
    answer: bytes = b"200 length"
    """What the upstream is to answer: a status, and a framing."""

    def breaks(self, *, typed: bool = False) -> bool:
        """Tell whether no server has to understand the head, or answer it at all.

        ``typed`` is that of one which takes a target's bytes beyond ASCII.
        """
        target = self.target
        if typed:
            target = bytes(byte if byte < 0x80 else ord("x") for byte in target)
        words = (self.method, target, *(name for name, _ in self.headers), self.host)
        return (
            any(not word or set(word) & BREAKING for word in words)
            or not self.method.isupper()
            or not (self.target.startswith(b"/") or _ABSOLUTE.match(self.target))
        )

    def wire(self, number: int) -> tuple[bytes, bytes]:
        """Return head and body as they are sent."""
        lines = [(b"Host", self.host), (b"X-Fuzz", b"%d" % number), (b"X-Answer", self.answer)]
        lines += self.headers
        body = self.body or b""
        if self.body is not None and self.chunked:
            lines.append((b"Transfer-Encoding", self.coding))
            body = b"".join(
                b"%x%b\r\n%b\r\n" % (len(part), b";a=b" if len(part) == 7 else b"", part)
                for part in pieces(body, self.sizes)
            )
            body += b"0\r\n\r\n"
        elif self.body is not None:
            lines.append((b"Content-Length", b"%d" % len(body)))
        head = b"%b %b HTTP/1.1\r\n" % (self.method, self.target)
        return head + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n", body


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut bytes into pieces of these sizes, over and over; none is empty."""
    found, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        found.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


def _said(rng: Random, value: Any) -> bytes:
    """Spell JSON in one of its ways."""
    blanks = rng.choice(((",", ":"), (", ", ": "), (" ,\n", " : ")))
    spelled = json.dumps(value, ensure_ascii=rng.random() < 0.5, separators=blanks)
    if rng.random() < 0.2:
        spelled = spelled.replace("e", "\\u0065", 1)
    return spelled.encode("utf-8", "surrogatepass")


def _url(rng: Random, text: str) -> bytes:
    spelled = rng.choice((quote, quote_plus))(text, safe=rng.choice(("", "/:")))
    return spelled.encode()


def _text(rng: Random) -> str:
    return rng.choice(TEXTS)


def _filter(rng: Random, again: str) -> str:
    """Return a filter of Solr, which may repeat the text of the query."""
    text = again if rng.random() < 0.7 else _text(rng)
    forms = ("%s", "{!edismax}%s", "{!edismax qf=t}%s", "{!term f=t}%s", "t:(%s)", 't:"%s"', "(%s)")
    return rng.choice(forms) % text


def _page(rng: Random, *names: str) -> dict[str, Any]:
    return (
        {rng.choice(names): rng.choice((0, 1, 2, 10, -1, "x", None))} if rng.random() < 0.3 else {}
    )


def _form_pairs(rng: Random, name: str, *pages: str) -> bytes:
    again = _text(rng)
    pairs = [f"{name}=".encode() + _url(rng, again)]
    pairs += [f"{key}={value}".encode() for key, value in _page(rng, *pages).items()]
    odd = (
        *(b"fq=a", b"fq=b", b"x", b"", b"y=", b"z=%zz", b"n=\xe9", b"%E9=1", b"size=3"),
        *(b"q.op=AND", b"defType=edismax", b"rows=0"),
    )
    pairs += rng.choices(odd, k=rng.randint(0, 3))
    if rng.random() < 0.3:
        pairs += [b"fq=" + _url(rng, _filter(rng, again)) for _ in range(rng.randint(1, 3))]
    rng.shuffle(pairs)
    return b"&".join(pairs)


JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")


def _clause(rng: Random, depth: int = 0, again: str | None = None) -> dict[str, Any]:
    """Return a query; with a text ``again`` to repeat, it often does."""
    text = _text(rng) if again is None or rng.random() < 0.5 else again
    kind = rng.randrange(10 if depth < 4 else 6)
    simple: tuple[dict[str, Any], ...] = (
        {"match": {"title": text}},
        {"match": {"title": {"query": text, "boost": 1.50}}},
        {"multi_match": {"query": text, "fields": ["a^2", "b"]}},
        {"simple_query_string": {"query": text}},
        {"match_phrase": {"title": text}},
        {"semantic": {"field": "v", "query": text}},
    )
    if kind < len(simple):
        return simple[kind]
    inner = [_clause(rng, depth + 1, text) for _ in range(rng.randint(1, 3))]
    compound: tuple[dict[str, Any], ...] = (
        {"bool": {"must": inner, "filter": {"term": {"query": text}}}},
        {"bool": {"must": inner, "filter": _filters(rng, text), "must_not": _filters(rng, text)}},
        {"function_score": {"query": inner[0], "functions": []}},
        {"dis_max": {"queries": inner, "tie_breaker": 0.10}},
    )
    return compound[kind - len(simple)]


def _filters(rng: Random, text: str) -> dict[str, Any] | list[dict[str, Any]]:
    """Return filters of Elasticsearch, which may repeat the text of the query."""
    forms: tuple[dict[str, Any], ...] = (
        {"match": {"title": text}},
        {"match": {"user.id": text}},
        {"term": {"title.keyword": text}},
        {"terms": {"tag": [text, "b"]}},
        {"constant_score": {"filter": {"match": {"body": {"query": text}}}}},
        {"simple_query_string": {"query": f"{text} -b"}},
        {"range": {"price": {"gte": 1}}},
    )
    return rng.choice(forms) if rng.random() < 0.5 else rng.choices(forms, k=rng.randint(0, 3))


def _elasticsearch(rng: Random) -> Case:
    path = rng.choice((b"/_search", b"/i/_search", b"/i,j/_search", b"/i/_async_search"))
    text = _text(rng)
    search = {"query": _clause(rng, 0, text), **_page(rng, "from", "search_after"), "size": 3}
    if rng.random() < 0.2:
        search["post_filter"] = _filters(rng, text)
    kind = rng.choice((JSON[1], b"application/vnd.elasticsearch+json; compatible-with=8"))
    where = rng.randrange(4)
    if where == 0:
        return Case(b"GET", path + b"?" + _form_pairs(rng, "q", "from"), [])
    if where == 1:
        source = quote(_said(rng, search), safe="").encode()
        return Case(b"GET", path + b"?source=" + source, [])
    method = rng.choice((b"GET", b"POST"))
    return Case(method, path, [(b"content-type", kind)], _said(rng, search))


def _many(rng: Random) -> Case:
    lines = []
    for _ in range(rng.randint(1, 4)):
        lines.append(rng.choice((b"{}", b"", b'{"index":"i"}')))
        lines.append(json.dumps({"query": _clause(rng)}).encode())
    kind = (b"content-type", b"application/x-ndjson")
    return Case(b"POST", b"/_msearch", [kind], b"\n".join(lines) + rng.choice((b"\n", b"\n", b"")))


def _solr(rng: Random) -> Case:
    path, found = b"/solr/c/select", _form_pairs(rng, "q", "start", "cursorMark")
    where = rng.randrange(3)
    if where == 0:
        return Case(b"GET", path + b"?" + found, [])
    if where == 1:
        return Case(b"POST", path, [FORM], found)
    body = {"query": _text(rng), "params": {"defType": "edismax"}, **_page(rng, "offset")}
    return Case(b"POST", b"/solr/c/query", [JSON], _said(rng, body))


def _meilisearch(rng: Random) -> Case:
    search: dict[str, Any] = {"q": _text(rng), **_page(rng, "offset", "page"), "limit": 5}
    if rng.random() < 0.3:
        return Case(b"GET", b"/indexes/m/search?" + _form_pairs(rng, "q", "offset"), [])
    if rng.random() < 0.5:
        return Case(b"POST", b"/indexes/m/search", [JSON], _said(rng, search))
    many = {"queries": [{"indexUid": "m", **search}] * rng.randint(1, 3), "federation": None}
    return Case(b"POST", b"/multi-search", [JSON], _said(rng, many))


def _typesense(rng: Random) -> Case:
    if rng.random() < 0.5:
        found = _form_pairs(rng, "q", "page", "offset")
        return Case(b"GET", b"/collections/c/documents/search?query_by=t&" + found, [])
    searches = {"searches": [{"q": _text(rng), **_page(rng, "page")} for _ in range(3)]}
    kind = (b"content-type", rng.choice((b"text/plain", b"application/json")))
    return Case(b"POST", b"/multi_search?query_by=t", [kind], _said(rng, searches))


def _algolia(rng: Random) -> Case:
    key = (b"x-algolia-api-key", b"0" * 32)
    packed = {"indexName": "p", "params": _form_pairs(rng, "query", "page").decode("latin-1")}
    plain = {"indexName": "p", "query": _text(rng), **_page(rng, "page")}
    kind = rng.choice((JSON, FORM, (b"content-type", b"text/plain")))
    if rng.random() < 0.5:
        body = _said(rng, {"requests": [packed, plain]})
        return Case(b"POST", b"/1/indexes/*/queries", [key, kind], body)
    return Case(
        b"POST", b"/1/indexes/p/query", [key, kind], _said(rng, rng.choice((packed, plain)))
    )


def _groonga(rng: Random) -> Case:
    found = _form_pairs(rng, "query", "offset")
    return Case(b"GET", rng.choice((b"/d/select?", b"/d/select.json?table=T&")) + found, [])


def _plain(rng: Random) -> Case:
    found = _form_pairs(rng, "q", "page")
    where = rng.randrange(3)
    if where == 0:
        return Case(b"GET", b"/search?" + found, [])
    if where == 1:
        return Case(b"POST", b"/search", [FORM], found)
    body = {"a": [1.50, 12345678901234567890], "query": _text(rng)}
    return Case(rng.choice((b"POST", b"GET")), b"/search", [JSON], _said(rng, body))


def _order(rng: Random) -> Case:
    path = rng.choice(
        (b"/i/_delete_by_query", b"/i/_update_by_query", b"/i/_count", b"/i/_doc/_search")
    )
    if rng.random() < 0.5:
        return Case(b"POST", path + b"?" + _form_pairs(rng, "q", "from"), [])
    return Case(rng.choice((b"POST", b"PUT")), path, [JSON], _said(rng, {"query": _clause(rng)}))


def _elsewhere(rng: Random) -> Case:
    paths = (
        b"/",
        b"//10.0.0.9/x",
        b"http://169.254.1.1/x?q=red+lamp",
        b"/http://e/x",
        b"*",
        b"/%2e%2e/x",
        b"/idx%2Fv2/_search?q=red+lamp",
        b"/public/..%2fadmin/_search?q=red+lamp",
        b"/a/../_search",
    )
    method = rng.choice((b"GET", b"OPTIONS", b"DELETE", b"HEAD", b"PATCH", b"PURGE", b"get"))
    return Case(method, rng.choice(paths), [])


_PAGED = ("please show me red shoes", "wireles headphones", "red lamp")


def _pages(rng: Random) -> Case:
    """Return a page of one of few searches, of which clients turn the pages."""
    text, page = rng.choice(_PAGED), rng.randint(1, 3)
    spelled = quote_plus(text).encode()
    where = rng.randrange(5)
    if where == 0:
        return Case(b"GET", b"/search?q=%b&page=%d" % (spelled, page), [])
    if where == 1:
        return Case(b"GET", b"/solr/c/select?q=%b&start=%d" % (spelled, page * 10 - 10), [])
    if where == 2:
        body = {"q": text, "offset": page * 10 - 10, "limit": 10}
        return Case(b"POST", b"/indexes/m/search", [JSON], _said(rng, body))
    if where == 3:
        target = b"/collections/c/documents/search?query_by=t&q=%b&page=%d" % (spelled, page)
        return Case(b"GET", target, [])
    body = {"query": {"match": {"title": text}}, "from": page * 10 - 10, "size": 10}
    return Case(b"POST", b"/i/_search", [JSON], _said(rng, body))


TEMPLATES: tuple[Callable[[Random], Case], ...] = (
    *(_elasticsearch, _elasticsearch, _many, _solr, _meilisearch, _typesense, _algolia),
    *(_groonga, _plain, _plain, _order, _elsewhere, _pages),
)
