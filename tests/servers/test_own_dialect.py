"""The example of a user's own dialect, installed as its project file says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from middleware.dialects.registry import dialect_names
from middleware.serving.assembly import build_proxy
from middleware.serving.server import served_in_thread
from middleware.serving.settings import EngineSettings, Settings, UpstreamSettings

from .conftest import CHATTY, EXAMPLES, client, wait_until_ready

_FOLDER = EXAMPLES / "own_dialect"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the dialect on the path with the metadata that an installer writes; return its name."""
    project = tomllib.loads((_FOLDER / "pyproject.toml").read_text("utf-8"))["project"]
    [(group, points)] = project["entry-points"].items()
    information = tmp_path / f"{project['name'].replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (information / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(_FOLDER))
    [name] = points
    return str(name)


def test_serve_speaks_it(installed: str) -> None:
    """The text of the line is rewritten, and nothing around it."""

    async def find(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    assert installed in dialect_names()
    backend = Starlette(routes=[Route("/find", find, methods=["POST"])])
    with served_in_thread(backend) as upstream:
        settings = Settings(
            upstream=UpstreamSettings(url=upstream),
            engine=EngineSettings(process=False),
            dialect=installed,
            budget_ms=5000.0,
            prefix="/-/querylift",
        )
        with served_in_thread(build_proxy(settings)) as base, client(base) as asking:
            wait_until_ready(asking)

            def say(line: str, kind: str = "text/plain; charset=utf-8") -> httpx.Response:
                return asking.post("/find", content=line, headers={"content-type": kind})

            answer = say(f"find {CHATTY} limit 5\n")
            assert answer.text == "find wireless headphones limit 5\n"
            assert answer.headers["query-reformulation"].startswith("rewritten;src=engine")
            for line, kind in (
                (f"find {CHATTY} limit 5", "application/json"),
                (f"delete {CHATTY}", "text/plain"),
                (f"find {CHATTY} für", "text/plain"),
                ("", "text/plain"),
            ):
                assert say(line, kind).text == line
