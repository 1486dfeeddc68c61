"""Loads examples, waits for the model, and runs databases of the system's packages."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CHATTY = "please show me wireless headphones"


def load(name: str) -> ModuleType:
    """Return an example as a new module."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def client(base: str) -> httpx.Client:
    """Return a client for a server that was just started."""
    return httpx.Client(base_url=base, timeout=30, trust_env=False)


def wait_until_ready(asking: httpx.Client) -> None:
    """Wait until ``/readyz`` answers that the model is loaded."""
    until = monotonic() + 60
    while asking.get("/-/querylift/readyz").status_code != 200:
        assert monotonic() < until, "the model was never loaded"
        sleep(0.05)


def rewritten(asking: httpx.Client, target: str) -> httpx.Response:
    """Search until the model is loaded and the rewrite is in time; return the response."""
    until = monotonic() + 60
    while monotonic() < until:
        answer = asking.get(target)
        assert answer.status_code == 200, answer.text
        if answer.headers["query-reformulation"].startswith("rewritten"):
            return answer
        sleep(0.05)
    pytest.fail(f"never rewritten: {answer.headers['query-reformulation']}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run a new database, which listens on a socket in a folder; give its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(programs[-1]) if programs else shutil.which("initdb")
    if found is None:
        pytest.skip("the package postgresql is not installed")
    control = str(Path(found).with_name("pg_ctl"))
    # It does not run as root; its user has to reach the folder.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="querylift-postgres-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data, log = str(folder / "data"), str(folder / "log")

        def run(*command: str) -> None:
            done = subprocess.run(
                command, user=user, cwd=folder, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, done.stdout + done.stderr

        run(found, "-D", data, "--auth=trust", "--username=querylift", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run(control, "-D", data, "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql://querylift@/postgres?host={folder}"
        finally:
            run(control, "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
