"""White space outside of quotations."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Marks that open a quotation -> those that end it. Languages use some in several ways: „so“, “so”,
# ”so”, »so« and «so».
_CLOSERS = {
    '"': '"', "“": "”", "”": "”", "„": "“”‟", "‟": "”", "«": "»", "»": "«»", "‹": "›", "›": "‹›",
    "「": "」", "『": "』", "《": "》", "〈": "〉", "〝": "〞〟", "＂": "＂", "❝": "❞", "❛": "❜",
    "'": "'", "`": "`'", "‘": "’", "’": "’", "‚": "‘’", "‛": "’",
}  # fmt: skip
_APOSTROPHES = frozenset("'`‘’‚‛")
_MARK = re.compile(f"[{''.join(sorted({*_CLOSERS, *''.join(_CLOSERS.values())}))}]")
_BLANKS = re.compile(r"\s+")


def collapsed(text: str, plain: str) -> str:
    """Return the text with each stretch of white space outside of quotations as one blank.

    ``plain`` is the text with all white space collapsed. A quotation without an end reaches to the
    end of the text. A mark behind a digit is an inch, unless a quotation ends there or begins with
    the next character. An apostrophe within or behind a word opens nothing, nor does one that no
    other ends.
    """
    if not _MARK.search(plain):
        return plain
    parts, done = [], 0
    for start, stop in _quotations(text):
        parts += [_BLANKS.sub(" ", text[done:start]), text[start:stop]]
        done = stop
    return "".join([*parts, _BLANKS.sub(" ", text[done:])])


def _quotations(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each outermost quotation, in linear time."""
    marks = [(found.start(), found[0]) for found in _MARK.finditer(text)]
    last = {mark: at for at, mark in marks if mark not in _APOSTROPHES or _may_end(text, at)}
    opener, since, depth = "", 0, 0
    for at, mark in marks:
        if not depth:
            is_ended = any(last.get(closer, -1) > at for closer in _CLOSERS.get(mark, ""))
            if mark in _CLOSERS and _may_open(text, at, mark, is_ended):
                opener, since, depth = mark, at, 1
        elif mark in _CLOSERS[opener]:
            if mark not in _APOSTROPHES or _may_end(text, at):
                depth -= 1
                if not depth:
                    yield since, at + 1
        elif mark == opener:
            depth += 1
    if depth:
        yield since, len(text)


def _may_open(text: str, at: int, mark: str, is_ended: bool) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if mark in _APOSTROPHES:
        return is_ended and not before.isalnum() and not after.isspace()
    return not before.isdigit() or (is_ended and after.isalpha())


def _may_end(text: str, at: int) -> bool:
    return not text[at - 1 : at].isspace() and not text[at + 1 : at + 2].isalnum()
