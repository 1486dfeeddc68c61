"""Globs over canonical paths."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError
from middleware.dialects.paths import PathGlobs

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


_SEGMENTS = st.sampled_from(["**", "*", "a", "b", "a*", "*b", "*a*", "a*b", "*a*b*"])
_PATHS = st.text(alphabet="/aab", max_size=14).map(lambda text: f"/{text}")


def naive(segments: list[str], path: list[str]) -> bool:
    """Match segment by segment, trying every split; slow, but plainly what globs mean."""
    if not segments:
        return not any(path)
    first, rest = segments[0], segments[1:]
    if first == "**":
        return any(naive(rest, path[skipped:]) for skipped in range(len(path) + 1))
    if not path or (first == "*" and not path[0]):
        return False
    return fnmatchcase(path[0], first) and naive(rest, path[1:])


@QUICK
@given(st.lists(_SEGMENTS, min_size=1, max_size=6), _PATHS)
def test_no_match_is_missed(segments: list[str], path: str) -> None:
    """A pattern never goes back over what it passed, and finds what trying everything finds."""
    found = PathGlobs(["/" + "/".join(segments)]).match(path)
    assert (found is not None) is naive(segments, path.split("/")[1:])


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
