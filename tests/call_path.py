"""Record which functions of the package a piece of work calls, in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import middleware

_ROOT = Path(middleware.__file__).parent


@dataclass
class CallPath:
    """The calls that ``recorded`` saw: pairs of module and qualified name.

    A call of a generator or coroutine counts once, however often it is resumed.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def functions(self) -> list[tuple[str, str]]:
        """Each function once, in the order of its first call."""
        return list(dict.fromkeys(self.calls))

    def table(self) -> str:
        """Return the functions as lines of ``number, module, function``."""
        return "\n".join(
            f"{number:2} {module:28} {name}"
            for number, (module, name) in enumerate(self.functions, 1)
        )


@contextmanager
def recorded(until: str) -> Iterator[CallPath]:
    """Record the calls on this thread, up to and including the first of the function ``until``.

    ``until`` is a qualified name such as ``Connection.ask``. Functions that the standard library
    generates (``__init__`` of a dataclass) and comprehensions are not counted.
    """
    path = CallPath()
    seen: set[FrameType] = set()  # holds the frames, so that no other one gets their identity

    def record(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or frame in seen or code.co_name.endswith("comp>"):
            return
        file = Path(code.co_filename)
        if not file.is_relative_to(_ROOT):
            return
        seen.add(frame)
        module = ".".join(file.relative_to(_ROOT).with_suffix("").parts)
        path.calls.append((module, code.co_qualname))
        if code.co_qualname == until:
            sys.setprofile(None)

    sys.setprofile(record)
    try:
        yield path
    finally:
        sys.setprofile(None)
