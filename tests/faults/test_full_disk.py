"""A disk that is full: a purge and a snapshot say so, and what was there is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_disk import small_disk

from .running import Served, fresh, serving, until
from .test_warm import warm

MOUNTED = 256  # KiB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which is small."""
    with small_disk(tmp_path, MOUNTED) as place:
        yield place


def fill(disk: Path, leave: int = 0) -> None:
    """Leave no more than so many bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() // 4096 * 4096 - leave)


@pytest.mark.parametrize(
    "parameters", ["", "?text=large+red+lamp", "?scope=", "?text=no+such+text"]
)
@pytest.mark.parametrize("leave", [0, 4096])
def test_a_purge_says_that_it_does_not_last(
    upstream: str, behaviour: Path, disk: Path, parameters: str, leave: int
) -> None:
    file = disk / "memo"
    options = ("--engine", "faulty", "--model", str(behaviour), "--memo-snapshot", str(file))
    texts = ["large red lamp", *(fresh() for _ in range(300))]  # many pages of the disk
    assert warm("--queries", "-", *options, said="\n".join(texts))[0] == 0
    with serving(upstream, *options) as served:
        assert served.search("large red lamp")[1]["src"] == "memo"
        before = file.read_bytes()
        fill(disk, leave)
        answer = served.admin.delete(f"/memo{parameters}")
        gone = not parameters or parameters == "?scope="
        if leave and gone:  # an empty memo takes less than that
            assert answer.status_code == 200
        else:
            assert answer.status_code == 507
            assert answer.json()["code"] == "snapshot_not_written"
            assert "would be back" in answer.json()["message"]
            assert sorted(os.listdir(disk)) == ["filler", "memo"], "nothing unfinished is left"
            assert file.read_bytes() == before
        served.search(fresh())  # which is answered as ever
        (disk / "filler").unlink()
        assert served.admin.delete(f"/memo{parameters}").status_code in (200, 404)
        assert file.read_bytes() != before
        served.stop()
        _, told = served.process.communicate(timeout=20)
        assert told.count("cannot be written: No space left on device") == (
            answer.status_code == 507
        )


def test_the_end_says_that_nothing_was_kept(upstream: str, behaviour: Path, disk: Path) -> None:
    fill(disk)
    options = ("--engine", "faulty", "--model", str(behaviour))
    with serving(upstream, *options, "--memo-snapshot", str(disk / "memo")) as served:
        until(lambda: rewritten(served))
        served.stop()
        _, told = served.process.communicate(timeout=20)
    assert "cannot be written: No space left on device" in told
    assert os.listdir(disk) == ["filler"]


def rewritten(served: Served) -> bool:
    return served.search()[0] == "rewritten"


def test_warm_fails(behaviour: Path, disk: Path, tmp_path: Path) -> None:
    fill(disk)
    (tmp_path / "queries").write_text("large red lamp\n")
    options = ("--engine", "faulty", "--model", str(behaviour))
    status, told, errors = warm(
        "--queries", str(tmp_path / "queries"), *options, "--memo-snapshot", str(disk / "memo")
    )
    assert (status, told) == (1, "")
    assert "cannot be written: No space left on device" in errors
    assert os.listdir(disk) == ["filler"]
