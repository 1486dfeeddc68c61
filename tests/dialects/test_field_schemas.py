"""Which fields hold prose, as stand-ins of search servers tell it over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from middleware import (
    ConfigurationError,
    Reformulator,
    ReverseProxy,
    SearchRequest,
    SearchRule,
)
from middleware.dialects.fields.documents import MAX_ANSWER
from middleware.dialects.fields.fields import Fields
from middleware.dialects.fields.reader import SchemaReader
from middleware.dialects.fields.schemas import Schemas
from middleware.dialects.registry import load_dialect
from middleware.serving.assembly import build_proxy
from middleware.serving.server import served_in_thread
from middleware.serving.settings import Settings, UpstreamSettings
from middleware.testing import ScriptedEngine
from tests.ways.driving import until

from .requests import request
from .standing import CHATTY, PLAIN, Answers, StandIn, Standing, standing

DYNAMIC = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def told(**answers: Any) -> Answers:
    """Return answers by the command in a target; 404 for what is not there."""

    def answer(target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        for name, said in answers.items():
            if f"/{name}?" in target:
                return 200, said if isinstance(said, bytes) else json.dumps(said).encode()
        return 404, b'{"error":"no such thing","status":404}'

    return answer


@contextmanager
def world(
    answers: Answers,
    name: str = "elasticsearch",
    *,
    schemas: Schemas | None = None,
    held: threading.Event | None = None,
    authorization: str = "",
    **settings: Any,
) -> Iterator[tuple[Standing, Schemas]]:
    """Serve a proxy that asks a stand-in for its fields."""
    schemas = Schemas() if schemas is None else schemas
    dialect = load_dialect(name, fields=Fields(schemas=schemas, **settings))
    rules = [SearchRule(path, dialect=dialect) for path in dialect.paths]
    with Reformulator(ScriptedEngine({CHATTY: PLAIN}), budget=30.0) as reformulator:

        def make(url: str) -> ReverseProxy:
            proxy = ReverseProxy(url, rules=rules, reformulator=reformulator)
            proxy.background = SchemaReader(url, schemas, authorization=authorization)
            return proxy

        with standing(StandIn(answers, held=held), make) as made:
            yield made, schemas


def match(field: str) -> str:
    """Return a search of one field."""
    return json.dumps({"query": {"match": {field: CHATTY}}})


def is_rewritten(here: Standing, field: str, target: str = "/products/_search") -> bool:
    """Return whether a search of a field is rewritten."""
    body = match(field)
    _, sent, _ = here.sent(target, body)
    assert sent in (body, body.replace(CHATTY, PLAIN))
    return sent != body


def read_once(here: Standing, schemas: Schemas, number: int = 1) -> None:
    """Wait until the fields of so many places were read."""
    here.until(lambda: len(schemas._told) >= number and schemas.next_wanted() is None)


CAPABILITIES = {
    "indices": ["products"],
    "fields": {
        "title": {"text": {"type": "text", "searchable": True, "aggregatable": False}},
        "user.id": {"keyword": {"type": "keyword", "searchable": True, "aggregatable": True}},
        "part_number": {"text": {"type": "text", "searchable": True, "aggregatable": False}},
        "brand": {"keyword": {"type": "keyword", "searchable": True, "aggregatable": True}},
        "price": {"float": {"type": "float", "searchable": True, "aggregatable": True}},
        "wild": {"wildcard": {"type": "wildcard", "searchable": True, "aggregatable": True}},
        "mixed": {
            "text": {"type": "text", "indices": ["products"]},
            "keyword": {"type": "keyword", "indices": ["old"]},
        },
        "process.name": {"match_only_text": {"type": "match_only_text"}},
    },
}
MAPPING = {
    "products": {
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "title": {"type": "text", "analyzer": "english"},
                "tags": {"type": "text", "analyzer": "whitespace"},
                "model": {"type": "text", "analyzer": "my_keyword_lower"},
                "series": {"type": "text", "analyzer": "whole"},
                "words": {"type": "text", "analyzer": "stemmed"},
                "asked": {"type": "text", "search_analyzer": "keyword"},
                "user": {"properties": {"name": DYNAMIC, "bio": {"type": "text"}}},
                "notes": DYNAMIC,
                "ean": {"type": "text", "fields": {"prose": {"type": "text"}}},
                "brand": {"type": "keyword", "fields": {"prose": {"type": "text"}}},
                "parts": {"type": "nested", "properties": {"no": {"type": "text"}}},
                "other": {"type": "alias", "path": "title"},
            },
            "runtime": {"day": {"type": "keyword"}},
        }
    }
}
SETTINGS = {
    "products": {
        "settings": {
            "index": {
                "analysis": {
                    "analyzer": {
                        "whole": {
                            "type": "custom",
                            "tokenizer": "keyword",
                            "filter": ["lowercase"],
                        },
                        "stemmed": {"tokenizer": "whitespace", "filter": ["lowercase", "stop"]},
                    }
                }
            }
        }
    }
}


CAPABLE: dict[str, bool] = {
    "title": True,
    "user.id": False,
    "part_number": True,
    "brand": False,
    "wild": False,
    "price": False,
    "mixed": False,
    "process.name": True,
    "nowhere": True,
    "nowhere.keyword": False,
}


def test_the_capabilities_of_fields_tell() -> None:
    """As Elasticsearch 8 answers to an account that may not read mappings."""
    with world(told(_field_caps=CAPABILITIES)) as (here, schemas):
        is_rewritten(here, "title")
        read_once(here, schemas)
        assert {field: is_rewritten(here, field) for field in CAPABLE} == CAPABLE


MAPPED: dict[str, bool] = {
    "title": True,
    "tags": False,
    "model": False,
    "series": False,
    "words": True,
    "asked": False,
    "user.name": False,  # mapped by nobody, and its name is an identifier's
    "user.bio": True,
    "notes": True,
    "notes.keyword": False,
    "ean": True,
    "ean.prose": True,
    "brand": False,
    "brand.prose": True,
    "parts.no": True,
    "day": False,
}


def test_the_mapping_tells_analyzers() -> None:
    """As OpenSearch and Elasticsearch 7 answer."""
    with world(told(_mapping=MAPPING, _settings=SETTINGS), "opensearch") as (here, schemas):
        is_rewritten(here, "title")
        read_once(here, schemas)
        assert {field: is_rewritten(here, field) for field in MAPPED} == MAPPED


def test_both_have_to_agree() -> None:
    answers = told(_field_caps=CAPABILITIES, _mapping=MAPPING, _settings=SETTINGS)
    with world(answers) as (here, schemas):
        is_rewritten(here, "title")
        read_once(here, schemas)
        found = {
            name: is_rewritten(here, name) for name in ("title", "mixed", "tags", "brand.prose")
        }
        assert found == {"title": True, "mixed": False, "tags": False, "brand.prose": True}


def test_a_field_of_several_indices_is_prose_in_all() -> None:
    def index(**field: str) -> Any:
        return {"mappings": {"properties": {"name": {"type": "text", **field}}}}

    same = {"a": index(), "b": index()}
    other = {"a": index(), "b": index(analyzer="keyword")}
    typed = {"a": {"mappings": {"doc": {"properties": {"name": {"type": "keyword"}}}}}}  # version 6
    for mapping, prose in ((same, True), (other, False), (typed, False)):
        with world(told(_mapping=mapping)) as (here, schemas):
            is_rewritten(here, "name", "/a,b/_search")
            read_once(here, schemas)
            assert is_rewritten(here, "name", "/a,b/_search") is prose
            assert here.upstream.questions[0][0].startswith("/a,b/_field_caps?")


def test_a_default_analyzer_counts() -> None:
    settings = {
        "i": {"settings": {"index": {"analysis": {"analyzer": {"default": {"type": "keyword"}}}}}}
    }
    mapping = {"i": {"mappings": {"properties": {"name": {"type": "text"}}}}}
    with world(told(_mapping=mapping, _settings=settings)) as (here, schemas):
        is_rewritten(here, "name", "/i/_search")
        read_once(here, schemas)
        assert not is_rewritten(here, "name", "/i/_search")


@pytest.mark.parametrize(
    "answers",
    [
        lambda target, headers: (401, b'{"error":{"type":"security_exception"},"status":401}'),
        lambda target, headers: (403, b'{"Message":"not authorized to perform: es:ESHttpGet"}'),
        lambda target, headers: (404, b'{"error":"index_not_found_exception"}'),
        lambda target, headers: (500, b"oops"),
        lambda target, headers: (200, b"<html>login</html>"),
        lambda target, headers: (200, b""),
        lambda target, headers: (200, b'{"fields":{"title":{"keyw'),
        lambda target, headers: (200, b'[{"fields":1}]'),
        lambda target, headers: (200, b'{"fields":[],"products":{"mappings":7}}'),
        lambda target, headers: (200, b'{"fields":{"a":' + b"[" * 50_000),
        lambda target, headers: (200, b'{"fields":{"title":{"keyword":{}}}}' + b" " * MAX_ANSWER),
        lambda target, headers: (302, b""),
    ],
)  # fmt: skip
def test_names_count_where_nothing_is_told(
    answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the answer is, a search goes on as the names say."""
    caplog.set_level(logging.ERROR)
    with world(answers) as (here, schemas):
        for _ in range(2):
            assert is_rewritten(here, "title")
            assert not is_rewritten(here, "user.id")
            read_once(here, schemas)
        asked = len(here.upstream.questions)
        assert is_rewritten(here, "title")
        assert len(here.upstream.questions) == asked <= 3, "it is not asked again at once"
    assert not caplog.records


def test_a_refusal_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with world(lambda target, headers: (401, b"{}")) as (here, schemas):
        for index in "abc":
            is_rewritten(here, "title", f"/{index}/_search")
        read_once(here, schemas, 3)
    [record] = [record for record in caplog.records if record.name == "querylift.fields"]
    assert "answers 401" in record.getMessage()


@pytest.mark.parametrize("authorization", ["", "ApiKey c2VjcmV0"])
def test_no_credentials_of_a_client_are_used(authorization: str) -> None:
    with world(told(_field_caps=CAPABILITIES), authorization=authorization) as (here, schemas):
        sent = {"authorization": "Basic dXNlcg==", "cookie": "a=b", "x-tenant": "t"}
        here.sent("/products/_search", match("title"), headers=sent)
        read_once(here, schemas)
        assert here.upstream.questions
        for _, headers in here.upstream.questions:
            assert headers.get("authorization", "") == authorization
            assert not {"cookie", "x-tenant"} & headers.keys()


def test_a_search_never_waits_for_the_fields() -> None:
    held = threading.Event()
    with world(told(_field_caps=CAPABILITIES), held=held) as (here, schemas):
        try:
            assert [is_rewritten(here, name) for name in ("brand", "title")] == [True, True]
            here.until(lambda: len(here.upstream.questions) == 1)
            assert is_rewritten(here, "brand"), "the stand-in has not answered"
        finally:
            held.set()
        read_once(here, schemas)
        assert not is_rewritten(here, "brand")


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/products/_search", "/products/_field_caps"),
        ("/_search", "/_field_caps"),
        ("/_all/_search/", "/_all/_field_caps"),
        ("/a,b*/_async_search?size=1", "/a,b*/_field_caps"),
        ("/%3Clogs-%7Bnow%2Fd%7D%3E/_search", "/%3Clogs-%7Bnow/d%7D%3E/_field_caps"),
        ("/gateway/products/_search", "/gateway/products/_field_caps"),
        ("/a%3Fb%23c/_search", "/a%3Fb%23c/_field_caps"),
        ("/%C3%A9/_search", "/%C3%A9/_field_caps"),
        ("/x/../products/_search", "/products/_field_caps"),
        (f"/{'a' * 600}/_search", None),
    ],
)
def test_the_indices_of_the_request_are_asked_for(target: str, asked: str | None) -> None:
    with world(told()) as (here, schemas):
        here.sent(target, match("title"))
        if asked is None:
            assert schemas.next_wanted() is None
            return
        read_once(here, schemas)
        assert here.upstream.questions[0][0].partition("?")[0] == asked


def test_each_search_of_a_multi_search_has_its_index() -> None:
    def answer(target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        kind = "text" if target.startswith(("/a/", "/c,d/")) else "keyword"
        return (200, json.dumps({"fields": {"name": {kind: {"type": kind}}}}).encode())

    headers: list[Any] = [
        {"index": "a"},
        {"index": "b"},
        {"index": ["c", "d"]},
        {},
        {"index": ".."},
    ]
    bodies = [f'{{"query":{{"match":{{"name":"{CHATTY} {n}"}}}}}}' for n in range(5)]
    body = "".join(
        f"{json.dumps(head)}\n{each}\n" for head, each in zip(headers, bodies, strict=True)
    )
    with world(answer) as (here, schemas):
        here.sent("/z/_msearch", body, "application/x-ndjson")
        read_once(here, schemas, 4)
        paths = {target.partition("/_")[0] for target, _ in here.upstream.questions}
        assert paths == {"/a", "/b", "/c,d", "/z"}
        dialect = load_dialect("elasticsearch", fields=Fields(schemas=schemas))
        kind = ((b"content-type", b"application/x-ndjson"),)
        spans = dialect.spans(SearchRequest("POST", "/z/_msearch", b"", kind, body.encode()))
        assert [span.text[-1] for span in spans] == ["0", "2"]


SOLR = {
    "schema": {
        "name": "default",
        "fieldTypes": [
            {"name": "string", "class": "solr.StrField"},
            {"name": "text_en", "class": "solr.TextField",
             "indexAnalyzer": {"tokenizer": {"class": "solr.StandardTokenizerFactory"}},
             "queryAnalyzer": {"tokenizer": {"name": "standard"}}},
            {"name": "lower", "class": "solr.TextField",
             "analyzer": {"tokenizer": {"name": "keyword"}, "filters": [{"name": "lowercase"}]}},
            {"name": "ws", "class": "solr.TextField",
             "analyzer": {"tokenizer": {"class": "solr.WhitespaceTokenizerFactory"}}},
            {"name": "plong", "class": "solr.LongPointField"},
        ],
        "fields": [
            {"name": "title", "type": "text_en"}, {"name": "sku", "type": "text_en"},
            {"name": "brand", "type": "string"}, {"name": "model", "type": "lower"},
            {"name": "labels", "type": "ws"}, {"name": "odd_s", "type": "text_en"},
        ],
        "dynamicFields": [
            {"name": "*_s", "type": "string"}, {"name": "*_txt", "type": "text_en"},
            {"name": "*_x_s", "type": "text_en"}, {"name": "attr_*", "type": "plong"},
        ],
    }
}  # fmt: skip


QF: dict[str, bool] = {
    "title": True,
    "sku^2": True,
    "brand": False,
    "model": False,
    "labels~1": False,
    "brand^9 title": True,
    "odd_s": True,
    "a_s": False,
    "a_x_s": True,
    "a_txt": True,
    "attr_a": False,
    "nowhere_s": False,
    "user.id": False,
}


@pytest.mark.parametrize("whole", [True, False])
def test_the_schema_of_solr_tells(whole: bool) -> None:
    inside = SOLR["schema"]
    parts = {
        "fieldtypes": {"fieldTypes": inside["fieldTypes"]},
        "fields": {"fields": inside["fields"]},
        "dynamicfields": {"dynamicFields": inside["dynamicFields"]},
    }
    target = "/solr/shop/select?defType=edismax&q=please+show+me+red+lamp&qf="
    with world(told(schema=SOLR) if whole else told(**parts), "solr") as (here, schemas):
        here.sent(f"{target}title")
        read_once(here, schemas)
        found = {qf: "q=red+lamp" in here.sent(target + quote(qf))[0] for qf in QF}
        assert found == QF
        asked = [target.partition("?")[0] for target, _ in here.upstream.questions]
        assert asked[0] == "/solr/shop/schema"
        assert len(asked) == (1 if whole else 4)


@pytest.mark.parametrize(
    ("field", "prose"),
    [("sku", True), ("part_x", True), ("title", False), ("secret.part", False), ("body", True)],
)
def test_settings_say_otherwise(field: str, prose: bool) -> None:
    """Before all that the upstream or a name says; ``not_field`` before ``field``."""
    fields: Any = {"sku": {"keyword": {}}, "title": {"text": {}}, "part_x": {"keyword": {}}}
    prosaic, exact = ["sku", "part_*", "secret.*"], ["title", "secret.*"]
    answers = told(_field_caps={"fields": fields})
    with world(answers, prose=prosaic, exact=exact) as (here, schemas):
        assert is_rewritten(here, field) is prose
        read_once(here, schemas)
        assert is_rewritten(here, field) is prose


@pytest.mark.parametrize(
    ("name", "target", "body"),
    [
        ("typesense", "/multi_search", {"searches": [{"q": CHATTY, "query_by": "sku,no"}]}),
        ("meilisearch", "/indexes/m/search", {"q": CHATTY, "attributesToSearchOn": ["sku"]}),
        (
            "algolia",
            "/1/indexes/p/query",
            {"query": CHATTY, "restrictSearchableAttributes": ["sku"]},
        ),
    ],
)  # fmt: skip
def test_other_apis_go_by_names_and_settings(name: str, target: str, body: Any) -> None:
    written = json.dumps(body)
    with world(told(), name) as (here, _):
        assert here.sent(target, written)[1] == written
        other = written.replace("sku", "title").replace("no", "body")
        assert here.sent(target, other)[1] == other.replace(CHATTY, PLAIN)
        assert not here.upstream.questions
    with world(told(), name, prose=["s?u"]) as (here, _):
        assert here.sent(target, written)[1] == written.replace(CHATTY, PLAIN)


def test_fields_are_asked_again_after_a_while() -> None:
    """What was told is used until then; a server that is gone leaves the names."""
    time, kind = [0.0], ["keyword"]

    def answer(target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if not kind:
            return 503, b""
        return 200, json.dumps({"fields": {"name": {kind[0]: {}}}}).encode()

    schemas = Schemas(now=lambda: time[0])
    with world(answer, schemas=schemas) as (here, _):
        is_rewritten(here, "name")
        read_once(here, schemas)
        assert not is_rewritten(here, "name")
        kind[0] = "text"
        assert not is_rewritten(here, "name")
        time[0] = 1000.0
        assert not is_rewritten(here, "name"), "as told, until it is told anew"
        here.until(lambda: is_rewritten(here, "name"))


def test_anyone_can_name_any_index_and_cost_stays_bounded() -> None:
    with world(told()) as (here, schemas):
        for number in range(300):
            here.sent(f"/made-up-{number}/_search", match("title"))
            assert len(schemas._wanted) <= 32
        assert len(here.upstream.questions) < 300


def test_reading_stops_and_starts_again() -> None:
    """A stopped reader leaves no task, and what is wanted is read after the next start."""

    async def run() -> None:
        schemas = Schemas()
        reader = SchemaReader("http://127.0.0.1:9", schemas)
        load_dialect("elasticsearch", fields=Fields(schemas=schemas)).spans(_search("/a/_search"))
        for _ in range(2):
            reader.start()
            reader.start()
            await asyncio.sleep(0)
            await reader.stop()
            await reader.stop()
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "fields"]
        reader.start()
        await until(lambda: schemas.next_wanted() is None)
        await reader.stop()

    asyncio.run(run())


def _search(path: str) -> SearchRequest:
    return request("POST", path, b"", match("title").encode())


def test_serve_asks_with_its_settings() -> None:
    """The settings reach the dialect and the reader, for a dialect that is named or detected."""
    fields: Any = {"brand": {"keyword": {}}, "story": {"keyword": {}}, "title": {"text": {}}}
    upstream = StandIn(told(_field_caps={"fields": fields}))
    with served_in_thread(upstream) as url:
        settings = Settings(
            upstream=UpstreamSettings(url=url, authorization="ApiKey x"),
            dialect="opensearch",
            field=("story",),
            not_field=("title",),
        )
        proxy = build_proxy(settings)

        def texts(field: str) -> list[str]:
            [rule] = [rule for rule in proxy._middleware.rules if rule.path == "/**/_search"]  # type: ignore[union-attr]
            asked = request("POST", "/i/_search", b"", match(field).encode())
            return [span.text for span in rule.dialect.spans(asked)]

        async def run() -> None:
            assert texts("brand") == [CHATTY]
            assert proxy.background is not None
            proxy.background.start()
            await until(lambda: not texts("brand"), 30)
            await proxy.background.stop()

        asyncio.run(run())
    assert (texts("story"), texts("title")) == ([CHATTY], [])
    asked = [headers for target, headers in upstream.questions if "_field_caps" in target]
    assert [headers["authorization"] for headers in asked] == ["ApiKey x"]


@pytest.mark.parametrize("name", ["field", "not_field"])
def test_an_empty_name_of_a_field_is_refused(name: str) -> None:
    upstream = UpstreamSettings(url="http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="must not be empty"):
        build_proxy(Settings(upstream=upstream, dialect="solr", **{name: ("",)}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "secret", ["ApiKey secret=\n", "a\r\nx: y", "ApiKey é", " Basic x", "Basic x ", "a\0b", "a\x7f"]
)
def test_credentials_that_no_header_can_hold_are_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="authorization") as caught:
        SchemaReader("http://127.0.0.1:9", Schemas(), authorization=secret)
    assert secret.strip() not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "a", "ApiKey VnVhQ2ZHY0JDZGJrU==", "Basic dTpw", "a b c"])
def test_other_credentials_are_taken(secret: str) -> None:
    SchemaReader("http://127.0.0.1:9", Schemas(), authorization=secret)
