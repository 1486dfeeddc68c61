"""No text makes a pattern slow: each is attacked with texts made of its own alphabet."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from middleware import Admission
from middleware.dialects.paths import PathGlobs
from middleware.policy.terms import is_identifier, is_protected
from tests.hostile.attacks import attack_text, attacks, patterns, seconds, used, variants

# A pattern takes at most 0.8 ms of CPU time per kilobyte on a loaded machine. One of quadratic
# time takes 10 ms and more at the longest length, one of exponential time does not end.
PER_KILOBYTE = 0.003
NOISE = 0.004
# Up to and at the bounds of callers: tokens of 64 characters, texts of 512; and beyond them.
SIZES = (16, 20, 24, 28, 32, 48, 63, 64, 65, 512)
LONG = 8192

GLOBS = [
    "/**/_search", "/**/a/**/b/**/c", "/**/*/**/*/**/*/x", "/*a*b*c*d", "/**/*_*_*/**/*.*.*",
    "/a/**", "/**/**/**/**/b", "/*/*/*/*/*", "/**/*a/**/*a/**/*a/**/*a", "/d/select.*",
]  # fmt: skip


@cache
def every_pattern() -> dict[str, tuple[re.Pattern[Any], tuple[str, ...]]]:
    found = patterns()
    for glob in GLOBS:
        match: Any = PathGlobs([glob]).match
        found[f"paths {glob}"] = (match.__self__, ("fullmatch",))
    return found


def slow(pattern: re.Pattern[Any], method: str, text: Any) -> bool:
    """Return whether a use of a pattern takes too long, twice."""
    most = NOISE + PER_KILOBYTE * len(text) / 1024
    return all(seconds(used, pattern, method, text, limit=20 * most) > most for _ in range(2))


@pytest.mark.parametrize("label", sorted(every_pattern()))
def test_patterns_are_linear(label: str) -> None:
    pattern, methods = every_pattern()[label]
    for method in methods:
        timed = []
        for attack in attacks(pattern):
            text = ""
            for size in SIZES:
                text = attack_text(pattern, attack, size)
                assert not slow(pattern, method, text), (method, text)
            timed.append((seconds(used, pattern, method, text), attack[1]))
        worst = sorted(timed, reverse=True)[:4]
        for unit in {unit for _, unit in worst}:
            for variant in variants(pattern, unit):
                text = attack_text(pattern, variant, LONG)
                assert not slow(pattern, method, text), (method, variant)


TOKENS = [
    "_" * 63 + "!", "a_" * 31 + "1!", "1A_" * 21 + " ", "_1_a" * 15 + "é!", "a1_" * 20 + "-!",
    "__1a" * 15 + "/", "a.b_" * 15 + "!", "A1-_" * 15 + "!", "aB" * 31 + "!", "ab1" * 21 + "é",
    "1.2." * 15 + " ", "a::b" * 15 + ":", "0x" + "f1" * 30 + "g", "9-" * 31 + "!", "a@b." * 15,
    "www." * 15 + "\n", "a/" * 31 + "!", "_" * 64, "--a=" * 15 + " ", "un-" * 21 + "!",
]  # fmt: skip
TEXTS = [
    "_" * 100, "a_" * 255, "a(" * 256, "a.b(" * 128, "a_b(" * 128, "[ TO " * 102, "/ /a " * 102,
    "SELECT " * 73, "„ " * 256, "« " * 256, "“ " * 256, '" ' * 256, "! " * 256, "." * 511 + "a",
    "class a(" * 64, "a:" * 256, "\\(" * 256, "+" * 511, "(" * 511 + "a", "a=" * 256,
    "select a,a," * 46, "from a.b." * 56, ";;" * 256, "~1" * 256, "http://" * 73,
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_no_token_is_slow(token: str) -> None:
    assert seconds(is_identifier, token) + seconds(is_protected, token) < 0.005


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_is_slow(text: str) -> None:
    admission = Admission()
    assert seconds(admission.check, text[:512]) < 0.005
