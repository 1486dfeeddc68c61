"""Read text files line by line, with line numbers for error messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError

__all__ = ["numbered_lines"]


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ("FILE, line N", text) for each line that is not blank, without a byte order mark.

    Errors: ``ConfigurationError`` for an unreadable file or a line that is not UTF-8.
    """
    try:
        # Bytes, as a decoder for the whole file could not name the bad line.
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = f"{path}, line {number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise ConfigurationError(f"{place}: not UTF-8 ({error.reason})") from error
                if text.strip():
                    yield place, text.rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(
            f"collection: {path} cannot be read: {error.strerror or error}"
        ) from error
