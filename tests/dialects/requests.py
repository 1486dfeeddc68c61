"""Requests to each search API, generated around texts that are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from hypothesis import settings
from hypothesis import strategies as st

from middleware import SearchRequest
from tests.conftest import at_most

# As few as the profile says, if that is less: the fast tests' has 10. Without a deadline, because
# the machine may be loaded.
QUICK = settings(max_examples=at_most(40), deadline=None)
FORM = "application/x-www-form-urlencoded"
WORDS = st.lists(st.text("abcdefgéß水", min_size=2, max_size=6), min_size=1, max_size=4).map(
    " ".join
)
"""Texts without operators of any query syntax."""
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
MARKS = (
    *('"}', '"},"x":{"y":"', "&q=b", "%26", "a\nb", "{!func}x", "x) OR (y", "\\", '\\"', "+-a"),
    *("*:*", "-a", "a AND b", "\x00", "\u2028", "#", ";", "//", "a~2^3", "é😀", "[1 TO 2}"),
)
ADVERSARIAL = TEXTS | st.sampled_from(MARKS)
SPACE = st.text(" \t\r", max_size=2)
SCALARS = (
    st.integers(-(10**40), 10**40).map(str)
    | st.sampled_from(["1.00", "-0.0", "1E+5", "true", "false", "null", "[]", "{}"])
    | st.sampled_from(['"\\u00e9\\/"', '"\\ud83d\\ude00"', "[0.10,-2e-3]", '{"a":1,"a":2}'])
)


@dataclass(frozen=True)
class Sample:
    """A request and the texts that a dialect must find in it."""

    request: SearchRequest
    texts: tuple[str, ...]


def request(
    method: str,
    path: str,
    query_string: bytes = b"",
    body: bytes | None = None,
    kind: str = "application/json",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> SearchRequest:
    """Make a request."""
    lines = ((b"content-type", kind.encode()), *headers)
    return SearchRequest(method, path, query_string, lines, body)


@st.composite
def json_string(draw: st.DrawFn, text: str) -> str:
    """A text as a JSON string, in one of its encodings."""
    plain = json.dumps(text, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        plain = plain.replace("a", "\\u0061")
    return plain


@st.composite
def member(draw: st.DrawFn, key: str, value: str) -> str:
    """A member of an object, with white space."""
    a, b, c = draw(SPACE), draw(SPACE), draw(SPACE)
    return f"{a}{json.dumps(key)}{b}:{c}{value}{a}"


@st.composite
def around(draw: st.DrawFn, *members: tuple[str, str]) -> str:
    """An object of the members given, with unknown ones and white space between them."""
    unknown = draw(st.lists(st.tuples(st.sampled_from(["x_1", "é", "zz"]), SCALARS), max_size=3))
    written = [draw(member(key, value)) for key, value in (*members, *unknown)]
    return "{" + ",".join(draw(st.permutations(written))) + "}"


@st.composite
def pairs(draw: st.DrawFn, *fixed: tuple[str, str]) -> bytes:
    """URL-encoded parameters among others: doubled, valueless, broken."""
    encode = draw(st.sampled_from([quote, quote_plus]))
    mine = [f"{name}={encode(text, safe='')}".encode() for name, text in fixed]
    odd = st.sampled_from([b"fq=a", b"fq=b", b"x", b"", b"y=", b"z=%zz", b"n=\xe9", b"%E9=1"])
    others = draw(st.lists(odd, max_size=4))
    return b"&".join(draw(st.permutations(mine + others)))


@st.composite
def elasticsearch_body(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A search of one to three clauses."""
    clauses, texts = [], draw(st.lists(WORDS, min_size=1, max_size=3))
    for text in texts:
        encoded = draw(json_string(text))
        name = draw(st.sampled_from(["match", "long", "multi_match", "query_string", "semantic"]))
        if name == "match":
            inner = f'{{"title":{encoded}}}'
        elif name == "long":
            name, inner = "match", f'{{"title":{draw(around(("query", encoded)))}}}'
        else:
            inner = draw(around(("query", encoded)))
        clauses.append(f'{{"{name}":{inner}}}')
    should = ",".join(clauses)
    return draw(around(("query", f'{{"bool":{{"should":[{should}],"filter":[]}}}}'))), tuple(texts)


@st.composite
def elasticsearch(draw: st.DrawFn) -> Sample:
    """A search or multi-search."""
    where = draw(st.sampled_from(["body", "q", "source", "many"]))
    if where == "q":
        text = draw(WORDS)
        return Sample(request("GET", "/i/_search", draw(pairs(("q", text)))), (text,))
    if where == "many":
        bodies = draw(st.lists(elasticsearch_body(), min_size=1, max_size=3))
        header = draw(st.sampled_from(["", "{}", '{"index":"a"}']))
        # A blank line at the very start is not a header to the server.
        lines = "".join(
            f"{header if at else '{}'}\n{body}\n" for at, (body, _) in enumerate(bodies)
        )
        many = request("POST", "/_msearch", b"", lines.encode(), "application/x-ndjson")
        return Sample(many, tuple(text for _, texts in bodies for text in texts))
    body, texts = draw(elasticsearch_body())
    if where == "source":
        return Sample(request("GET", "/i/_search", draw(pairs(("source", body)))), texts)
    kind = "application/vnd.elasticsearch+json; compatible-with=8"
    return Sample(request("POST", "/i/_search", b"size=3", body.encode(), kind), texts)


@st.composite
def solr(draw: st.DrawFn) -> Sample:
    """A search by URL, form or JSON."""
    text, where = draw(WORDS), draw(st.sampled_from(["url", "form", "json", "object"]))
    parser = draw(st.sampled_from([(), (("defType", "edismax"),), (("defType", "lucene"),)]))
    if where == "url":
        found = draw(pairs(("q", text), *parser))
        return Sample(request("GET", "/solr/c/select", found), (text,))
    if where == "form":
        form = draw(pairs(("q", text), *parser))
        return Sample(request("POST", "/solr/c/select", b"", form, FORM), (text,))
    encoded = draw(json_string(text))
    if where == "object":
        encoded = f'{{"edismax":{draw(around(("query", encoded)))}}}'
    body = draw(around(("query", encoded)))
    return Sample(request("POST", "/solr/c/query", b"", body.encode()), (text,))


@st.composite
def meilisearch(draw: st.DrawFn) -> Sample:
    """A search or multi-search."""
    texts = draw(st.lists(WORDS, min_size=1, max_size=3))
    if draw(st.booleans()):
        url = request("GET", "/indexes/m/search", draw(pairs(("q", texts[0]))))
        return Sample(url, (texts[0],))
    bodies = [draw(around(("q", draw(json_string(text))))) for text in texts]
    if len(bodies) == 1:
        return Sample(request("POST", "/indexes/m/search", b"", bodies[0].encode()), tuple(texts))
    body = draw(around(("queries", f"[{','.join(bodies)}]")))
    return Sample(request("POST", "/multi-search", b"", body.encode()), tuple(texts))


@st.composite
def typesense(draw: st.DrawFn) -> Sample:
    """A search or multi-search."""
    texts = draw(st.lists(WORDS, min_size=1, max_size=3))
    if draw(st.booleans()):
        found = draw(pairs(("q", texts[0])))
        return Sample(request("GET", "/collections/c/documents/search", found), (texts[0],))
    bodies = [draw(around(("q", draw(json_string(text))))) for text in texts]
    body = draw(around(("searches", f"[{','.join(bodies)}]")))
    many = request("POST", "/multi_search", b"page=1", body.encode(), "text/plain")
    return Sample(many, tuple(texts))


@st.composite
def algolia(draw: st.DrawFn) -> Sample:
    """A search by URL, several in JSON, plain or packed."""
    texts = draw(st.lists(WORDS, min_size=1, max_size=3))
    if draw(st.booleans()):
        found = draw(pairs(("query", texts[0])))
        return Sample(request("GET", "/1/indexes/p", found), (texts[0],))
    bodies = []
    for text in texts:
        if draw(st.booleans()):
            bodies.append(draw(around(("query", draw(json_string(text))))))
        else:
            packed = f"query={quote(text, safe='')}&hitsPerPage=2"
            encoded = json.dumps(packed)
            if draw(st.booleans()):
                encoded = encoded.replace("&", "\\u0026").replace("%", "\\u0025")
            bodies.append(draw(around(("params", encoded))))
    body = draw(around(("requests", f"[{','.join(bodies)}]")))
    return Sample(request("POST", "/1/indexes/*/queries", b"", body.encode(), FORM), tuple(texts))


@st.composite
def groonga(draw: st.DrawFn) -> Sample:
    """A select by URL or form."""
    text = draw(WORDS)
    found = draw(pairs(("table", "T"), ("query", text)))
    if draw(st.booleans()):
        return Sample(request("GET", "/d/select", found), (text,))
    return Sample(request("POST", "/d/select.json", b"", found, FORM), (text,))


@st.composite
def plain(draw: st.DrawFn) -> Sample:
    """A parameter, a form field, or a JSON body."""
    text, where = draw(WORDS), draw(st.sampled_from(["url", "form", "json"]))
    if where == "json":
        body = draw(around(("query", draw(json_string(text)))))
        return Sample(request("POST", "/s", b"a=1", body.encode()), (text,))
    found = draw(pairs(("q", text)))
    if where == "url":
        return Sample(request("GET", "/s", found), (text,))
    return Sample(request("POST", "/s", b"", found, FORM), (text,))


SAMPLES: dict[str, Callable[[], st.SearchStrategy[Sample]]] = {
    "algolia": algolia,
    "elasticsearch": elasticsearch,
    "groonga": groonga,
    "meilisearch": meilisearch,
    "opensearch": elasticsearch,
    "plain": plain,
    "solr": solr,
    "typesense": typesense,
}
OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {"plain": {"pointers": ("/query",)}}
