"""No request of the largest accepted size costs a dialect more than a turn of the loop may take."""

from __future__ import annotations

from functools import partial

import pytest

from middleware import Dialect, Part, SearchRequest, SearchRule
from middleware.dialects.base import MAX_SPANS, apply_edits
from middleware.dialects.registry import dialect_names, load_dialect
from middleware.http.control import parse_control
from middleware.http.matching import MAX_PATH, canonical_path, first_match
from tests.hostile.attacks import seconds
from tests.hostile.worst import APIS, worst_requests

LONGEST = 0.005
"""CPU seconds; at most 4 ms were measured, of which the machine's noise is a part."""


def searched(dialect: Dialect, request: SearchRequest) -> None:
    """Do all that a dialect does for one request, with a rewrite of each text."""
    dialect.wants_body(request)
    spans = dialect.spans(request)
    apply_edits(request, [(span, "a longer rewrite") for span in spans if span.skip is None])


def test_every_dialect_is_attacked() -> None:
    assert set(APIS) == set(dialect_names())


@pytest.mark.parametrize("name", APIS)
def test_no_body_is_slow(name: str) -> None:
    dialect = load_dialect(name, **APIS[name][0])
    for request in worst_requests(name):
        tries = (seconds(searched, dialect, request) for _ in range(20))
        shown = (request.path, request.query_string[:80], (request.body or b"")[:80])
        assert any(taken < LONGEST for taken in tries), shown
        spans = dialect.spans(request)
        assert len(spans) <= MAX_SPANS
        for span in spans:
            held = request.query_string if span.part is Part.QUERY_STRING else request.body or b""
            assert 0 <= span.start <= span.stop <= len(held)


PATHS = [
    "/" + "a" * 60_000, "a" * 60_000, "a:" * 30_000, "http" + "+" * 60_000, "/.." * 20_000,
    "/a" * 15_000 + "/.." * 10_000, "/" * 60_000, "/a/b" * 15_000, "/%2e" * 15_000,
    "/a/b/xy" * 1_100, "/xy/a" * 1_600, "/" + "xy" * 4_000, "/a/x" * 2_000 + "/c", "/é" * 4_000,
    "/a" * 1_500 + "/.." * 1_500, "a://" * 15_000, "/." * 4_000, "%25" * 2_700,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_slow(path: str) -> None:
    rules = [SearchRule("/**/a/**/b/**/*x*y*/**/c"), SearchRule("/**/*/**/*/**/*/d"), SearchRule()]
    scope = {"path": path, "root_path": ""}
    assert seconds(canonical_path, scope) < LONGEST
    assert seconds(first_match, rules, "GET", canonical_path(scope)) < LONGEST


def test_a_path_that_is_too_long_is_no_search() -> None:
    long = {"path": "/x/../s" * (MAX_PATH // 6), "root_path": ""}
    assert first_match([SearchRule()], "GET", canonical_path(long)) is None


@pytest.mark.parametrize(
    "value",
    [",", "no-cache,", "budget=1,", "budget=" + "9" * 60_000, "mode=", "=", " ", "budget=1e9,"],
)
def test_no_control_header_is_slow(value: str) -> None:
    assert (
        seconds(
            partial(parse_control, max_budget=1.0), (value * (60_000 // len(value) + 1))[:60_000]
        )
        < LONGEST
    )
