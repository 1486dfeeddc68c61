"""The same cases through ``querylift serve`` and through nginx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.running import serving

from .cases import Case
from .compare import lines_of
from .running import nginx
from .wire import Upstream, talk, upstream

__all__ = ["Both", "run_both"]

_PLAIN = Case(())


@dataclass(frozen=True)
class Both:
    """What a case came to with each."""

    case: Case
    ours: list[str]
    nginx: list[str]


def run_both(program: str, cases: Iterable[Case], folder: Path) -> list[Both]:
    """Send the cases through each, one after the other, each to an upstream of its own.

    ``program`` is nginx, and ``folder`` an empty one for its files.
    """
    cases = list(cases)
    with (
        upstream() as first,
        upstream() as second,
        _ours(first, folder) as own,
        nginx(program, second.port, folder) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        ours = pool.submit(_run, cases, own, first)
        theirs = pool.submit(_run, cases, other, second)
        found = zip(cases, ours.result(), theirs.result(), strict=True)
        return [Both(*each) for each in found]


@contextmanager
def _ours(behind: Upstream, folder: Path) -> Iterator[int]:
    model = folder / "model"
    model.write_text("well", "utf-8")
    options = ["--engine", "faulty", "--model", str(model), "--mode", "off"]
    with serving(f"http://127.0.0.1:{behind.port}", *options) as served:
        yield served.port


def _run(cases: list[Case], port: int, behind: Upstream) -> list[list[str]]:
    found = []
    for case in cases:
        # So that each case begins with one kept-alive connection to the upstream, or none.
        talk(port, _PLAIN)
        behind.plan = case.plan
        try:
            received = talk(port, case)
        except TimeoutError:
            behind.settled()
            found.append(["hangs"])
        else:
            found.append(lines_of(case, behind.settled(), received))
    return found
