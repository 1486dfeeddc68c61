"""Texts for a terminal, which must not obey what a query, a path or a file's content holds."""

from __future__ import annotations

import unicodedata


def printable(text: object, *, keep: str = "") -> str:
    r"""Return a text with a backslash escape for each character that is not printed.

    Such are control characters, which a terminal obeys (ECMA-48), those that turn the direction of
    writing, surrogates, and others that cannot be seen. Blanks of every width stay, and so do the
    characters of ``keep``.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        char
        if char.isprintable() or char in keep or unicodedata.category(char) == "Zs"
        else char.encode("unicode_escape").decode("ascii")
        for char in shown
    )
