"""Quotas of nested control groups: a systemd unit's, a slice's, a container's, a pod's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from middleware.engines import threads

ROOT = Path(__file__).parents[2]
V2 = "31 23 0:28 {root} {place} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 {root} {place} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
OTHERS = (
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "30 22 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "short\n"
    "33 31 0:30 / /nowhere rw - cgroup cgroup rw,memory\n"
)


class Machine:
    """Eight CPUs, and control groups below a folder with a blank in its name."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "cgroup mount"
        self.proc = folder / "proc"
        self.proc.mkdir()

    def tells(self, membership: str, root: str = "/", *, version: int = 2) -> None:
        """Write what ``/proc/self`` tells."""
        place = str(self.place).replace(" ", r"\040")
        mount = (V2 if version == 2 else V1).format(root=root.replace(" ", r"\040"), place=place)
        (self.proc / "cgroup").write_text(membership)
        (self.proc / "mountinfo").write_text(OTHERS + mount)

    def quota(self, group: str, quota: str) -> None:
        """Give a group below the mount a quota, of version 1 if it starts with its name."""
        folder = self.place / group
        folder.mkdir(parents=True, exist_ok=True)
        if quota.startswith("v1 "):
            limit, period = quota.split()[1:]
            (folder / "cpu.cfs_quota_us").write_text(f"{limit}\n")
            (folder / "cpu.cfs_period_us").write_text(f"{period}\n")
        else:
            (folder / "cpu.max").write_text(f"{quota}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(threads, "_PROC", made.proc)
    monkeypatch.setattr(threads, "_CGROUP_V2", tmp_path / "none" / "cpu.max")
    monkeypatch.setattr(threads, "_CGROUP_V1", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return made


UNIT = "system.slice/querylift.service"


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({UNIT: "200000 100000"}, 2),  # CPUQuota=200%
        ({UNIT: "150000 100000"}, 1),
        ({UNIT: "20000 100000"}, 1),
        ({UNIT: "max 100000"}, 8),
        ({UNIT: "10000000 100000"}, 8),
        ({"system.slice": "300000 100000", UNIT: "max 100000"}, 3),
        ({"system.slice": "300000 100000", UNIT: "500000 100000"}, 3),
        ({"system.slice": "600000 100000", UNIT: "400000 100000"}, 4),
        ({"": "500000 100000", UNIT: "max 100000"}, 5),
        ({"other.slice": "100000 100000", UNIT: "max 100000"}, 8),
        ({f"{UNIT}/below": "100000 100000"}, 8),
        ({"system.slice": "nonsense", UNIT: "600000 100000"}, 6),
        ({"system.slice": "100000", UNIT: "0 100000"}, 8),
        ({"system.slice": "30000 10000", UNIT: "1600000 200000"}, 3),
    ],
)
def test_version_2(machine: Machine, quotas: dict[str, str], cpus: int) -> None:
    """The least quota of the unit's group and all above it; others do not count."""
    machine.tells(f"0::/{UNIT}\n")
    for group, quota in quotas.items():
        machine.quota(group, quota)
    assert threads.available_cpus() == cpus


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({UNIT: "v1 200000 100000"}, 2),
        ({UNIT: "v1 -1 100000"}, 8),
        ({"system.slice": "v1 300000 100000", UNIT: "v1 -1 100000"}, 3),
        ({"": "v1 -1 100000", "system.slice": "v1 500000 100000", UNIT: "v1 400000 100000"}, 4),
        ({UNIT: "v1 200000 0"}, 8),
    ],
)
@pytest.mark.parametrize("names", ["cpu,cpuacct", "cpu", "cpuacct,cpu"])
def test_version_1(machine: Machine, quotas: dict[str, str], cpus: int, names: str) -> None:
    lines = f"12:memory:/else\n7:{names}:/{UNIT}\n3:cpuset:/else\n1:name=systemd:/x:y\n0::/\n"
    machine.tells(lines, version=1)
    for group, quota in quotas.items():
        machine.quota(group, quota)
    assert threads.available_cpus() == cpus


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("membership", "root", "quotas", "cpus"),
    [
        # A container with a namespace of its own: it is the root of what it sees.
        ("/", "/", {"": "200000 100000"}, 2),
        # Without one: the path is that of the host, and the mount is a part of it.
        ("/docker/abc", "/docker/abc", {"": "200000 100000"}, 2),
        ("/kubepods/pod1/abc", "/kubepods/pod1/abc", {"": "400000 100000"}, 4),
        ("/docker/abc/inner/most", "/docker/abc", {"": "max 1", "inner": "300000 100000"}, 3),
        ("/docker/abcdef", "/docker/abc", {"": "300000 100000", "def": "100000 100000"}, 3),
        # A path that leads out of what is mounted, or elsewhere: the mount's own group counts.
        ("/../../other", "/", {"": "300000 100000", "other": "100000 100000"}, 3),
        ("/elsewhere", "/docker/abc", {"": "600000 100000", "elsewhere": "100000 100000"}, 6),
        ("/a b/c", "/a b", {"c": "200000 100000"}, 2),
        ("/a:b/c", "/", {"a:b": "500000 100000", "a:b/c": "max 100000"}, 5),
    ],
)  # fmt: skip
def test_containers(
    machine: Machine, version: int, membership: str, root: str, quotas: dict[str, str], cpus: int
) -> None:
    machine.tells(f"{'0:' if version == 2 else '4:cpu'}:{membership}\n", root, version=version)
    for group, quota in quotas.items():
        if version == 1:
            quota = f"v1 {quota.replace('max', '-1')}"
        machine.quota(group, quota)
    assert threads.available_cpus() == cpus


def test_both_versions_at_once(machine: Machine) -> None:
    """As systemd's hybrid mode: the version that has the controller counts."""
    machine.tells(f"5:cpu,cpuacct:/{UNIT}\n0::/{UNIT}\n", version=1)
    machine.quota(UNIT, "v1 200000 100000")
    with (machine.proc / "mountinfo").open("a") as file:
        file.write(V2.format(root="/", place="/nowhere/unified"))
    assert threads.available_cpus() == 2


@pytest.mark.parametrize("text", ["", "\n", "0\n", "0:\n", "0::\n", "::::\n", "x" * 9999, "\xff"])
def test_what_cannot_be_read_is_no_quota(machine: Machine, text: str) -> None:
    machine.tells("0::/\n")
    for name in ("cgroup", "mountinfo"):
        (machine.proc / name).write_text(text, "latin-1")
        assert threads.available_cpus() == 8
    (machine.proc / "cgroup").unlink()
    assert threads.available_cpus() == 8


@pytest.fixture
def group() -> Iterator[Path]:
    """A real control group with another one in it, if this user may make them."""
    for top in (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")):
        outer = top / f"querylift-test-{os.getpid()}"
        try:
            (outer / "inner").mkdir(parents=True)
        except OSError:
            continue
        try:
            if any((outer / name).exists() for name in ("cpu.max", "cpu.cfs_quota_us")):
                yield outer
                return
        finally:
            for folder in (outer / "inner", outer):
                with suppress(OSError):
                    folder.rmdir()
    pytest.skip("this user cannot make control groups for processors")


@pytest.mark.process
@pytest.mark.parametrize("where", ["", "inner"])
def test_a_real_quota_is_seen(group: Path, where: str) -> None:
    """That of the outer group, by a process in either."""
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text("100000 100000")
    else:
        (group / "cpu.cfs_quota_us").write_text("100000")
    code = (
        "import os, sys\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "os.sched_getaffinity = lambda pid: set(range(8))\n"
        "from middleware.engines.threads import available_cpus\n"
        "print(available_cpus())\n"
    )
    joined = str(group / where / "cgroup.procs")
    command = [sys.executable, "-c", code, joined]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert told.stdout == "1\n", told.stderr
