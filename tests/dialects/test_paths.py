"""Globs over canonical paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.dialects.paths import PathGlobs
from middleware.errors import ConfigurationError

from .requests import QUICK


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/**/_search", "/_search", True),
        ("/**/_search", "/a/b/_search/", True),
        ("/**/_search", "/a_search", False),
        ("/**/_search", "/_search/scroll", False),
        ("/*/x", "/a/x", True),
        ("/*/x", "/a/b/x", False),
        ("/*/x", "/x", False),
        ("/d/select.*", "/d/select.json", True),
        ("/d/select.*", "/d/select", False),
        ("/a*", "/a", True),
        ("/a*c*", "/abcd", True),
        ("/a*", "/a/b", False),
        ("/*", "/", False),
        ("/a/**", "/a", True),
        ("/[ab]", "/a", False),
        ("/**", "/", True),
        ("/**", "/a\nb/c", True),
        ("/a+b", "/a+b", True),
        ("/a+b", "/aab", False),
        ("/", "/", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    """One star is within a segment, two are across."""
    assert (PathGlobs([glob]).match(path) is not None) is matches


@QUICK
@given(st.text(max_size=30))
def test_no_globs_match_nothing(path: str) -> None:
    """An empty set is not everything."""
    assert not PathGlobs([]).match(path)


@pytest.mark.parametrize("glob", ["", "a", "*", "/a**", "/**a", "/a/**b/c", "/***"])
def test_malformed_globs_are_told(glob: str) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigurationError, match="write it like"):
        PathGlobs([glob])
