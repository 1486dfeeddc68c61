"""Reads files whose paths people give: whole, bounded, and without waiting for a writer."""

from __future__ import annotations

import errno
import os
import stat

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def irregular(path: str | os.PathLike[str]) -> str:
    """Return what a path leads to if that is no regular file, such as ``a FIFO``; else ``""``.

    Errors: ``OSError``, such as ``FileNotFoundError``.
    """
    mode = os.stat(path).st_mode
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something unknown")


def read_bounded(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Errors: ``OSError``, also for what is no regular file or larger. A FIFO without a writer would
    be waited for without end, and a device such as ``/dev/zero`` has no end.
    """
    if kind := irregular(path):  # before it is opened, which some devices take for an order
        raise OSError(errno.EINVAL, f"it is {kind}, and not a file")
    with open(path, "rb", opener=lambda name, _: os.open(name, _FLAGS)) as file:
        # Not by its size alone: files of the kernel and of some file systems tell another one.
        content = file.read(limit + 1)
    if content is None:
        raise OSError(errno.EAGAIN, "it has no content that could be read now")
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit / 2**20:g} MiB, and is not read")
    return content


def read_text_bounded(path: str | os.PathLike[str], limit: int) -> str:
    """Return the text of a file in UTF-8; see ``read_bounded``. Errors: ``UnicodeDecodeError``."""
    return read_bounded(path, limit).decode("utf-8")
