"""A proxy that asks a stand-in of a search server which fields hold prose."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from middleware import (
    Reformulator,
    ReverseProxy,
    SearchRule,
)
from middleware.dialects.fields.fields import Fields
from middleware.dialects.fields.reader import SchemaReader
from middleware.dialects.fields.schemas import Schemas
from middleware.dialects.registry import load_dialect
from middleware.testing import ScriptedEngine

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
