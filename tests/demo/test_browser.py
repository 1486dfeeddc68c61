"""The page in a real browser, where there is one: its states as people get to see them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from middleware.demo.backend import build_backend
from middleware.demo.examples import Example
from middleware.demo.index import SearchIndex
from middleware.demo.page import build_app
from middleware.serving.server import served_in_thread

from .stand_in import ScriptedProxy

_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=3000", "--enable-logging=stderr", "--dump-dom"),
)
_CHATTY = "please find a jsno strng"
_MARKUP = "<b onclick=alert(1)>json</b> & café"

pytestmark = pytest.mark.skipif(_BROWSER is None, reason="no Chromium on this machine")

View = Callable[[str], "Page"]


class Page(HTMLParser):
    """What a page shows: texts by tag, by id of what they stand in, and all of it."""

    def __init__(self, markup: str, console: str) -> None:
        super().__init__()
        self.console = console
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, str | None, bool]] = []
        self._texts: list[tuple[tuple[tuple[str, str | None, bool], ...], str]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag, and remember that what follows stands in it."""
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in ("meta", "link", "input", "img", "br", "wbr"):
            self._open.append((tag, attributes.get("id"), "hidden" in attributes))

    def handle_endtag(self, tag: str) -> None:
        """Close the tag."""
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Keep the text with where it stands."""
        self._texts.append((tuple(self._open), data))

    def text(self, *, tag: str | None = None, within: str | None = None) -> str:
        """Return the text that is not hidden, of one tag or within one id where given."""
        return " ".join(
            "".join(
                text
                for path, text in self._texts
                if not any(hidden for *_, hidden in path)
                and (tag is None or any(name == tag for name, *_ in path))
                and (within is None or any(identity == within for _, identity, _ in path))
            ).split()
        )


@pytest.fixture(scope="module")
def view(index: SearchIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """A function that opens the page for a query and reads what it shows."""
    script = {
        _CHATTY: ("rewritten;src=engine", "json string"),
        "slow query": ("fallback;reason=timeout", "slow query"),
        "json.dumps": ("skipped;reason=identifier", "json.dumps"),
        "early query": ("skipped;reason=not_ready", "early query"),
        _MARKUP: ("rewritten;src=memo", "json café <i>"),
    }
    app = build_app(
        ScriptedProxy(build_backend(index), script),
        examples=[Example("Chatty", _CHATTY, "a request")],
        collection="A handful",
        documents=7,
    )
    with served_in_thread(app) as url:

        def opened(query: str) -> Page:
            profile = tmp_path_factory.mktemp("profile")
            done = subprocess.run(
                [str(_BROWSER), *_FLAGS, f"--user-data-dir={profile}", f"{url}/{query}"],
                capture_output=True,
                check=True,
                timeout=90,
            )
            shutil.rmtree(Path(profile), ignore_errors=True)
            errors = done.stderr.decode(errors="replace")
            console = "\n".join(line for line in errors.splitlines() if "CONSOLE" in line)
            return Page(done.stdout.decode(), console)

        yield opened


def _asking(text: str) -> str:
    return f"?q={quote(text)}"


def test_the_first_view_invites(view: View) -> None:
    """Before a search there are the collection, the examples as links, and how it works."""
    page = view("")
    assert "7 documents. A handful" in page.text(tag="header")
    assert "please find a jsno strng" in page.text(within="examples")
    assert ("a", "/?q=please%20find%20a%20jsno%20strng") in [
        (tag, attributes.get("href")) for tag, attributes in page.tags
    ]
    assert "A small T5 model" in page.text(within="welcome")
    assert page.text(within="verdict") == ""
    assert page.console == ""


def test_a_rewritten_query_is_shown_beside_the_typed(view: View) -> None:
    """Words that went and came are told apart, both lists are there, and so are the times."""
    page = view(_asking(_CHATTY))
    assert page.text(tag="del") == "removed: please find a jsno strng"
    assert page.text(tag="ins") == "added: json string"
    verdict = page.text(within="verdict")
    assert re.search(r"Rewritten.*rewritten.*engine: the model, just now.*12 ms.*3\.1 ms", verdict)
    assert "json.dumps" in page.text(within="as-rewritten")
    assert "+ new" in page.text(within="as-rewritten")
    assert "matches" in page.text(within="as-typed")
    assert page.text(within="status").startswith("Rewritten.")
    assert page.console == ""


def test_a_query_that_is_left_alone_has_one_list_and_a_reason(view: View) -> None:
    """A skipped query is explained in words and as a code, with the one list of results."""
    page = view(_asking("json.dumps"))
    verdict = page.text(within="verdict")
    assert "Not rewritten" in verdict
    assert "the text is a code, name or address to match as is" in verdict
    assert "skipped;reason=identifier" in verdict
    assert "json.dumps" in page.text(within="as-typed")
    assert page.text(within="as-rewritten") == ""


def test_a_late_rewrite_offers_another_try(view: View) -> None:
    """A timeout says what happened and has a button to search again."""
    verdict = view(_asking("slow query")).text(within="verdict")
    assert "the rewrite was not ready within the budget" in verdict
    assert "Search again" in verdict


def test_a_loading_model_is_told(view: View) -> None:
    """While the model loads the page says so and that it tries again by itself."""
    verdict = view(_asking("early query")).text(within="verdict")
    assert "The model is not loaded, or not yet" in verdict
    assert "repeated by itself" in verdict


def test_markup_in_queries_stays_text(view: View) -> None:
    """A query that is markup, typed or as the effective query, is shown and never parsed."""
    page = view(_asking(_MARKUP))
    assert "<b onclick=alert(1)>json</b>" in page.text(tag="dd")
    assert "<i>" in page.text(tag="ins")
    assert not [tag for tag, attributes in page.tags if tag == "i" or "onclick" in attributes]
    assert page.console == ""
