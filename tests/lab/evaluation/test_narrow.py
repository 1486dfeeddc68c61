"""The page of results on a phone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from middleware.lab.evaluation.command import add_arguments, run
from tests.demo.narrow import BROWSER, measured

from .conftest import DOCUMENTS, QUERIES, write_collection

_LONG = "averyverylongwordwithoutanyblank" * 5


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_results_fit_a_phone(tmp_path: Path) -> None:
    """Tables are swiped within the page, and no name of a collection or query widens it."""
    queries = [{**query, "text": f"{query['text']} {_LONG}"} for query in QUERIES]
    shops = [
        write_collection(tmp_path / "shop"),
        write_collection(tmp_path / f"a-{_LONG[:90]}", DOCUMENTS, queries),
    ]
    pages = []
    for index, shop in enumerate(shops):
        page = tmp_path / f"{index}.html"
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        words = ["--collection", str(shop), "--systems", "stoplist,spelling,stoplist+spelling"]
        assert run(parser.parse_args([*words, "--html", str(page)])) == 0
        pages.append(page.read_text("utf-8"))

    async def shown(request: Request) -> HTMLResponse:
        return HTMLResponse(pages[int(request.path_params["page"])])

    targets = [(f"/{page}", width) for page in (0, 1) for width in (320, 360, 390, 768, 1280)]
    app = Starlette(routes=[Route("/{page:int}", shown)])
    found = measured(app, targets, tmp_path / "profile")
    assert len(found) == len(targets)
    for each in found:
        assert each["reaches"] <= each["width"], json.dumps(each)
        assert each["text"] > 500
