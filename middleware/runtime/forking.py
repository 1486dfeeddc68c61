"""Starting anew in forked children, where threads and held locks did not come along."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["forget_at_fork"]


class _Forgetful(Protocol):
    def forget(self) -> None: ...


_known: weakref.WeakSet[_Forgetful] = weakref.WeakSet()


def forget_at_fork(thing: _Forgetful) -> None:
    """Have ``thing.forget()`` called in every forked child, without keeping it alive."""
    _known.add(thing)


def _in_child() -> None:
    for thing in list(_known):
        thing.forget()


if hasattr(os, "register_at_fork"):  # not on systems without fork
    # Once for all of them: what is registered can never be taken back.
    os.register_at_fork(after_in_child=_in_child)
