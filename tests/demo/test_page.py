"""The page's files and data: complete, self-contained, and behind a strict policy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib import resources

import httpx
import pytest

from middleware import Outcome, Reason, Source
from middleware.demo.backend import build_backend
from middleware.demo.examples import Example
from middleware.demo.index import SearchIndex
from middleware.demo.page import SECURITY_HEADERS, STATIC_FILES, build_app, vocabulary

from .stand_in import ScriptedProxy

pytestmark = pytest.mark.anyio

_FILES = resources.files("middleware.demo")
_EXAMPLES = (Example("Misspelled", "jsno string", "one word is misspelled"),)
_SCRIPTS = [name for name in STATIC_FILES if name.endswith(".js")]


def _read(name: str) -> str:
    return _FILES.joinpath(name).read_text(encoding="utf-8")


@pytest.fixture
def proxy(index: SearchIndex) -> ScriptedProxy:
    """A stand-in for the product over the handful of documents."""
    return ScriptedProxy(build_backend(index), {})


@pytest.fixture
async def client(proxy: ScriptedProxy) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page in front of the stand-in."""
    app = build_app(proxy, examples=_EXAMPLES, collection="A handful", documents=7)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://front") as opened:
        yield opened


async def test_every_file_is_served_under_the_policy(client: httpx.AsyncClient) -> None:
    """Each file has its media type, and all of them the security headers."""
    for path, media_type in [
        ("/", "text/html; charset=utf-8"),
        ("/demo/examples.json", "application/json"),
        ("/demo/vocabulary.json", "application/json"),
        *((f"/demo/{name}", media_type) for name, media_type in STATIC_FILES.items()),
    ]:
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type), path
        assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_the_policy_allows_nothing_inline_or_foreign() -> None:
    """Everything is denied but files of the page's own origin."""
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in SECURITY_HEADERS["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {*policy.values()} == {"'none'", "'self'"}
    assert {"script-src", "style-src", "connect-src", "form-action"} <= policy.keys()


async def test_only_the_pages_paths_are_the_pages(
    client: httpx.AsyncClient, proxy: ScriptedProxy
) -> None:
    """``/`` and ``/demo/`` never reach the proxy; every other path does."""
    await client.get("/")
    lost = await client.get("/demo/page.py")
    assert (lost.status_code, proxy.seen) == (404, [])
    for path in ("/search?q=json", "/healthz", "/demolition", "/index.html"):
        await client.get(path)
    assert proxy.seen == ["/search", "/healthz", "/demolition", "/index.html"]


async def test_other_scopes_are_the_proxys(proxy: ScriptedProxy) -> None:
    """A lifespan or web socket scope is handed on, whatever its path."""
    handed: list[str] = []

    async def inner(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        handed.append(scope["type"])

    async def nothing(*_: object) -> None:  # pragma: no cover
        raise AssertionError("nothing is received or sent here")

    app = build_app(inner, examples=())
    await app({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]
    await app({"type": "websocket", "path": "/"}, nothing, nothing)  # type: ignore[arg-type]
    assert handed == ["lifespan", "websocket"]


async def test_data_for_the_page(client: httpx.AsyncClient) -> None:
    """Examples come with the collection's name and size."""
    assert (await client.get("/demo/examples.json")).json() == {
        "collection": "A handful",
        "documents": 7,
        "examples": [
            {"label": "Misspelled", "query": "jsno string", "hint": "one word is misspelled"}
        ],
    }


def test_the_vocabulary_is_complete() -> None:
    """Every outcome, reason and source of the product has a sentence."""
    words = vocabulary()
    assert words["outcomes"].keys() == {str(outcome) for outcome in Outcome}
    assert words["reasons"] == {str(reason): reason.explanation for reason in Reason}
    assert words["sources"].keys() == {str(source) for source in Source}


@pytest.mark.parametrize("name", ["page.html", *STATIC_FILES])
def test_nothing_points_elsewhere(name: str) -> None:
    """No file names another origin; XML's name for SVG is no address."""
    text = _read(name).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|wss?:|['\"(=\s]//[a-z]", text, re.IGNORECASE)
    assert not re.search(r"@import|url\(|\bdata:", text)


@pytest.mark.parametrize("name", _SCRIPTS)
def test_scripts_never_turn_text_into_markup(name: str) -> None:
    """Nothing in the scripts parses text as markup, code or style."""
    sinks = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.style\b"
    )
    assert not re.search(sinks, _read(name))


def test_modules_import_only_served_files() -> None:
    """Every module that a script imports is one that is served."""
    for name in _SCRIPTS:
        for imported in re.findall(r'from "([^"]+)"', _read(name)):
            assert imported.startswith("./")
            assert imported[2:] in STATIC_FILES


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.script_text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] in ("script", "style"):
            self.script_text += data.strip()


def test_the_markup_has_nothing_inline_and_works_without_script() -> None:
    """No inline script, style or handler; a form that gets the API's answer; landmarks; labels."""
    tags = _Tags()
    tags.feed(_read("page.html"))
    names = [tag for tag, _ in tags.found]
    attributes = [attribute for _, attrs in tags.found for attribute in attrs]
    assert tags.script_text == ""
    assert "style" not in names
    assert not [a for a in attributes if a == "style" or a.startswith("on")]
    form = next(attrs for tag, attrs in tags.found if tag == "form")
    assert (form["action"], form["method"]) == ("/search", "get")
    assert {"main", "header", "nav", "noscript", "h1"} <= set(names)
    assert ("label", {"class": "hidden", "for": "q"}) in tags.found
    live = next(attrs for _, attrs in tags.found if "aria-live" in attrs)
    assert live["aria-live"] == "polite"
    served = {"/", *(f"/demo/{name}" for name in STATIC_FILES)}
    assert {
        attrs[key] for _, attrs in tags.found for key in ("src", "href") if key in attrs
    } <= served | {"#results"}
