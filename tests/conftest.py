"""What all tests share."""

from __future__ import annotations

import pytest

import middleware  # noqa: F401  # before any test: then ``import querylift`` gives this checkout


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the only event loop that the package drives."""
    return "asyncio"
