"""Which fields hold prose, as stand-ins of search servers tell it over real sockets."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from middleware import (
    SearchRequest,
)
from middleware.dialects.fields.documents import MAX_ANSWER
from middleware.dialects.fields.fields import Fields
from middleware.dialects.registry import load_dialect

from .field_worlds import DYNAMIC, is_rewritten, match, read_once, told, world
from .standing import CHATTY, Answers

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
