"""Groonga's own server, with the documentation of Python's standard library in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware.demo.docstrings import read_module
from middleware.serving.assembly import build_proxy
from middleware.serving.server import bound_socket, served_in_thread
from middleware.serving.settings import EngineSettings, Settings, UpstreamSettings

from .conftest import client, rewritten, wait_until_ready

GROONGA = shutil.which("groonga")
pytestmark = pytest.mark.skipif(GROONGA is None, reason="the program groonga is not installed")

MODULES = ("bisect", "gzip", "heapq", "shutil", "statistics", "tempfile", "textwrap", "zipfile")
SCHEMA = (
    ("table_create", {"name": "Docs", "flags": "TABLE_HASH_KEY", "key_type": "ShortText"}),
    ("column_create", {"table": "Docs", "name": "text", "type": "Text"}),
    (
        "table_create",
        {
            "name": "Terms",
            "flags": "TABLE_PAT_KEY",
            "key_type": "ShortText",
            "default_tokenizer": "TokenBigram",
            "normalizer": "NormalizerAuto",
        },
    ),
    (
        "column_create",
        {
            "table": "Terms",
            "name": "docs_text",
            "flags": "COLUMN_INDEX|WITH_POSITION",
            "type": "Docs",
            "source": "text",
        },
    ),
)
CHATTY = "please show me how to copy a directory tree"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the server with documents in it; gives its URL."""
    assert GROONGA is not None
    with bound_socket("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    database = tmp_path_factory.mktemp("groonga") / "db"
    command = [GROONGA, "-s", "--protocol", "http", "--bind-address", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "-p", str(port), "-n", str(database)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            base = f"http://127.0.0.1:{port}"
            transport = httpx.HTTPTransport(retries=10)  # until it listens
            with httpx.Client(base_url=base, transport=transport, trust_env=False) as direct:
                for name, arguments in SCHEMA:
                    assert direct.get(f"/d/{name}", params=arguments).json()[1] is True
            yield base
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def proxy(server: str) -> Iterator[httpx.Client]:
    """Run a proxy in front of it without a dialect, which has to be detected."""
    settings = Settings(
        upstream=UpstreamSettings(url=server),
        engine=EngineSettings(process=False),
        budget_ms=1000.0,
        prefix="/-/querylift",
    )
    with served_in_thread(build_proxy(settings)) as base, client(base) as asking:
        wait_until_ready(asking)
        yield asking


@pytest.fixture(scope="module")
def documents(proxy: httpx.Client) -> int:
    """Load the documents through the proxy, as an application would; gives their number."""
    library = Path(sysconfig.get_path("stdlib"))
    found = [
        {"_key": document.id, "text": document.text}
        for name in MODULES
        for document in read_module(library, Path(f"{name}.py"))
    ] or pytest.skip("the standard library has no sources here")
    answer = proxy.post("/d/load", params={"table": "Docs"}, json=found)
    assert answer.json()[1] == len(found)
    assert "query-reformulation" not in answer.headers
    return len(found)


def target(query: str, **more: Any) -> str:
    """Return a search's target."""
    params = {"table": "Docs", "match_columns": "text", "query": query, "output_columns": "_key"}
    return f"/d/select?{httpx.QueryParams({**params, **more})}"


def keys(answer: httpx.Response) -> tuple[int, list[str]]:
    """Return how many documents were found, and which are shown."""
    status, result = json.loads(answer.content)
    assert status[0] == 0, status
    return result[0][0][0], [row[0] for row in result[0][2:]]


def test_a_request_in_whole_words_finds_what_was_meant(
    server: str, proxy: httpx.Client, documents: int
) -> None:
    """Nothing holds all the words of the request; the rewrite finds the function."""
    with client(server) as direct:
        assert keys(direct.get(target(CHATTY))) == (0, [])
    answer = rewritten(proxy, target(CHATTY))
    assert "shutil.copytree" in keys(answer)[1]
    assert 0 < keys(answer)[0] < documents


def test_pages_fit_together(proxy: httpx.Client, documents: int) -> None:
    """Page by page through a rewritten search, each document is there once."""
    query = "please show me temporary file"
    total, shown = keys(rewritten(proxy, target(query, limit=2, sort_keys="_key")))
    assert total > 4
    for offset in range(2, total, 2):
        answer = proxy.get(target(query, limit=2, offset=offset, sort_keys="_key"))
        assert answer.headers["query-reformulation"].startswith("rewritten;src=memo")
        count, more = keys(answer)
        assert count == total
        shown += more
    assert len(set(shown)) == len(shown) == total


@pytest.mark.parametrize(
    "query", ["directory OR tree", "copy -tree", "text:@tree", '"directory tree"', "direct*", "("]
)
def test_operators_do_what_they_do_without_the_proxy(
    server: str, proxy: httpx.Client, documents: int, query: str
) -> None:
    """Answers and errors are the server's own, but for the time that it took."""
    with client(server) as direct:
        past = direct.get(target(query))
    through = proxy.get(target(query))
    assert through.status_code == past.status_code
    assert through.json()[1:] == past.json()[1:]
    assert through.headers["query-reformulation"].startswith("skipped")


def test_other_commands_pass(server: str, proxy: httpx.Client, documents: int) -> None:
    """Schemas, tables and unknown commands are none of the proxy's business."""
    with client(server) as direct:
        for asked in ("/d/table_list", "/d/schema", "/d/nothing", "/d/column_list?table=Docs"):
            past, through = direct.get(asked), proxy.get(asked)
            assert (through.status_code, through.json()[1:]) == (past.status_code, past.json()[1:])
            assert "query-reformulation" not in through.headers
