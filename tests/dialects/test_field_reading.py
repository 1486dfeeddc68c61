"""Solr's schema, names and settings of fields, and the task that reads what a server tells."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from middleware import (
    ConfigurationError,
    SearchRequest,
)
from middleware.dialects.fields.fields import Fields
from middleware.dialects.fields.reader import SchemaReader
from middleware.dialects.fields.schemas import Schemas
from middleware.dialects.registry import load_dialect
from middleware.serving.assembly import build_proxy
from middleware.serving.server import served_in_thread
from middleware.serving.settings import Settings, UpstreamSettings
from tests.ways.driving import until

from .field_worlds import is_rewritten, match, read_once, told, world
from .requests import request
from .standing import CHATTY, PLAIN, StandIn

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
