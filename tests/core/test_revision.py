"""Revisions: what changes one, and what does not."""

from __future__ import annotations

import re
import textwrap
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

import pytest

from middleware.core.revision import code_revision, revision_of

SOURCE = """
import re
from enum import Enum
from functools import lru_cache

WORDS = frozenset("red green blue".split())
FACTORS = {"a": 1.5, "b": [1, 2]}
SHAPE = re.compile("a+", re.IGNORECASE)
UNUSED = 1

class Color(Enum):
    RED = "red"

def inner(word, least=3):
    "Say something."
    return word in WORDS and len(word) > least and Color.RED

@lru_cache
def cached(word):
    return inner(word) or SHAPE.match(word)

class Decider:
    limit = 5

    def __init__(self, size):
        self.size = size

    @property
    def weight(self):
        return FACTORS["a"]

    def decide(self, words):
        # Ask of each.
        return any(cached(word) for word in words if word not in {"x", "y", "z"})
"""


def decider(source: str = SOURCE, package: str = "shop") -> Any:
    """Return a ``Decider`` of size 1, made from source text."""
    module = ModuleType(f"{package}.rules")
    exec(compile(source, "rules.py", "exec"), vars(module))
    return module.Decider(1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("green", "yellow"),
        ("1.5", "1.6"),
        ("[1, 2]", "[2, 1]"),
        ('"a+"', '"a*"'),
        ("re.IGNORECASE", "re.ASCII"),
        ('RED = "red"', 'RED = "RED"'),
        ("least=3", "least=4"),
        ("len(word) >", "len(word) <"),
        ('FACTORS["a"]', 'FACTORS["b"]'),
        ("limit = 5", "limit = 6"),
        ('"y"', '"w"'),
        ("any(", "all("),
        (".match(", ".search("),
    ],
)
def test_changes_of_code_and_constants(old: str, new: str) -> None:
    """Whatever a decision leads to, through other functions, decorators and properties."""
    assert SOURCE.count(old) == 1
    assert revision_of(decider(SOURCE.replace(old, new))) != revision_of(decider())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Say something.", "Say it otherwise."),
        ("# Ask of each.", "# Ask of every one.\n"),
        ("red green blue", "blue red green"),
        ('{"a": 1.5, "b": [1, 2]}', '{"b": [1, 2], "a": 1.5}'),
        ("UNUSED = 1", "UNUSED = 2"),
    ],
)
def test_what_changes_no_decision(old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert revision_of(decider(SOURCE.replace(old, new))) == revision_of(decider())


def test_the_name_of_the_package_does_not_count() -> None:
    """The same files may be imported under two names."""
    assert revision_of(decider(package="store")) == revision_of(decider())


def test_attributes_count() -> None:
    small, large = decider(), decider()
    large.size = 2
    assert revision_of(small) != revision_of(large)
    large.size, large.revision = 1, "own"
    assert revision_of(small) == revision_of(large)


def test_subclasses_count() -> None:
    """A user's own class is another decider, and so is the same one with another method."""

    def made(constant: str) -> str:
        names: dict[str, Any] = {"__name__": "own.rules", "Base": type(decider())}
        source = f"""
            class Own(Base):
                def decide(self, words):
                    return {constant!r} in words or super().decide(words)
        """
        exec(textwrap.dedent(source), names)
        return revision_of(names["Own"](1))

    assert len({made("red"), made("blue"), revision_of(decider())}) == 3
    assert made("red") == made("red")


def test_a_function_has_a_revision() -> None:
    @lru_cache
    def one() -> re.Pattern[str]:
        return re.compile("a")

    inner = one.__wrapped__
    assert isinstance(inner, FunctionType)
    assert code_revision(inner) == code_revision(inner)
    assert re.fullmatch("[0-9a-f]{16}", code_revision(inner))
