"""Resets objects in forked children, which inherit neither threads nor the holders of locks."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Resettable(Protocol):
    def reset_in_child(self) -> None: ...


_registered: weakref.WeakSet[_Resettable] = weakref.WeakSet()


def reset_after_fork(thing: _Resettable) -> None:
    """Call ``thing.reset_in_child()`` in every forked child, as long as the object lives."""
    _registered.add(thing)


def _in_child() -> None:
    for thing in list(_registered):
        thing.reset_in_child()


if hasattr(os, "register_at_fork"):  # missing on systems without fork
    # One hook for all objects, as hooks cannot be removed.
    os.register_at_fork(after_in_child=_in_child)
