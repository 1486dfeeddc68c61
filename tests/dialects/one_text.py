"""A proxy for each dialect, and searches with one text in several places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.dialects.registry import load_dialect
from middleware.testing import ScriptedEngine

from .standing import CHATTY, PLAIN, StandIn, Standing, standing

NAMES = ("algolia", "elasticsearch", "groonga", "meilisearch", "plain", "solr", "typesense")
NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
M = {"match": {"title": CHATTY}}
MUST = {"bool": {"must": [M]}}


@contextmanager
def every_proxy() -> Iterator[dict[str, Standing]]:
    """One proxy for each dialect."""
    with ExitStack() as stack:
        engine = ScriptedEngine({CHATTY: PLAIN})
        reformulator = stack.enter_context(Reformulator(engine, budget=30.0))

        def proxy(name: str) -> Standing:
            dialect = load_dialect(name)
            rules = [SearchRule(path, dialect=dialect) for path in dialect.paths]
            return stack.enter_context(
                standing(
                    StandIn(), lambda url: ReverseProxy(url, rules=rules, reformulator=reformulator)
                )
            )

        yield {name: proxy(name) for name in NAMES}


def must_and(**more: Any) -> dict[str, Any]:
    """Return a search with the text in ``must`` and in other parts of the ``bool``."""
    return {"query": {"bool": {"must": [M], **more}}}
