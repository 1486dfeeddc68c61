"""Threads: the affinity of the process and the quota of its container, whichever is less."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from middleware.engines import threads


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight CPUs whose control groups are files of a folder."""
    monkeypatch.setattr(threads, "_CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(threads, "_CGROUP_V1", tmp_path / "cpu")
    monkeypatch.setattr(threads, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (tmp_path / "cpu").mkdir()
    return tmp_path


def version_1(folder: Path, quota: str, period: str = "100000") -> None:
    """Write a quota as version 1 of control groups has it."""
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu" / "cpu.cfs_period_us").write_text(period)


def test_without_a_quota_affinity_counts(cgroup: Path) -> None:
    """No files, no limit, or limits that can't be read leave the affinity."""
    assert threads.available_cpus() == 8
    for text in ("max 100000\n", "", "what 100000", "100000", "200000 0"):
        (cgroup / "cpu.max").write_text(text)
        assert threads.available_cpus() == 8


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("200000 100000", 2), ("350000 100000", 3), ("50000 100000", 1), ("9900000 100000", 8)],
)
def test_version_2(cgroup: Path, quota: str, cpus: int) -> None:
    """The quota is rounded down, to at least one and at most the affinity."""
    (cgroup / "cpu.max").write_text(quota)
    assert threads.available_cpus() == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("400000", "100000", 4), ("-1", "100000", 8), ("50000", "100000", 1), ("1", "0", 8),
     ("x", "1", 8)],
)  # fmt: skip
def test_version_1(cgroup: Path, quota: str, period: str, cpus: int) -> None:
    """Version 1 counts where version 2 has no file."""
    version_1(cgroup, quota, period)
    assert threads.available_cpus() == cpus


def test_version_2_goes_before_version_1(cgroup: Path) -> None:
    """A machine with both is ruled by version 2."""
    version_1(cgroup, "600000")
    (cgroup / "cpu.max").write_text("max 100000")
    assert threads.available_cpus() == 8


def test_workers_share(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers divide the CPUs, and each has one at least; so has a system without affinity."""
    (cgroup / "cpu.max").write_text("600000 100000")
    assert [threads.default_threads(workers) for workers in (1, 2, 4, 7, 0, -3)] == [
        6, 3, 1, 1, 6, 6,
    ]  # fmt: skip
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.available_cpus() == 1
