"""A file system of its own that is small, for what happens when a disk is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(parent: Path, kib: int) -> Iterator[Path]:
    """Mount a file system of so many KiB; skip the test if this user cannot."""
    place = parent / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        done = 1
    if done:
        pytest.skip("this user cannot mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
