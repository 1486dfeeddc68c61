"""What is no file in place of one, or has no end: refused at the start, in time and by name."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from middleware.engines.checkpoint import bundled_model

from .running import ended

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a system without FIFOs")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def local_socket(path: Path) -> None:
    # By a short name, as pytest's folders are too long for one.
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (fifo, "it is a FIFO"),
    "zeros": (link_to("/dev/zero"), "it is a device"),
    "full": (link_to("/dev/full"), "it is a device"),
    "null": (link_to("/dev/null"), "it is a device"),
    "terminal": (link_to("/dev/ptmx"), "it is a device"),
    "folder": (Path.mkdir, "it is a folder"),
    "socket": (local_socket, "it is a socket"),
    "terabyte": (sparse, "more than"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_settings_file(upstream: str, tmp_path: Path, kind: str) -> None:
    make, says = ODD[kind]
    make(tmp_path / "odd")
    status, told, spent = ended(["--config", str(tmp_path / "odd"), "--upstream", upstream])
    assert (status, told.count("\n")) == (1, 1)
    assert str(tmp_path / "odd") in told
    assert says in told
    assert spent < 10


@pytest.mark.parametrize("content", ["a = " + "[" * 100_000, "a." * 2_000 + "b = 1", "\x00", "é"])
def test_a_settings_file_that_is_hard_to_read(upstream: str, tmp_path: Path, content: str) -> None:
    (tmp_path / "odd").write_text(content, "latin-1")
    status, told, _ = ended(["--config", str(tmp_path / "odd"), "--upstream", upstream])
    assert status == 1
    assert f"settings file {tmp_path / 'odd'}" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_snapshot(
    upstream: str, behaviour: Path, tmp_path: Path, kind: str, workers: str
) -> None:
    make, says = ODD[kind]
    make(tmp_path / "odd")
    before = os.lstat(tmp_path / "odd")
    options = ["--engine", "faulty", "--model", str(behaviour), "--upstream", upstream]
    options += ["--memo-snapshot", str(tmp_path / "odd"), "--workers", workers]
    status, told, _ = ended(options)
    assert status == 1
    if kind == "terabyte":  # a file, if one that is not ours
        assert f"{tmp_path / 'odd'} holds something else, which would be lost" in told
    else:
        assert f"{tmp_path / 'odd'} is {says.removeprefix('it is ')}; name a file" in told
    assert os.lstat(tmp_path / "odd").st_ino == before.st_ino, "nothing was put in its place"


@pytest.mark.parametrize("kind", ODD)
def test_a_list_of_words(upstream: str, tmp_path: Path, kind: str) -> None:
    make, says = ODD[kind]
    make(tmp_path / "odd")
    status, told, _ = ended(["--words", str(tmp_path / "odd"), "--upstream", upstream])
    assert status == 1
    assert str(tmp_path / "odd") in told
    assert says in told


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["config.json", "spiece.model", "words.txt", "model.safetensors"])
def test_a_file_of_a_model(upstream: str, tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in bundled_model().iterdir():
        if file.is_file() and file.name not in (name, "tokenizer.json"):
            (folder / file.name).symlink_to(file)
    make, _ = ODD[kind]
    make(folder / name)
    options = ["--model", str(folder), "--upstream", upstream]
    if name == "words.txt" and kind != "terabyte":  # as if the model had none
        return
    status, told, spent = ended(options)
    assert status == 1
    assert str(folder) in told
    assert "Traceback" not in told
    assert spent < 10
