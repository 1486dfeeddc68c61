"""Each example runs as it stands, in a process of its own or behind a real server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic
from types import ModuleType

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware.serving.server import served_in_thread

_EXAMPLES = Path(__file__).parents[2] / "examples"
_SHIM = _EXAMPLES.parent / "middleware" / "shim"  # where a checkout has ``querylift``
_CHATTY = "please show me wireless headphones"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rewritten(client: httpx.Client) -> httpx.Response:
    """Ask until the model is loaded and the rewrite is known; each answer takes a moment."""
    until = monotonic() + 60
    while True:
        answer = client.get("/search", params={"q": _CHATTY})
        assert answer.status_code == 200
        result = answer.headers["query-reformulation"]
        if result.startswith("rewritten"):
            return answer
        assert monotonic() < until, f"never rewritten: {result}"


def _patient(base: str) -> httpx.Client:
    return httpx.Client(base_url=base, timeout=30, trust_env=False)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_middleware_example_rewrites() -> None:
    """The FastAPI app finds a product for a request in whole words."""
    app = _load("middleware_app").app
    with served_in_thread(app) as base, _patient(base) as client:
        answer = _rewritten(client)
    assert answer.json()["hits"] == ["wireless headphones"]


def test_the_proxy_example_rewrites() -> None:
    """The upstream gets the rewritten query, in the URL and in JSON."""

    async def search(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse({"q": request.query_params.get("q"), "body": body.decode()})

    backend = Starlette(routes=[Route("/search", search, methods=["GET", "POST"])])
    with served_in_thread(backend) as upstream:
        proxy = _load("reverse_proxy").build(upstream)
        with served_in_thread(proxy) as base, _patient(base) as client:
            assert _rewritten(client).json()["q"] == "wireless headphones"
            answer = client.post("/search", json={"query": _CHATTY, "size": 3})
    assert answer.json()["body"] == '{"query":"wireless headphones","size":3}'


def test_the_decorator_example_rewrites() -> None:
    """The handler gets the rewritten query and the decision."""
    done = subprocess.run(
        [sys.executable, str(_EXAMPLES / "search_handler.py"), _CHATTY],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=_EXAMPLES.parent,
        env={"PYTHONPATH": f"{_SHIM}{os.pathsep}{_EXAMPLES.parent}", "PATH": ""},
    )
    assert done.stdout.splitlines() == [
        "results for 'wireless headphones'",
        f"rewritten (was {_CHATTY!r})",
    ]
