"""The decorator used wrongly, and texts in fields of a body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NewType, TypedDict

import httpx
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from middleware import ConfigurationError, Reformulation, Reformulator, reformulated
from middleware.serving.server import served_in_thread
from middleware.testing import ScriptedEngine


class Filters(BaseModel):
    """An inner model."""

    text: str = ""
    year: int = 0


class SearchBody(BaseModel):
    """A body."""

    model_config = ConfigDict(frozen=True)

    query: Annotated[str, Field(max_length=90)]
    size: int = 10
    filters: Filters = Filters()


@dataclass(frozen=True)
class Asked:
    """A dataclass."""

    q: str
    more: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    """A named tuple."""

    query: str
    size: int


class Typed(TypedDict):
    """A typed dictionary."""

    query: str


class Plain:
    """An object without declarations."""

    def __init__(self, query: str) -> None:
        self.query = query


Text = NewType("Text", str)


@pytest.fixture
def reformulator() -> Any:
    with Reformulator(ScriptedEngine(lambda text: f"lifted {text}"), budget=30) as made:
        yield made


@pytest.mark.parametrize(
    ("annotation", "param", "argument", "read"),
    [
        (SearchBody, "body.query", SearchBody(query="red lamp"), lambda b: b.query),
        (SearchBody, "body.filters.text", SearchBody(query="", filters=Filters(text="red lamp")),
         lambda b: b.filters.text),
        (SearchBody | None, "body.query", SearchBody(query="red lamp"), lambda b: b.query),
        (Asked, "body.q", Asked("red lamp"), lambda b: b.q),
        (Pair, "body.query", Pair("red lamp", 3), lambda b: b.query),
        (Typed, "body.query", {"query": "red lamp"}, lambda b: b["query"]),
        (dict[str, Any], "body.query", {"query": "red lamp", "n": 1}, lambda b: b["query"]),
        (dict[str, Any], "body.a.b", {"a": {"b": "red lamp"}}, lambda b: b["a"]["b"]),
        (Plain, "body.query", Plain("red lamp"), lambda b: b.query),
        (Any, "body.query", SearchBody(query="red lamp"), lambda b: b.query),
        (Text, "body", "red lamp", lambda b: b),
        (str | None, "body", "red lamp", lambda b: b),
        (str | list[str], "body", "red lamp", lambda b: b),
        (Sequence[str], "body", "red lamp", lambda b: b),
        (object, "body", "red lamp", lambda b: b),
        ("NoSuchName", "body.query", SearchBody(query="red lamp"), lambda b: b.query),
    ],
)  # fmt: skip
def test_a_field_is_rewritten_in_a_copy(
    reformulator: Reformulator,
    annotation: Any,
    param: str,
    argument: Any,
    read: Callable[[Any], str],
) -> None:
    """Whatever kind of body it is, what was passed stays as it is."""

    def handler(size: int, body: Any, decision: Reformulation) -> Any:
        return body, decision

    handler.__annotations__["body"] = annotation
    search: Any = reformulated(reformulator, param=param)(handler)
    body, decision = search(5, argument)
    assert read(body) == "lifted red lamp"
    assert type(body) is type(argument)
    assert read(argument) == "red lamp"
    assert decision.query == "lifted red lamp"


@pytest.mark.parametrize(
    "body", [None, {}, {"query": 5}, {"query": None}, Plain("x").__dict__.keys()]
)
def test_a_body_without_the_text_is_passed_on(reformulator: Reformulator, body: Any) -> None:
    """As it was, whatever it is."""

    @reformulated(reformulator, param="body.query")
    def search(body: Any) -> Any:
        return body

    assert search(body) is body


def takes_body(body: SearchBody) -> None: ...
def takes_number(query: int) -> None: ...
def takes_list(query: list[str]) -> None: ...
def takes_asked(query: Asked | None) -> None: ...
def takes_both(size: int, request: SearchBody) -> None: ...
def takes_query(query: str) -> None: ...
def takes_untyped(query): ...  # type: ignore[no-untyped-def]
def takes_several(*query: str) -> None: ...


@pytest.mark.parametrize(
    ("handler", "param", "said"),
    [
        (takes_body, "body", "body is of type SearchBody, not a text; name a field of it, such as "
         "param='body.query'"),
        (takes_body, "query", "name one with reformulated(..., param='body.query')"),
        (takes_both, "query", "param='request.query'"),
        (takes_body, "body.qury", "body has no field 'qury' (it has: query, size, filters)"),
        (takes_body, "body.size", "body.size is of type int, not a text"),
        (takes_body, "body.filters", "such as param='body.filters.text'"),
        (takes_body, "body.filters.year", "body.filters.year is of type int"),
        (takes_number, "query", "query is of type int, not a text"),
        (takes_list, "query", "query is of type list"),
        (takes_list, "query.first", "has no field 'first' (it has: none)"),
        (takes_body, "body..query", "names an empty field"),
        (takes_asked, "query.more", "query.more is of type list"),
        (takes_asked, "query.x", "has no field 'x' (it has: q, more)"),
        (takes_query, "query.", "param='query.' names an empty field"),
        (takes_untyped, "query.", "param='query.' names an empty field"),
        (takes_several, "query", "has no parameter 'query' to reformulate (it has: none)"),
        (takes_query, "q", "has no parameter 'q'"),
    ],
)  # fmt: skip
def test_what_can_hold_no_text_is_told_at_the_start(
    reformulator: Reformulator, handler: Any, param: str, said: str
) -> None:
    """Nothing would ever be rewritten."""
    with pytest.raises(ConfigurationError) as caught:
        reformulated(reformulator, param=param)(handler)
    assert said in str(caught.value)


def test_without_parentheses() -> None:
    """Above functions, methods and classes, sync and async."""

    async def later(query: str) -> None: ...

    class Searcher:
        @staticmethod
        def search(query: str) -> None: ...

    for decorated in (takes_query, later, Searcher, Searcher.search, Searcher().search, "query"):
        with pytest.raises(ConfigurationError, match=r"write @reformulated\(reformulator\) above"):
            reformulated(decorated)  # type: ignore[arg-type]


@pytest.mark.parametrize("decorated", ["query", 5, Plain, None])
def test_what_is_no_function(reformulator: Reformulator, decorated: Any) -> None:
    with pytest.raises(ConfigurationError, match="decorates a function or a method"):
        reformulated(reformulator)(decorated)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"param": ["query"]}, "param must be a text"),
        ({"budget": "0.1"}, "budget must be a number or None"),
        ({"budget": 100}, "budget (100) is in seconds"),
        ({"mode": 5}, "mode must be"),
        ({"mode": "fast"}, "fast"),
        ({"scope": None}, "scope must be a text"),
    ],
)
def test_wrong_options(reformulator: Reformulator, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        reformulated(reformulator, **options)
    assert said in str(caught.value)


def test_a_body_over_a_socket(reformulator: Reformulator) -> None:
    """FastAPI validates and documents the body as before."""
    app = FastAPI()

    @app.post("/search")
    @reformulated(reformulator, param="body.query")
    async def search(body: SearchBody, decision: Reformulation) -> dict[str, Any]:
        return {"query": body.query, "size": body.size, "outcome": decision.outcome}

    @app.post("/raw")
    @reformulated(reformulator, param="body.query")
    def raw(body: Annotated[dict[str, Any], Body()]) -> Any:
        return body

    with served_in_thread(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for text in ("red lamp", "blue door", "old brass lamp", "wooden chair legs"):
            answer = client.post("/search", json={"query": text, "size": 3}).json()
            assert answer == {"query": f"lifted {text}", "size": 3, "outcome": "rewritten"}
            assert client.post("/raw", json={"query": text, "n": [1]}).json() == {
                "query": f"lifted {text}",
                "n": [1],
            }
        for wrong in ({}, {"query": 5}, {"query": "x" * 91}, {"size": 5}):
            assert client.post("/search", json=wrong).status_code == 422
        assert client.post("/raw", json={"other": 1}).json() == {"other": 1}
        assert "SearchBody" in client.get("/openapi.json").text
        assert "Reformulation" not in client.get("/openapi.json").text
