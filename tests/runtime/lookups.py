"""Queries that nothing in admission or acceptance minds, and asking on a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import islice, product
from typing import Any

from middleware import Reformulation
from middleware.testing import ManualClock

Asked = Coroutine[Any, Any, Reformulation]

_KINDS = (
    "red green blue small large heavy light quiet strong cheap modern wooden round folding "
    "soft warm dark bright narrow simple"
).split()
_THINGS = "garden kitchen bicycle window table chair mirror blanket pillow basket".split()


def distinct(count: int, behind: str = "lamp") -> list[str]:
    """Return different three-word queries, at most 200 of them."""
    found = [f"{kind} {thing} {behind}" for kind, thing in islice(product(_KINDS, _THINGS), count)]
    assert len(set(found)) == count
    return found


async def answered(clock: ManualClock, seconds: float, asked: Asked) -> Reformulation:
    """Return the answer to a call that has one after these seconds; no moment sooner is tried."""
    task = asyncio.ensure_future(asked)
    await clock.advance(seconds)
    assert task.done()
    return task.result()
