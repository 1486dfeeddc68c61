"""A hub's model is pinned to a branch, a tag or a commit by ``owner/name@revision``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from middleware import ModelError
from middleware.engines.checkpoint import bundled_model, locate

COMMITS = {
    "main": "0" * 40,
    "v1.0": "1" * 40,
    "refs/pr/7": "2" * 40,
    "a-branch_of.mine": "3" * 40,
    "refs/convert/parquet": "4" * 40,
    "f" * 40: "f" * 40,
    "abc1234": "a" * 40,
}


class Hub(ThreadingHTTPServer):
    """A hub that has one model, with a commit for each revision."""

    daemon_threads = True
    requests: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.server.requests.append(self.path)
        from urllib.parse import unquote

        before, _, rest = self.path.partition("/resolve/")
        revision, _, name = rest.rpartition("/")
        commit = COMMITS.get(unquote(revision))
        path = bundled_model() / name
        if before != "/own/name" or commit is None or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{commit}-{name}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, and an empty cache of its files."""
    constants: Any = pytest.importorskip("huggingface_hub.constants")
    with Hub(("127.0.0.1", 0), _Handler) as server:
        server.requests = []
        url = f"http://127.0.0.1:{server.server_port}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("revision", [None, *COMMITS])
def test_the_commit_of_the_revision_is_taken(hub: Hub, revision: str | None) -> None:
    found = locate("own/name" if revision is None else f"own/name@{revision}")
    commit = COMMITS[revision or "main"]
    assert (found.hub_id, found.commit) == ("own/name", commit)
    assert found.revision == f"own/name@{commit[:12]}"
    assert found.config["model_type"] == "t5"
    assert hub.requests


@pytest.mark.parametrize("revision", ["v2", "main/../v1.0", "e" * 40])
def test_a_revision_that_the_hub_lacks_is_told(hub: Hub, revision: str) -> None:
    with pytest.raises(ModelError, match=f"model 'own/name@{revision}' is not a folder, and could"):
        locate(f"own/name@{revision}")


@pytest.mark.parametrize(
    "name",
    ["own/name@", "own/name@@v1", "own/name@ v1", "own/name@v1 ", "own/name@-v1", "own/name@v1@v2",
     "own/name@/v1", "own/name@?a=b", "own/name@v1#x", "@v1", "own@v1/name", "own/name@.."],
)  # fmt: skip
def test_what_is_no_name_of_a_revision_is_refused_without_a_request(hub: Hub, name: str) -> None:
    with pytest.raises(ModelError, match="is neither a folder nor a hub id"):
        locate(name)
    assert hub.requests == []


def test_a_commit_in_the_cache_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    name = f"own/name@{'f' * 40}"
    first = locate(name)
    asked = len(hub.requests)
    assert locate(name) == first
    assert len(hub.requests) == asked
    root = tmp_path / "cache" / "models--own--name" / "snapshots" / ("f" * 40)
    shutil.copytree(bundled_model(), root, dirs_exist_ok=True)
    assert first.fetch() == root
    assert len(hub.requests) == asked


def test_a_tag_in_the_cache_is_found_while_the_hub_is_away(hub: Hub) -> None:
    first = locate("own/name@v1.0")
    hub.shutdown()
    hub.server_close()
    assert locate("own/name@v1.0") == first
    with pytest.raises(ModelError, match="check the name and the network"):
        locate("own/name@abc1234")


def test_a_folder_of_that_name_goes_first(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundled_model(), tmp_path / "own" / "name@v1.0")
    assert locate("own/name@v1.0").folder == Path("own/name@v1.0")
    assert hub.requests == []
