"""``querylift demo`` as a process: it starts, says where it is, answers, and stops quietly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from middleware.demo.run import run_demo
from middleware.serving.server import bound_socket

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import sys
from pathlib import Path
from middleware.demo.run import run_demo
sys.exit(run_demo(port=0, open_browser=False, corpus=Path(sys.argv[1])))
"""
_LINES = [
    {"_id": f"{verb}-{thing}", "text": f"{verb} the {thing} report before lunch"}
    for verb in ("Compare", "Archive", "Translate", "Publish")
    for thing in ("weather", "traffic", "harvest", "election")
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A small collection of a user's own."""
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in _LINES))
    return path


class _Running:
    """A process and what it has said so far, read by a thread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self._heard = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.said += line
                self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def wait_for(self, pattern: str, limit: float = 60.0) -> re.Match[str]:
        """Return the match in what the process said, once it has said it."""
        with self._heard:
            self._heard.wait_for(lambda: self._ended or re.search(pattern, self.said), limit)
            found = re.search(pattern, self.said)
        assert found, f"never said {pattern!r}: {self.said}"
        return found

    def ended(self) -> None:
        """Wait until nothing more can be said."""
        self._reader.join(5)

    def interrupt(self) -> int:
        """Interrupt the process as Ctrl-C does, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        self.ended()
        return status


@contextmanager
def _demo(corpus: Path) -> Iterator[_Running]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "default"}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(corpus)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        running = _Running(process)
        try:
            yield running
        finally:
            process.kill()
            running.ended()


def test_it_starts_answers_and_stops(corpus: Path) -> None:
    """The page and the search API answer at the address it tells; an interrupt ends it quietly."""
    with _demo(corpus) as demo:
        url = demo.wait_for(r"Page and search API +(http://127\.0\.0\.1:\d+)")[1]
        demo.wait_for("Ctrl-C stops everything")
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            page = client.get("/")
            found = client.get("/search?q=compare+weather")
            plain = client.get(
                "/search?q=compare+weather", headers={"Query-Reformulation-Control": "off"}
            )
            posted = client.post("/search", json={"query": "archive harvest"})
            health = client.get("/healthz")
            examples = client.get("/demo/examples.json").json()["examples"]
        status = demo.interrupt()
        said = demo.said
    assert "<title>Querylift demo</title>" in page.text
    assert found.json()["hits"][0]["id"] == "Compare-weather"
    assert re.match(r"(rewritten|unchanged|skipped|fallback)\b", _header(found))
    assert 'q="' in _header(found)
    assert len(found.headers.get_list("date")) == len(found.headers.get_list("server")) == 1
    assert _header(plain).startswith("skipped;reason=disabled")
    assert posted.json()["hits"][0]["id"] == "Archive-harvest"
    assert _header(posted)
    assert health.json() == {"status": "ok", "documents": 16}
    assert examples
    assert "curl -i" in said
    assert "documents: corpus.jsonl" in said
    assert status == 0
    assert said.rstrip().endswith("Stopped.")
    assert "Traceback" not in said
    assert "Warning" not in said


def test_a_taken_port_ends_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Before any indexing, a taken port is told on the error stream with exit status 1."""
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert run_demo(port=port, open_browser=False) == 1
    said = capsys.readouterr()
    assert f"querylift demo: port {port} on 127.0.0.1 is taken" in said.err
    assert "--port" in said.err
    assert said.out == ""


def test_a_bad_corpus_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A collection that cannot be read is told with its place and exit status 1."""
    path = tmp_path / "bad.jsonl"
    path.write_text('{"_id": "x"}\n')
    assert run_demo(port=0, open_browser=False, corpus=path) == 1
    assert 'bad.jsonl:1: "text" is missing' in capsys.readouterr().err.replace("\n", "")


def _header(answer: httpx.Response) -> str:
    return str(answer.headers.get("query-reformulation", ""))
