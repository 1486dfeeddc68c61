"""The number of threads that an engine may use, within the CPU quotas that apply to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self")
# Where a container has its quota, also if ``/proc`` does not tell.
_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def available_cpus() -> int:
    """Return how many CPUs this process may use by its affinity and quota, at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        count = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(count, int(quota)) if quota else count)


def default_threads(workers: int = 1) -> int:
    """Return the number of threads for each of ``workers`` processes on this machine."""
    return max(1, available_cpus() // max(1, workers))


def _quota() -> float | None:
    """Return the least CPU quota of this process's control groups, ``None`` without one.

    A quota applies to all groups below its own (cgroups(7), "Control Group v2" of the kernel's
    documentation). systemd sets that of a unit on the unit's group, a container's runtime on one
    that is the root of what the container sees.
    """
    quotas = [_quota_of(folder) for folder in _folders()]
    return min((quota for quota in quotas if quota is not None), default=None)


def _folders() -> Iterator[Path]:
    """Yield the folders of this process's control groups for CPUs, and of all above them."""
    yield _CGROUP_V2.parent if _CGROUP_V2.exists() else _CGROUP_V1
    try:
        memberships = (_PROC / "cgroup").read_text("utf-8", "replace").splitlines()
        mounts = (_PROC / "mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # another system
        return
    paths: dict[str, str] = {}  # the path of this process's group by "" for version 2, or "cpu"
    for line in memberships:
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "?", "")
        if not controllers or "cpu" in controllers.split(","):
            paths["cpu" if controllers else ""] = path
    for line in mounts:
        # Number, parent, device, root, place, options, …, "-", type, source, options (proc(5)).
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup2", "cgroup"):
            continue
        version = "" if kind[0] == "cgroup2" else "cpu"
        if version in paths and (not version or "cpu" in kind[2].split(",")):
            root, place = (_unescaped(field) for field in fields[3:5])
            yield from _below(Path(place), root, paths[version])


def _below(place: Path, root: str, path: str) -> Iterator[Path]:
    """Yield the folder of a group below a mount and those above it, up to the mount's own.

    ``root`` is the group that is mounted at ``place``. In a container, the path of the process
    may be that of the host: then only the mount's own group is known to be its.
    """
    yield place
    group, top = PurePosixPath(path), PurePosixPath(root)
    if ".." in group.parts or not group.is_relative_to(top):
        return
    folder = place
    for part in group.relative_to(top).parts:
        folder /= part
        yield folder


def _unescaped(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def _quota_of(folder: Path) -> float | None:
    """Return the quota of one control group in CPUs, of either version."""
    try:
        if (folder / "cpu.max").exists():
            limit, period = (folder / "cpu.max").read_text("ascii").split()
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text("ascii")
            period = (folder / "cpu.cfs_period_us").read_text("ascii")
        cpus = int(limit) / int(period)  # "max" and -1 are no limit
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return cpus if cpus > 0 else None
