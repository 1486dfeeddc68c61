"""Fixtures of the upstream tests: everything runs on asyncio."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The client is built on asyncio transports."""
    return "asyncio"
