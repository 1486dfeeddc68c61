"""Which requests are searches: globs, methods and the canonical path that they judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from middleware import (
    ConfigurationError,
    PlainDialect,
    ReformulationMiddleware,
    Reformulator,
    SearchRule,
)
from middleware.http.matching import canonical_path, first_match

from .driving import App, call, http_scope


def canonical(target: str, root: str = "") -> str:
    """Return the canonical path of a request target, decoded once as a server does."""
    return canonical_path({"path": unquote(target), "root_path": root})


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/search", "/search"),
        ("/", "/"),
        ("", "/"),
        ("/idx%2Fv2/_search", "/idx/v2/_search"),
        ("/public/..%2fadmin/_search", "/admin/_search"),
        ("/public/%2e%2e/admin/_search", "/admin/_search"),
        ("/public/%252e%252e/admin/_search", "/admin/_search"),
        ("/public/..%252fadmin/_search", "/admin/_search"),
        ("/%73earch", "/search"),
        ("/%2573earch", "/search"),
        ("//10.0.0.9/search", "/10.0.0.9/search"),
        ("//search", "/search"),
        ("/a//b///c", "/a/b/c"),
        ("/a/./b/.", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/..", "/"),
        ("/../../search", "/search"),
        ("/a/.../b", "/a/.../b"),
        ("/a/.hidden", "/a/.hidden"),
        ("/a/..b/c..", "/a/..b/c.."),
        ("http://169.254.1.1/search", "/search"),
        ("http://169.254.1.1", "/"),
        ("HTTPS://user@h:1/a/../search", "/search"),
        ("/http://e/search", "/http:/e/search"),
        ("*", "*"),
        ("/100%", "/100%"),
        ("/caf%C3%A9", "/café"),
        ("/caf%E9", "/caf\ufffd"),
        ("/a%0Ab", "/a\nb"),
        ("/a;b=c/d", "/a;b=c/d"),
    ],
)
def test_canonical_paths(target: str, path: str) -> None:
    assert canonical(target) == path


@pytest.mark.parametrize(
    ("root", "path", "inside"),
    [
        ("/app", "/app/search", "/search"),
        ("/app", "/app", "/"),
        ("/app", "/apple/search", "/apple/search"),
        ("/app", "/search", "/search"),
        ("/app/", "/app/search", "/search"),
        ("/a/b", "/a/b//search", "/search"),
        ("/", "/search", "/search"),
        ("/app", "/app/../search", "/search"),
    ],
)
def test_a_mounts_prefix_is_taken_off(root: str, path: str, inside: str) -> None:
    assert canonical_path({"path": path, "root_path": root}) == inside


_SEGMENTS = st.lists(
    st.text(st.sampled_from("abc-_~é. "), min_size=1, max_size=4).filter(
        lambda segment: segment not in (".", "..")
    ),
    max_size=4,
)


@given(_SEGMENTS, st.booleans())
def test_a_plain_path_stays(segments: list[str], folder: bool) -> None:
    path = "/" + "/".join(segments)
    if folder and segments:
        path += "/"
    assert canonical(quote(path)) == path


_DETOURS = st.lists(
    st.sampled_from([["."], [""], ["x", ".."], ["%2e"], ["y", "%2E%2e"], ["%252e"], ["z", ".%2e"]]),
    max_size=2,
)


def _spelled(segment: str, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Return a segment with some characters encoded that need not be, once or twice."""
    spelled = "".join(
        "".join(f"%{byte:02x}" for byte in char.encode())
        if draw(st.booleans())
        else quote(char, safe="")
        for char in segment
    )
    return quote(spelled, safe="") if draw(st.booleans()) else spelled


@given(_SEGMENTS, st.data())
def test_no_spelling_of_a_path_is_another_path(segments: list[str], data: st.DataObject) -> None:
    """Dot segments, doubled slashes and encodings, single and double, hide nothing."""
    parts: list[str] = []
    for segment in segments:
        parts += [step for detour in data.draw(_DETOURS) for step in detour]
        parts.append(_spelled(segment, data.draw))
    target = data.draw(st.sampled_from(["/", "//", "/./", "/../"])) + "/".join(parts)
    assert canonical(target) == "/" + "/".join(segments)


@given(st.text(st.sampled_from("/.a%25eEfF2\\"), max_size=24).map(lambda tail: "/" + tail))
def test_a_canonical_path_has_nothing_left_to_resolve(target: str) -> None:
    path = canonical(target)
    assert path.startswith("/")
    assert "//" not in path
    assert not {".", ".."} & set(path.split("/"))
    assume("%" not in path)
    assert canonical_path({"path": path}) == path


@pytest.mark.parametrize(
    ("glob", "matches", "not_"),
    [
        ("/**", ["/", "/a", "/a/b/", "*"], []),
        ("/search", ["/search", "/search/"], ["/searching", "/a/search", "/"]),
        ("/search/", ["/search", "/search/"], ["/searching"]),
        ("/search*", ["/search", "/searching"], ["/search/a", "/a/search"]),
        ("/*/_search", ["/idx/_search", "/idx/_search/"], ["/_search", "/a/b/_search"]),
        ("/**/_search", ["/_search", "/a/_search", "/a/b/_search"], ["/a_search", "/_search/x"]),
        ("/a/**", ["/a", "/a/", "/a/b", "/a/b/c"], ["/ab"]),
        ("/a.b+c", ["/a.b+c"], ["/aXb+c", "/a.bbc"]),
        ("/[ab]", ["/[ab]"], ["/a"]),
        ("/a*", ["/a\nb"], []),
        ("/a/**", ["/a/\nb", "/a/\n/"], []),
        ("/**/b", ["/a\n/b", "/\n/a/b"], []),
    ],
)
def test_globs(glob: str, matches: list[str], not_: list[str]) -> None:
    rule = SearchRule(glob)
    assert [path for path in matches if first_match([rule], "GET", path) is None] == []
    assert [path for path in not_ if first_match([rule], "GET", path) is not None] == []


@pytest.mark.parametrize(
    "glob",
    ["/search?q=*", "/?", "/a#b", "/a%20b", "/%2fa", "//a", "/a//b", "/a//", "/./a", "/a/../b",
     "/a/.", "/**/../a", "/a\0b"],
)  # fmt: skip
def test_globs_that_match_no_canonical_path_are_told(glob: str) -> None:
    """A rule that never matches rewrites nothing, and says nothing."""
    with pytest.raises(ConfigurationError, match="would match no path"):
        SearchRule(glob)


@pytest.mark.parametrize("glob", ["/...", "/a.", "/.well-known/x", "/100%", "/a b", "/é", "/a/"])
def test_globs_that_only_look_odd_are_taken(glob: str) -> None:
    rule = SearchRule(glob)
    assert first_match([rule], "GET", canonical_path({"path": glob})) is rule


SEGMENTS = st.lists(st.text(st.sampled_from("ab.*"), min_size=1, max_size=4), max_size=4)


@given(SEGMENTS, st.lists(st.text(st.sampled_from("ab."), min_size=1, max_size=4), max_size=5))
def test_globs_mean_what_a_walk_over_them_says(glob: list[str], path: list[str]) -> None:
    """An independent matcher, one segment and character at a time, comes to the same."""
    assume(all("**" not in segment or segment == "**" for segment in glob))
    assume(not {".", ".."} & set(glob))  # in no canonical path
    rule = SearchRule("/" + "/".join(glob))
    for end in ("", "/"):
        found = first_match([rule], "GET", "/" + "/".join(path) + end)
        assert (found is rule) is walk(glob, path)


def walk(glob: list[str], path: list[str]) -> bool:
    if not glob:
        return not path
    if glob[0] == "**":
        return any(walk(glob[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and within(glob[0], path[0]) and walk(glob[1:], path[1:])


def within(glob: str, segment: str) -> bool:
    if not glob:
        return not segment
    if glob[0] == "*":
        return any(within(glob[1:], segment[start:]) for start in range(len(segment) + 1))
    return segment[:1] == glob[0] and within(glob[1:], segment[1:])


def test_methods() -> None:
    rule = SearchRule("/s", methods=["get", "Search"])
    assert rule.methods == {"GET", "SEARCH"}
    assert first_match([rule], "SEARCH", "/s") is rule
    assert first_match([rule], "POST", "/s") is None
    assert SearchRule("/s", methods="HEAD").methods == {"HEAD"}
    assert repr(rule) == "SearchRule('/s', ['GET', 'SEARCH'], 'plain')"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "search"}, "start with '/'"),
        ({"path": ""}, "start with '/'"),
        ({"path": "/a**z"}, "whole segments"),
        ({"methods": []}, "no methods"),
        ({"methods": ["GE T"]}, "'GE T'"),
        ({"methods": [""]}, "''"),
        ({"dialect": "elasticsearch"}, "subclass of Dialect"),
        ({"dialect": PlainDialect}, "subclass of Dialect"),
        ({"dialect": object()}, "subclass of Dialect"),
    ],
)
def test_malformed_rules(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        SearchRule(**options)


def test_the_first_match_counts() -> None:
    rules = [SearchRule("/a/*", "POST"), SearchRule("/a/b"), SearchRule("/**")]
    assert first_match(rules, "POST", "/a/b") is rules[0]
    assert first_match(rules, "GET", "/a/b") is rules[1]
    assert first_match(rules, "GET", "/c") is rules[2]
    assert first_match(rules, "PUT", "/c") is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("raw", "judged"),
    [
        (b"/idx%2Fv2/_search", True),
        (b"/public/..%2fadmin/_search", False),
        (b"/idx/v2/%2e%2e/%252e%252e/idx/v2/_search", True),
        (b"http://elsewhere/idx/v2/_search", True),
        (b"//idx/v2//_search", True),
        (b"/idx/v2/_search/..", False),
    ],
)
async def test_the_raw_path_goes_on_whatever_the_rules_make_of_it(
    reformulator: Reformulator, raw: bytes, judged: bool
) -> None:
    app = App()
    path = unquote(raw.decode())
    scope = http_scope(path=path, query=b"q=red+lamp", raw_path=raw)
    middleware = ReformulationMiddleware(app, reformulator, rules=[SearchRule("/idx/**/_search")])
    await call(middleware, scope)
    assert (app.query != b"q=red+lamp") is judged
    assert (app.scopes[0]["raw_path"], app.scopes[0]["path"]) == (raw, path)
