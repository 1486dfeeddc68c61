"""Compiled patterns of the package, and texts made of a pattern's own alphabet to attack it."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from types import FrameType, ModuleType
from typing import Any

PARTS = ("core", "policy", "dialects", "http", "upstream", "instrumentation")
MODULES = (
    *("serving.protocol", "serving.exchange", "serving.heads", "serving.chunks"),
    *(
        "asgi",
        "proxy",
        "decorator",
        "runtime.reformulator",
        "engines.spelling_hints",
        "engines.t5.tokenizer",
    ),
)
_METHODS = ("fullmatch", "match", "search", "finditer", "sub")
_CLASSES = {
    sre.CATEGORY_DIGIT: "1",
    sre.CATEGORY_NOT_DIGIT: "a-",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: "a-",
    sre.CATEGORY_WORD: "a_1A",
    sre.CATEGORY_NOT_WORD: "- ",
}
# Characters to try for a negated set, and to end a text such that no pattern matches.
_OTHERS = "a1A_ -.,:/(\"'é=\x00"
_ENDS = ("", " ", "!", "\x00", "é", "\n", "aA1")


def patterns() -> dict[str, tuple[re.Pattern[Any], tuple[str, ...]]]:
    """Return the compiled patterns that requests reach, and the methods by which each is used."""
    root = importlib.import_module("middleware")
    names = [f"{root.__name__}.{name}" for name in MODULES]
    for part in PARTS:
        package = importlib.import_module(f"{root.__name__}.{part}")
        names += [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    found: dict[str, tuple[re.Pattern[Any], tuple[str, ...]]] = {}
    seen: set[int] = set()
    for name in names:
        module = importlib.import_module(name)
        for label, pattern in _within(vars(module), name.partition(".")[2], module, seen):
            found[label] = (pattern, _methods(module, label))
        for label, pattern in _inline(module):
            found[f"{name.partition('.')[2]}.{label}"] = (pattern, _METHODS)
    return found


def _within(
    value: Any, label: str, module: ModuleType, seen: set[int]
) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the patterns in a module, class, object, tuple or dictionary, each once."""
    if isinstance(value, re.Pattern):
        yield label, value
        return
    if isinstance(value, str | bytes | int | float | ModuleType) or id(value) in seen:
        return
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, tuple | list | set | frozenset):
        inside = enumerate(value)
    elif getattr(value, "__module__", None) == module.__name__:
        inside = [(key, getattr(value, key, None)) for key in getattr(value, "__slots__", ())]
        inside += list(getattr(value, "__dict__", {}).items())
        seen.add(id(value))
    for key, inner in inside:
        if not str(key).startswith("__"):
            yield from _within(inner, f"{label}.{key}", module, seen)


def _inline(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the patterns that functions of ``re`` are called with."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=method),
                args=[ast.Constant(value=str() | bytes() as text), *_],
            ) if method != "compile":
                yield f"{method}:{node.lineno}", re.compile(text)


def _methods(module: ModuleType, label: str) -> tuple[str, ...]:
    """Return the methods by which the module uses a pattern; all if that can't be told."""
    name = re.escape(label.rpartition(".")[2])
    source = inspect.getsource(module)
    uses = re.findall(rf"(?<![\w.]){name}\b(?!\s*(?::|=[^=]))(?:\.(\w+))?", source)
    if not uses or "" in uses:
        return _METHODS
    return tuple({m if m in _METHODS else "finditer" for m in uses})


def alphabet(pattern: re.Pattern[Any]) -> list[str]:
    """Return characters and literals of a pattern, and representatives of its classes."""
    text = pattern.pattern.decode("latin-1") if _is_bytes(pattern) else pattern.pattern
    found: dict[str, None] = {}

    def visit(items: Any) -> None:
        literal = ""
        for op, given in items:
            if op is sre.LITERAL:
                literal += chr(given)
                found[chr(given)] = None
                continue
            if len(literal) > 1:
                found[literal] = None
            literal = ""
            if op is sre.NOT_LITERAL:
                found.update(dict.fromkeys(c for c in "a1 " if c != chr(given)))
            elif op is sre.ANY:
                found.update(dict.fromkeys("a "))
            elif op is sre.IN:
                found.update(dict.fromkeys(_members(given)))
            elif op is sre.BRANCH:
                for branch in given[1]:
                    visit(branch)
            else:
                for inner in given if isinstance(given, tuple | list) else (given,):
                    if isinstance(inner, _parser.SubPattern):
                        visit(inner)
        if len(literal) > 1:
            found[literal] = None

    flags = pattern.flags & ~(re.UNICODE if _is_bytes(pattern) else 0)
    visit(_parser.parse(text, flags & ~re.UNICODE))
    return list(found) or ["a"]


def _members(items: Any) -> Iterator[str]:
    if items[0][0] is sre.NEGATE:
        shut = set(_members(items[1:]))
        yield from [char for char in _OTHERS if char not in shut][:3]
        return
    for op, given in items:
        if op is sre.LITERAL:
            yield chr(given)
        elif op is sre.RANGE:
            yield chr(given[0])
        elif op is sre.CATEGORY:
            yield from _CLASSES.get(given, "a")


def attacks(pattern: re.Pattern[Any], *, most: int = 1500) -> list[tuple[str, str, str]]:
    """Return a beginning, a unit to repeat and an end for each text that may attack a pattern."""
    letters = alphabet(pattern)
    units = [*letters, *map("".join, itertools.permutations(letters, 2))]
    triples = map("".join, itertools.permutations(letters[:7], 3))
    units = list(dict.fromkeys([*units, *triples]))
    step = max(1, len(units) // most)
    starts = ("", *[letter for letter in letters if len(letter) > 1][:4])
    return [
        (starts[i % len(starts)] if i % 2 else "", unit, _ENDS[(i // step) % len(_ENDS)])
        for i, unit in enumerate(units)
        if i < len(letters) or i % step == 0
    ]


def variants(pattern: re.Pattern[Any], unit: str) -> list[tuple[str, str, str]]:
    """Return attacks with one unit, each beginning and each end."""
    starts = ("", " ", *alphabet(pattern)[:8])
    return [(start, unit, end) for start in starts for end in _ENDS]


def attack_text(pattern: re.Pattern[Any], attack: tuple[str, str, str], size: int) -> Any:
    """Return a text of ``size`` characters; bytes for a pattern of bytes."""
    start, unit, end = attack
    text = start + (unit * (size // len(unit) + 1))[: max(0, size - len(start) - len(end))] + end
    return text.encode("latin-1", "replace") if _is_bytes(pattern) else text


def seconds(use: Callable[..., Any], *given: Any, limit: float = 0.5) -> float:
    """Return the CPU time of a call in this thread, as on the machine that set the bounds.

    A call beyond ``limit`` is stopped.
    """
    began = time.thread_time()
    with _stopped_after(limit):
        use(*given)
    return (time.thread_time() - began) / slowness()


_REFERENCE = 0.0025  # CPU seconds of ``_work`` on the machine where the bounds were measured
_measured = (float("-inf"), 1.0)


def slowness() -> float:
    """Return how many times slower this machine is now; measured twice a second.

    Processors that are shared or traced for coverage take longer for the same work.
    """
    global _measured
    if time.monotonic() - _measured[0] > 0.5:
        taken = min(_work() for _ in range(2))
        traced = 2.0 if sys.gettrace() is not None else 1.0
        _measured = time.monotonic(), traced * max(1.0, taken / _REFERENCE)
    return _measured[1]


def _work() -> float:
    began = time.thread_time()
    found = {}
    for number in range(20_000):
        found[str(number % 97)] = number
    return time.thread_time() - began


class StoppedError(Exception):
    """A call took more CPU time than it may."""


@contextmanager
def _stopped_after(limit: float) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        yield
    except StoppedError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def used(pattern: re.Pattern[Any], method: str, text: Any) -> None:
    """Use a pattern in one of the ways in which the package does."""
    if method == "finditer":
        for _ in pattern.finditer(text):
            pass
    elif method == "sub":
        pattern.sub(text[:0], text)
    else:
        getattr(pattern, method)(text)


def _is_bytes(pattern: re.Pattern[Any]) -> bool:
    return isinstance(pattern.pattern, bytes)
