"""A weight cache that has no room, or holds something odd: the engine serves all the same."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from middleware.engines.t5 import T5Engine, engine, weight_cache
from tests.small_disk import small_disk

from ..command_engine import never

TEXT, ANSWER = "red leather sofa", "red leather sofa"


@pytest.fixture(autouse=True)
def _every_model_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)
    monkeypatch.setattr(weight_cache, "SMALL", 0)


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many KiB."""
    with small_disk(tmp_path, request.param) as place:
        yield place


def serves(cache: Path) -> None:
    made = T5Engine(cache_dir=cache, threads=1)
    began = time.monotonic()
    made.load()
    assert time.monotonic() - began < 60
    assert made.generate([TEXT], never) == [ANSWER]


@pytest.mark.parametrize("disk", [4, 64, 1024, 3072], indirect=True)
def test_a_full_disk(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The engine starts without the copy, says so, and leaves no part of it."""
    for _ in range(2):
        serves(disk / "deep")
    assert caplog.text.count("cannot be cached") == 2
    assert "No space left" in caplog.text
    assert list((disk / "deep").iterdir()) == []


@pytest.mark.parametrize("limit", [0, 1000, 100_000, 2_000_000])
def test_a_file_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    """As ``ulimit -f`` or a quota has it."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from middleware.engines.t5 import T5Engine, engine, weight_cache\n"
        "engine.SMALL = weight_cache.SMALL = 0\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"made = T5Engine(cache_dir={str(tmp_path)!r}, threads=1)\n"
        "made.load()\n"
        f"print(made.generate([{TEXT!r}], lambda index: False))\n"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout == f"[{ANSWER!r}]\n", ran.stderr
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


ODD: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "zeros": lambda path: path.symlink_to("/dev/zero"),
    "null": lambda path: path.symlink_to("/dev/null"),
    "folder": Path.mkdir,
    "terabyte": sparse,
    "empty": Path.touch,
    "text": lambda path: path.write_text("<html>"),
    "loop": lambda path: path.symlink_to(path),
    "huge header": lambda path: path.write_bytes(b"\xff" * 7 + b"\x00{}"),
    "no tensors": lambda path: path.write_bytes(b"\x02" + bytes(7) + b"{}"),
}


@pytest.mark.parametrize("kind", ODD)
def test_something_odd_in_its_place(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = T5Engine(cache_dir=tmp_path, threads=1)
    name = weight_cache.cache_name(made._checkpoint.fetch(), made._checkpoint.revision, "int8", 15)
    ODD[kind](tmp_path / name)
    before = os.lstat(tmp_path / name)
    serves(tmp_path)
    assert name in caplog.text
    assert os.listdir(tmp_path) == [name], "no unfinished file is left"
    if kind in ("FIFO", "zeros", "null", "folder"):
        assert os.lstat(tmp_path / name).st_ino == before.st_ino, "what is no file is left alone"
    else:
        assert weight_cache.read(tmp_path / name) is not None


def test_what_dead_processes_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    old, new, other = tmp_path / ".old.part", tmp_path / ".new.part", tmp_path / ".other"
    for file in (old, new, other):
        file.write_text("half")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    assert weight_cache.write(tmp_path / "a.safetensors", {"a": torch.zeros(3)})
    assert sorted(os.listdir(tmp_path)) == [".new.part", ".other", "a.safetensors"]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({"XDG_CACHE_HOME": "/a"}, "/a/querylift"), ({"HOME": "/h"}, "/h/.cache/querylift"),
     ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/querylift"),
     ({"XDG_CACHE_HOME": "here", "HOME": "/h"}, "/h/.cache/querylift"),
     ({"HOME": "not/absolute"}, "/dev/null/.cache/querylift")],
)  # fmt: skip
def test_the_folder_of_the_cache_is_never_the_current_one(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(weight_cache.default_folder()) == folder
