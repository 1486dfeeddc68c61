"""Requests of the largest accepted size that cost each dialect the most."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

from middleware import SearchRequest

MAX_BODY = 256 * 1024
MAX_TARGET = 60 * 1024

FORM, JSON, LINES = "application/x-www-form-urlencoded", "application/json", "application/x-ndjson"


def filled(unit: str, start: str = "", end: str = "", size: int = MAX_BODY) -> bytes:
    """Return as many units as fit, between a start and an end; ``#`` in a unit counts them."""
    left = size - len(start.encode()) - len(end.encode())
    if "#" not in unit:
        return (start + unit * (left // len(unit.encode())) + end).encode()
    parts, number = [start], 0
    while (left := left - len(part := unit.replace("#", f"{number:x}"))) >= 0:
        parts.append(part)
        number += 1
    return "".join([*parts, end]).encode()


def forms(name: str, size: int) -> Iterator[bytes]:
    """Yield forms and query strings that are hard to take apart."""
    for unit in (
        f"{name}=&", f"{name}=a&", "a=&", "#=&", "&", "=&", "+&", "%71=&", f"{name}=%C3%A9&",
        f"{name}#=1&", "page=&", "%=&", f"{name}=a+b+c+d&", "é=é&", "a&", f"{name}&",
    ):  # fmt: skip
        yield filled(unit, size=size)
        yield filled(unit, start=f"{name}=red+lamp&", size=size)
    for text in ("%C3%A9", "%CC%81%CC%96", "+", "a+", "%25", "é", "%zz", "_", '"', "AND+"):
        yield filled(text, start=f"{name}=", size=size)
        yield filled("x", start=f"{name}={text * 900}&pad=", size=size)
        sixteenth = (text * MAX_BODY)[: min(8000, size // 20)]
        yield "&".join([f"{name}={sixteenth}"] * 16).encode()
        yield filled(text, end="=1", size=size)
        yield filled(text, start="page=", end=f"&{name}=a", size=size)


def documents(start: str, end: str, item: str) -> Iterator[bytes]:
    """Yield JSON; between start and end stands a list of items, of which each holds one text."""
    for unit in (
        "[],", "{},", '"",', "1,", "1e5,", "null,", '{"a":1},', '{"":{"":1}},', '"\\n",', "[1],",
        '"\\u00e9",', '{"é\\n":"é"},', f"{item},", "[[[[]]]],", " ", "\t\n",
        '{"query":""},', '{"q":"a"},', '{"match":{"a":"b"}},', '{"params":"query=a"},',
        '{"params":"\\u0071uery=a&page=1"},', f'{item[:-1]},"page":2}},',
    ):  # fmt: skip
        yield filled(unit, start, f"null{end}")
        yield filled(unit, f'{start}{item},{{"x":[', f"null]}}{end}")
    for text in ("a ", "é", "\\u00e9", "\\n", "\u0301\u0316", "_", "\\ud800", "😀", "AND ", '\\"'):
        long = filled(text, size=MAX_BODY - len(start) - 200).decode()
        yield f"{start}{item.replace('red lamp', long)}{end}".encode()
        part = filled(text, size=8000).decode()
        yield f"{start}{','.join([item.replace('red lamp', part)] * 16)}{end}".encode()
        yield f'{start}{item},{{"pad":"{long}"}}{end}'.encode()
        yield f'{start}{{"{long}":1}},{item}{end}'.encode()
    yield filled('"#":1,', f"{start}{item},{{", f'"z":1}}{end}')
    yield filled('"#":{},', f"{start}{{", f'"z":1}},{item}{end}')
    yield filled("9", f"{start}{item},", end)
    yield filled("9" * 4200 + ",", f"{start}{item},", f"1{end}")
    for deep in ("[", '{"a":', '{"bool":{"must":[', '{"query":', '{"bool":{"must":'):
        yield filled(deep, start)
    yield json.dumps({"v": [0.1] * 40_000}).encode()
    yield json.dumps({"query": {"match": {"a": "b"}}, "v": [[0.125] * 1000] * 30}).encode()


# By dialect: how it is made, its path, its parameter, and the JSON around items with a text each.
APIS: dict[str, tuple[dict[str, object], str, str, list[tuple[str, str, str]]]] = {
    "plain": (
        {"params": ["q"], "pointers": ["/query", "/a/0", "/0/query"]},
        "/search",
        "q",
        [("[", "]", '{"query":"red lamp"}'), ('{"a":[', "]}", '"red lamp"')],
    ),
    "elasticsearch": (
        {},
        "/i/_search",
        "q",
        [
            ('{"query":{"bool":{"must":[', "]}}}", '{"match":{"a":"red lamp"}}'),
            ('{"size":0,"query":{"bool":{"filter":[', "]}}}", '{"match":{"a":"red lamp"}}'),
            ('{"query":{"dis_max":{"queries":[', "]}}}", '{"match":{"a":{"query":"red lamp"}}}'),
            ('{"knn":[', "]}", '{"query_vector_builder":{"text_embedding":{"model_text":"a"}}}'),
            ('{"aggs":[', '],"query":{"match":{"a":"b"}}}', '{"match":{"a":"red lamp"}}'),
            ('{"query":{"query_string":{"x":[', '],"query":"a"}}}', '{"match":{"a":"red lamp"}}'),
        ],
    ),
    "opensearch": (
        {},
        "/_plugins/_asynchronous_search",
        "q",
        [('{"query":{"bool":{"must":[', "]}}}", '{"match":{"a":"red lamp"}}')],
    ),
    "solr": (
        {},
        "/solr/c/select",
        "q",
        [
            ('{"query":{"bool":{"must":[', "]}}}", '{"lucene":{"query":"red lamp"}}'),
            ('{"params":{"x":[', ']},"query":"red lamp"}', '{"q":"red lamp"}'),
        ],
    ),
    "algolia": (
        {},
        "/1/indexes/*/queries",
        "query",
        [
            ('{"requests":[', "]}", '{"indexName":"a","query":"red lamp"}'),
            ('{"requests":[', "]}", '{"indexName":"a","params":"query=red lamp"}'),
        ],
    ),
    "typesense": ({}, "/multi_search", "q", [('{"searches":[', "]}", '{"q":"red lamp"}')]),
    "meilisearch": ({}, "/multi-search", "q", [('{"queries":[', "]}", '{"q":"red lamp"}')]),
    "groonga": ({}, "/d/select", "query", []),
}


def worst_requests(name: str) -> Iterator[SearchRequest]:
    """Yield the requests that are worst for a dialect."""
    _, path, param, around = APIS[name]
    for data in forms(param, MAX_TARGET):
        yield _request(path, data, None)
        for get in ("/indexes/a/search", "/collections/a/documents/search", "/1/indexes/a"):
            yield _request(get, data, None, method="GET")
    for data in forms(param, MAX_BODY):
        yield _request(path, b"", data, FORM)
        yield _request(path, b"page=1&a=b", data, FORM)
    for start, end, item in around:
        for data in documents(start, end, item):
            yield _request(path, b"", data)
    if name == "elasticsearch":
        yield from _searches()
        yield from _repeated()
    if name == "algolia":
        yield from _packed()
    yield from nearly_filtered(name)


def _searches() -> Iterator[SearchRequest]:
    """Yield multi-searches, and searches in a parameter."""
    search = '{"query":{"match":{"a":"red lamp"}}}'
    for unit in (
        "\n", " \n", "{}\n", "{}\n{}\n", f"{{}}\n{search}\n", f"\n{search}\n", "\n{}\n",
        '{}\n{"query":{"bool":{"must":[{},{},{},{}]}}}\n', '{"a":1,"b":2,"c":3}\n{}\n', "[]\n",
        '{}\n{"aggs":{"a":{"b":[1,2,3,4,5]}}}\n', "x\n",
    ):  # fmt: skip
        for size in (MAX_BODY, 400 * len(unit), 250 * len(unit)):
            yield _request("/_msearch", b"", filled(unit, size=size), LINES)
    for text in ('{"query":{"match":{"a":"', search, "[[", '{"a":'):
        for escape in (quote, str):
            unit = escape(text)
            yield _request("/i/_search", filled(unit, "source=", size=MAX_TARGET), None)
            yield _request("/i/_search", filled(unit, "source=", size=22_000), None)
    for unit in ("%20", "%C3%A9", "%", "+", "a%20"):
        source = filled(unit, f"source={quote(search[:-3])}", quote('"}}}'), size=MAX_TARGET)
        yield _request("/i/_search", source, None)
        yield _request("/i/_search", filled(unit, f"source={quote(search)}", size=20_000), None)


def _repeated() -> Iterator[SearchRequest]:
    """Yield texts that stand in many places, and large parts that may hold one."""
    match = '{"match":{"a":"red lamp"}},'
    search = f'{{"query":{match[:-1]}}}'
    part = {
        "filter": (f'{{"query":{{"bool":{{"must":{match}"filter":[', "{}]}}}"),
        "aggs": (f'{search[:-1]},"aggs":{{"a":{{"filters":{{"filters":[', "{}]}}}}"),
        "suggest": (f'{search[:-1]},"suggest":{{"a":[', "{}]}}"),
        "highlight": (f'{search[:-1]},"highlight":{{"fields":[', "{}]}}"),
        "many": (f'{{"query":{{"bool":{{"must":[{match}{match * 200}{{}}],"filter":[', "{}]}}}"),
        "terms": (f'{{"query":{{"bool":{{"must":{match}"filter":{{"terms":{{"a":[', '""]}}}}}'),
    }  # fmt: skip
    for start, end in part.values():
        for unit in (
            match, '{"term":{"a":"red lamp"}},', '{"a":"\\n"},', '"x",', '"\\u00e9",', "[[[]]],",
            '{"wildcard":{"a":"*red lamp*"}},', '{"bool":{"must_not":[', '"red lamp",', "0.1,",
            '{"a":{"filter":{"a":"red lamp"}}},', '{"query_string":{"query":"red lamp AND x"}},',
        ):  # fmt: skip
            for size in (MAX_BODY, 60_000, 20_000):
                yield _request("/i/_search", b"", filled(unit, start, end, size=size))
    yield from _nearly_repeated()
    for text in ("a", "ab" * 10, "a" * 4000, '\\"' * 100):
        clauses = "".join(f'{{"match":{{"a":"{text}{n}"}}}},' for n in range(16))
        start = f'{{"query":{{"bool":{{"must":[{clauses}{{}}],"filter":['
        for unit in (f'{{"match":{{"b":"{text}1"}}}},', f'"{text}",', '{"a":1},', f'"{text}3",'):
            yield _request("/i/_search", b"", filled(unit, start, "{}]}}}"))
            yield _request("/i/_search", b"", filled(unit, start, "{}]}}}", size=90_000))
            yield _request("/i/_search", b"", filled(f'"{text}1x",', start, f"{unit}{{}}]}}}}}}"))
        lines = "".join(f'{{}}\n{{"query":{{"match":{{"a":"{text}{n}"}}}}}}\n' for n in range(20))
        yield _request("/_msearch", b"", (lines * 6).encode()[:MAX_BODY], LINES)
        yield _request("/_msearch", b"", (lines + lines).encode()[:MAX_BODY], LINES)


def nearly(length: int, count: int = 16) -> list[str]:
    """Return texts that a search compares with nearly each position of ``aaaa`` in vain."""
    return ["a" * (length // 2 - n) + "b" + "a" * (length // 2 + n) for n in range(count)]


def _nearly_repeated() -> Iterator[SearchRequest]:
    """Yield texts next to values that nearly hold them, of all lengths."""
    for length, longest, many in ((40, 2400, 90), (600, 2400, 90), (1200, 2490, 80), (99, 999, 90)):
        must = [{"match": {"t": text}} for text in nearly(length)]
        values = ["a" * longest] * many
        for kind in ("query_string", "simple_query_string"):
            strings = [{kind: {"query": value}} for value in values]
            query = {"query": {"bool": {"must": must, "filter": strings}}}
            yield _request("/i/_search", b"", json.dumps(query).encode())
        for kind in ("regexp", "wildcard", "term", "match"):
            filters = [{kind: {"x": value}} for value in values]
            query = {"query": {"bool": {"must": must, "must_not": filters}}}
            yield _request("/i/_search", b"", json.dumps(query).encode())
            body = {"query": {"bool": {"must": must}}, "aggs": {"a": {"filter": filters[0]}}}
            for part in ("post_filter", "suggest", "rescore"):
                body[part] = filters
            yield _request("/i/_search", b"", json.dumps(body)[:MAX_BODY].encode())
    for size in (2400, 29_000, 31_000, 60_000):
        must = [{"match": {"t": text}} for text in nearly(3900)]
        parts = [{"terms": {"x": ["a" * size]}}] * (180_000 // size)
        clauses = {"must": must, "filter": parts}
        yield _request("/i/_search", b"", json.dumps({"query": {"bool": clauses}}).encode())


def nearly_filtered(name: str) -> Iterator[SearchRequest]:
    """Yield texts beside filters that nearly hold them, in the other dialects."""
    for length, longest in ((40, 2400), (600, 2400), (1200, 2490), (3900, 29_000), (3900, 250_000)):
        first, *others = nearly(length)
        value, many = "a" * longest, max(1, 200_000 // longest)
        texts = [first, *others][: max(1, 200_000 // (longest + length))]
        if name == "solr":
            form = "&".join([f"q={first}", *[f"fq={value}"] * many]).encode()
            yield _request("/solr/c/select", b"", form[:MAX_BODY], FORM)
            must = [{"edismax": {"query": text}} for text in nearly(length)]
            query = {"query": {"bool": {"must": must}}, "filter": [value] * many}
            yield _request("/solr/c/select", b"", json.dumps(query).encode())
        elif name == "meilisearch":
            queries = [{"q": text, "filter": value} for text in texts]
            yield _request("/multi-search", b"", json.dumps({"queries": queries}).encode())
        elif name == "typesense":
            searches = [{"q": text, "filter_by": value} for text in texts]
            yield _request("/multi_search", b"", json.dumps({"searches": searches}).encode())
        elif name == "algolia":
            searches = [{"query": text, "filters": value} for text in texts]
            body = json.dumps({"requests": searches}).encode()
            yield _request("/1/indexes/*/queries", b"", body)
        elif name == "groonga":
            form = f"query={first}&filter={value}".encode()
            yield _request("/d/select", b"", form, FORM)


def _packed() -> Iterator[SearchRequest]:
    """Yield parameters packed in strings of JSON, and secured keys."""
    path = "/1/indexes/*/queries"
    for unit in ("a=&", "&", "\\u0026", "\\u00e9", "query=a&", "%41", "\\n", "é", "%C3%A9"):
        for size in (MAX_BODY - 100, 12_000, 5_900):
            params = filled(unit, "query=a&", size=size).decode()
            whole = f'{{"requests":[{{"params":"{params}"}}]}}'.encode()
            yield _request(path, b"", whole)
        for length in (40, 400, 4000):
            item = f'{{"params":"{filled(unit, "x=1", size=length).decode()}"}},'
            yield _request(path, b"", filled(item, '{"requests":[', "{}]}"))
            yield _request(path, b"", filled(item, '{"requests":[', "{}]}", size=length * 16))
    for raw in (b"a=&" * 11_000, b"query=" + b"%41" * 11_000, b"&" * 33_000):
        key = base64.b64encode(b"0" * 64 + raw)
        line = (b"x-algolia-api-key", key)
        yield _request(path, b"", b'{"requests":[{"query":"a"}]}', headers=(line,))
        yield _request(path, b"x-algolia-api-key=" + key, b'{"requests":[{"query":"a"}]}')


def _request(
    path: str,
    query_string: bytes,
    body: bytes | None,
    kind: str = JSON,
    *,
    method: str = "POST",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> SearchRequest:
    lines = ((b"content-type", kind.encode()), *headers)
    return SearchRequest(method, path, query_string, lines, body)
