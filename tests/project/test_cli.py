"""The command line, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware.serving.server import served_in_thread

_ROOT = Path(__file__).parents[2]
_COMMAND = [sys.executable, "-m", "middleware"]
_ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("QUERYLIFT_")}


def _run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*_COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        cwd=_ROOT,
        env=_ENVIRONMENT,
    )


def test_rewrite_prints_a_line_of_json_for_each_line() -> None:
    """Outcome, reason, source and milliseconds are there, whatever bytes come in."""
    lines = b"please show me wireless headphones\n\nos.path.join\n\xff\xfe shoes\n"
    lines += b"please show me wireless headphones\r\n"
    done = _run("rewrite", "--jsonl", stdin=lines)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["outcome"] for row in rows] == [
        "rewritten",
        "skipped",
        "skipped",
        "skipped",
        "rewritten",
    ]
    assert [row["reason"] for row in rows] == [None, "empty", "identifier", "unencodable", None]
    assert [row["source"] for row in rows] == ["engine", None, None, None, "memo"]
    assert rows[0]["query"] == "wireless headphones"
    assert rows[2]["query"] == rows[2]["original"]
    assert all(row["ms"] >= 0 for row in rows)


def test_rewrite_says_what_was_done() -> None:
    """For people, the query stands first and the outcome below it."""
    done = _run("rewrite", "please show me wireless headphones", '"quoted phrase"')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "wireless headphones"
    assert lines[1].strip().startswith("rewritten, from engine, ")
    assert lines[2] == '"quoted phrase"'
    assert "skipped, quoted: " in lines[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve"], "no upstream to forward to; give one with --upstream"),
        (["serve", "--upstream", "ftp://x"], "ftp://x"),
        (["serve", "--upstream", "http://x", "--model", "/no/such/folder"], "/no/such/folder"),
        (["serve", "--upstream", "http://x", "--engine", "warp"], "no engine is called 'warp'"),
        (["serve", "--upstream", "http://x", "--json-pointer", "query"], "must start with '/'"),
        (["serve", "--upstream", "http://x", "--path", "search"], "must start with '/'"),
        (["serve", "--config", "/no/such.toml"], "/no/such.toml: No such file"),
        (["rewrite", "--model", "/no/such/folder", "text"], "/no/such/folder"),
        (["rewrite", "--words", "/no/such/words", "text"], "/no/such/words"),
        (["serve", "--words", "/no/such/words", "--upstream", "http://h"], "/no/such/words"),
    ],
)
def test_errors_are_one_line_with_a_way_out(arguments: list[str], said: str) -> None:
    """A wrong start ends at once, with status 1, without a traceback."""
    done = _run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(b"querylift: ")
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["fly"], ["serve", "--mode", "fast"], ["bench"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    """Argument errors show the usage."""
    done = _run(*arguments)
    assert done.returncode == 2
    assert b"usage: querylift" in done.stderr


def test_version_and_help() -> None:
    """Both answer and name the commands."""
    assert _run("--version").stdout.startswith(b"querylift ")
    assert all(word in _run("--help").stdout for word in (b"demo", b"serve", b"rewrite", b"bench"))


def test_serve_passes_originals_while_loading_then_rewrites_and_stops_when_told() -> None:
    """The whole of ``querylift serve`` on real sockets, with the bundled model."""

    async def search(request: Request) -> JSONResponse:
        return JSONResponse({"q": request.query_params.get("text")})

    backend = Starlette(routes=[Route("/find", search)])
    with served_in_thread(backend) as upstream:
        arguments = ["serve", "--upstream", upstream, "--port", "0", "--admin-port", "0"]
        process = subprocess.Popen(
            [*_COMMAND, *arguments, "--param", "text", "--path", "/fi*", "--budget-ms", "5000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_ROOT,
            env=_ENVIRONMENT,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with process, process.stdout, process.stderr:
            try:
                line = process.stdout.readline().decode().split()
                with (
                    httpx.Client(base_url=line[1], timeout=30, trust_env=False) as client,
                    httpx.Client(base_url=line[-1], timeout=30, trust_env=False) as admin,
                ):
                    asked = {"text": "please show me wireless headphones"}
                    first = client.get("/find", params=asked)
                    assert first.json() == {"q": asked["text"]}
                    assert "skipped;reason=not_ready" in first.headers["query-reformulation"]
                    assert admin.get("/readyz").json()["status"] == "loading"
                    until = monotonic() + 60
                    while admin.get("/readyz").status_code != 200:
                        assert monotonic() < until
                    last = client.get("/find", params=asked)
                    assert last.json() == {"q": "wireless headphones"}
                    assert last.headers["query-reformulation"].startswith("rewritten;src=engine")
                    other = client.get("/", params=asked)
                    assert other.status_code == 404
                    assert "query-reformulation" not in other.headers
            finally:
                process.terminate()
            assert process.wait(30) in (0, -15)
            assert process.stderr.read() == b""
