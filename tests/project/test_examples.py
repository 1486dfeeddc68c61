"""Each example runs as it stands, in a process of its own or behind a real server."""

from __future__ import annotations

import importlib.util
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
_CHATTY = "please show me wireless headphones"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rewritten(client: httpx.Client) -> httpx.Response:
    """Ask until the model is in and the rewrite known, which each answer brings nearer."""
    for _ in range(600):
        answer = client.get("/search", params={"q": _CHATTY})
        assert answer.status_code == 200
        if answer.headers["query-reformulation"].startswith("rewritten"):
            return answer
        client.get("/-/querylift/readyz")
    pytest.fail(f"never rewritten: {answer.headers['query-reformulation']}")


def _patient(base: str) -> httpx.Client:
    return httpx.Client(base_url=base, timeout=30, trust_env=False)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_middleware_example_rewrites() -> None:
    """The FastAPI app finds a product for a request in whole words."""
    app = _load("middleware_app").app
    with served_in_thread(app) as base, _patient(base) as client:
        _wait_until_ready(client)
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
            _wait_until_ready(client)
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
        env={"PYTHONPATH": str(_EXAMPLES.parent), "PATH": ""},
    )
    assert done.stdout.splitlines() == [
        "results for 'wireless headphones'",
        f"rewritten (was {_CHATTY!r})",
    ]


def _wait_until_ready(client: httpx.Client) -> None:
    """Each answer of the readiness page takes a moment in which the model loads."""
    until = monotonic() + 60
    while client.get("/-/querylift/readyz").status_code != 200:
        assert monotonic() < until, "the model was never loaded"
