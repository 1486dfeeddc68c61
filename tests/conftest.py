"""What all tests share: the event loop, the markers by folder, and the fast tests' rules."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import middleware  # noqa: F401  # before any test: then ``import querylift`` gives this checkout

ROOT = Path(__file__).parent
MARKERS = {
    "clients": "net",
    "core/test_bounded_tables.py": "slow",
    "demo/test_browser.py": "browser",
    "demo/test_narrow.py": "browser",
    "demo/test_run.py": "process",
    "dialects/test_field_reading.py": "net",
    "dialects/test_field_schemas.py": "net",
    "dialects/test_groonga_reads.py": "process",
    "dialects/test_one_text.py": "net",
    "dialects/test_one_text_apis.py": "net",
    "dialects/test_related.py": "net",
    "differential": "process",
    "engines/t5": "model",
    "engines/test_connectivity.py": "net",
    "engines/test_hub_revision.py": "net",
    "engines/test_process.py": "process",
    "engines/test_shared_process.py": "process",
    "engines/test_transformers.py": "model",
    "engines/test_trust.py": "process",
    "faults": "process",
    "fuzz": "net",
    "hostile": "net",
    "lab": "model",
    "project/test_cli.py": "process",
    "project/test_examples.py": "process",
    "project/test_shim.py": "process",
    "project/test_terminal.py": "process",
    "runtime/test_cleanup.py": "slow",
    "runtime/test_forking.py": "process",
    "servers": "process",
    "serving": "process",
    "upstream": "net",
    "ways/test_event_loop.py": "model",
    "ways/test_leaving.py": "net",
    "ways/test_no_text.py": "net",
    "ways/test_proxy.py": "net",
    "ways/test_proxy_answers.py": "net",
    "ways/test_proxy_decisions.py": "net",
    "ways/test_proxy_live.py": "net",
    "ways/test_standing.py": "net",
}
"""Folder or file below ``tests`` -> the marker of all tests in it; what is not here is fast.

A single test that starts a process or the like in another folder has its marker itself.
"""
HEAVY = ("torch", "transformers", "scipy")
"""What no fast test may import: they run where these are not installed."""

FAST_EXAMPLES = 5
settings.register_profile("fast", max_examples=FAST_EXAMPLES, deadline=None)


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the only event loop that the package drives."""
    return "asyncio"


def marker_of(path: Path) -> str | None:
    """Return the marker that the tests of a file or folder have, or ``None``."""
    inside = path.relative_to(ROOT)
    return next(
        (
            MARKERS[each.as_posix()]
            for each in (inside, *inside.parents)
            if each.as_posix() in MARKERS
        ),
        None,
    )


def at_most(examples: int) -> int:
    """Return how many examples a property tries: so many, and fewer in the fast tests."""
    return FAST_EXAMPLES if settings().max_examples == FAST_EXAMPLES else examples


def only_fast(config: pytest.Config) -> bool:
    """Tell whether the fast tests are asked for, with ``-m fast``."""
    return bool(config.option.markexpr == "fast")


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property in the fast tests."""
    moved = [path for path in MARKERS if not (ROOT / path).exists()]
    if moved:
        raise pytest.UsageError(f"tests/conftest.py: {', '.join(moved)} of MARKERS is not there")
    if only_fast(config):
        settings.load_profile("fast")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out folders without fast tests, whose imports take seconds."""
    if only_fast(config) and collection_path.is_relative_to(ROOT) and marker_of(collection_path):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its folder's marker, and ``fast`` to those that have none."""
    for item in items:
        marker = marker_of(item.path)
        if marker is not None:
            item.add_marker(marker)
        if not {mark.name for mark in item.iter_markers()}.intersection(
            ("net", "process", "model", "browser", "slow")
        ):
            item.add_marker("fast")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of the fast tests that has imported a heavy library."""
    found = [name for name in HEAVY if name in sys.modules]
    if only_fast(session.config) and found and not session.exitstatus:
        print(f"\nfast tests imported {', '.join(found)}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """Let child processes hear SIGHUP, although the tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
