"""Lines of text files, with their numbers for whoever has to say what is wrong in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError

__all__ = ["numbered"]


def numbered(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that is not blank, after its place as a message tells it.

    A byte order mark is left out. Errors: ``ConfigurationError`` for a file that cannot
    be read or a line that is not UTF-8.
    """
    try:
        # Bytes, as a decoder for the whole file would not say in which line it stopped.
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
