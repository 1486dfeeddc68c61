"""Starting anew in forked children, where threads and held locks did not come along."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["forget_at_fork"]


class _Forgetful(Protocol):
    def forget(self) -> None: ...


def forget_at_fork(thing: _Forgetful) -> None:
    """Have ``thing.forget()`` called in every forked child, without keeping it alive."""
    if not hasattr(os, "register_at_fork"):  # no fork on this system
        return
    reference = weakref.ref(thing)

    def in_child() -> None:
        living = reference()
        if living is not None:
            living.forget()

    os.register_at_fork(after_in_child=in_child)
