"""Pages on a phone: nothing reaches beyond the screen."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from middleware.demo.backend import build_backend
from middleware.demo.examples import Example
from middleware.demo.index import SearchIndex
from middleware.demo.page import build_app

from .narrow import BROWSER, measured
from .stand_in import ScriptedProxy

_LONG = "averyveryverylongwordwithoutanyblankinit" * 6
_SCRIPT = {
    "please find a jsno strng": ("rewritten;src=engine", "json string"),
    "slow query": ("fallback;reason=timeout", "slow query"),
    "json.dumps": ("skipped;reason=identifier", "json.dumps"),
    f"json {_LONG}": ("rewritten;src=memo", f"json {_LONG[:-40]}"),
    "json " * 40: ("rewritten;src=memo", "json string"),
    "nothing has this": ("unchanged", "nothing has this"),
    "日本語のとても長い検索テキスト" * 6: ("skipped;reason=language", "日本語"),
}

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def test_the_demo_fits_a_phone(index: SearchIndex, tmp_path: Path) -> None:
    """Before a search, and with every kind of result, of one list and of two."""
    app = build_app(
        ScriptedProxy(build_backend(index), _SCRIPT),
        examples=[Example("Chatty", "please find a jsno strng", _LONG), Example("L", _LONG, "x")],
        collection=f"A collection called {_LONG}",
        documents=7,
    )
    targets = [("/", 390), ("/", 320)]
    for text in _SCRIPT:
        targets += [(f"/?q={quote(text)}", 390), (f"/?q={quote(text)}", 320)]
    found = measured(app, targets, tmp_path)
    assert len(found) == len(targets)
    for page in found:
        assert page["reaches"] <= page["width"], page
        assert page["text"] > 100, "nothing was shown"
