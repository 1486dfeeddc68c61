"""Several processes that serve, with one engine process between them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from .running import Served, fresh, serving, until

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/unix").exists(), reason="a system that does not list its sockets"
)


@pytest.fixture
def place() -> Iterator[str]:
    """The path of a socket, short enough for one."""
    with TemporaryDirectory(prefix="ql-") as folder:
        yield f"{folder}/engine"


def hosts(place: str) -> set[int]:
    """Return the processes that listen at a socket: their own files tell which one it is."""
    inodes = set()
    for row in Path("/proc/net/unix").read_text("ascii").splitlines()[1:]:
        cells = row.split()
        if cells[-1] == place and cells[3] == "00010000":
            inodes.add(f"socket:[{cells[6]}]")
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = {os.readlink(file) for file in (process / "fd").iterdir()}
        except OSError:
            continue
        if files & inodes:
            found.add(int(process.name))
    return found


def rewrites(served: Served) -> bool:
    return served.search()[0] == "rewritten"


def test_several_share_an_engine(upstream: str, behaviour: Path, place: str) -> None:
    options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
    variables = {"QUERYLIFT_ENGINE_SOCKET": place}
    with ExitStack() as stack:
        served = [stack.enter_context(serving(upstream, *options, **variables)) for _ in range(3)]
        for each in served:
            until(partial(rewrites, each))
        (first,) = hosts(place)

        # It dies: originals flow, and one of them starts another.
        os.kill(first, signal.SIGKILL)
        for each in served:
            until(partial(rewrites, each))
        (second,) = hosts(place)
        assert second != first

        # Who started it leaves, and the others go on.
        for each in served[:2]:
            each.stop()
            each.process.wait(10)
        assert served[2].search()[2]
        until(partial(rewrites, served[2]))
        assert hosts(place) == {second}
    until(lambda: not hosts(place), 30)


def test_workers_share_an_engine(upstream: str, behaviour: Path) -> None:
    """In a place of their own, of which nothing is left at the end."""
    options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
    with TemporaryDirectory(prefix="ql-") as folder:
        with serving(upstream, *options, QUERYLIFT_WORKERS="3", TMPDIR=folder) as served:
            until(partial(rewrites, served))
            (made,) = Path(folder).glob("querylift-*")
            place = str(made / "engine")
            assert len(hosts(place)) == 1
            base = served.admin.base_url
            for number in range(3):
                told = httpx.get(base.copy_with(port=(base.port or 0) + number).join("/readyz"))
                assert told.status_code in (200, 503)
            for _ in range(30):  # whichever of them has the connection
                with httpx.Client(base_url=served.client.base_url, trust_env=False) as client:
                    until(partial(lifted, client))
            (host,) = hosts(place)
            served.stop()
            served.process.wait(20)
        assert not made.exists()
        until(lambda: not Path(f"/proc/{host}").exists(), 30)


def lifted(client: httpx.Client) -> bool:
    answer = client.get("/search", params={"q": fresh()})
    assert answer.status_code == 200
    return bool(answer.json()["query"].startswith("lifted"))
