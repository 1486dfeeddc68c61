"""Where results go, told before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware import ConfigurationError
from middleware.lab.evaluation.outputs import Outputs


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("json", "folder", "is a folder"),
        ("html", "folder", "is a folder"),
        ("html", "none/a.html", "there is no folder"),
        ("runs", "file", "is a file"),
        ("runs", "file/runs", "cannot be created"),
    ],
)
def test_what_cannot_be_written_is_told(
    tmp_path: Path, option: str, name: str, message: str
) -> None:
    """The option and the path stand in the message."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=f"--{option}: .*{message}"):
        Outputs(**{option: tmp_path / name}).check()


def test_a_disk_that_fills_up_is_told(tmp_path: Path) -> None:
    """What goes wrong only at the end is an error too, and no traceback."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Outputs(json=tmp_path / "gone" / "a.json").write([], {})


def test_the_folder_of_runs_is_made(tmp_path: Path) -> None:
    """With its parents, and it may be there already."""
    outputs = Outputs(json=tmp_path / "a.json", runs=tmp_path / "a" / "runs")
    outputs.check()
    outputs.check()
    assert (tmp_path / "a" / "runs").is_dir()
    assert not (tmp_path / "a.json").exists()
