"""The memo's snapshot: what it holds, in a file, from one run to the next.

A text file of JSON lines. The first says the format, how many entries follow and the SHA-256
of the bytes after it; each other is one entry. An entry carries the seconds it still has to
live: time that passes while nothing runs is not counted, as only wall time could tell it.
The texts are personal data: only the file's owner may read it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.memo import Memo, MemoKey
from ..core.outcome import Mode, Reason
from ..core.reformulation import Verdict
from ..engines.files import irregular, read_bounded
from ..errors import ConfigurationError

_FORMAT = "querylift-memo/1"
_LONGEST = 2**30  # bytes; no memo writes a larger file
_LONGEST_HEAD = 1000  # bytes of the first line
_HEAD = b'{"format":'  # how each snapshot starts, of whatever format
_REASONS = {reason.value: reason for reason in Reason}

_log = logging.getLogger("querylift.runtime")


def save(file: Path, memo: Memo, *, now: float) -> bool:
    """Write the memo's entries; whole or not at all.

    Returns whether it was written; where not, a warning says why and an older file is kept, as is
    a device or the like in its place.
    """
    lines = [
        json.dumps([*key, verdict.rewrite, verdict.reason, round(left, 3)])
        for key, verdict, left in memo.entries(now)
    ]
    body = "".join(f"{line}\n" for line in lines).encode()
    head = {"format": _FORMAT, "entries": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    # Beside the file, as only within one file system the renaming is atomic.
    written = file.parent / f".{file.name}.{os.getpid()}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind := _irregular(file):
            raise OSError(errno.EINVAL, f"it is {kind}, and not a file")
        _clear(file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # and through no link of somebody else's
        with open(os.open(written, flags, 0o600), "wb") as stream:
            stream.write(json.dumps(head).encode() + b"\n" + body)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(written, file)
    except OSError as error:
        _log.warning("memo snapshot %s cannot be written: %s", file, error.strerror or error)
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)
        return False
    return True


def _clear(file: Path) -> None:
    """Remove the unfinished files of processes that have ended; a living one may go on writing."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*"):
        number = left.name.rpartition(".")[2]
        if os.name != "posix" or not number.isdigit():  # elsewhere signal 0 does not ask
            continue
        try:
            if int(number) != os.getpid():
                os.kill(int(number), 0)
                continue
        except ProcessLookupError:
            pass
        except (OSError, OverflowError):  # somebody else's
            continue
        left.unlink(missing_ok=True)


def load(file: Path, memo: Memo, *, now: float) -> int:
    """Put a snapshot's entries into a memo, and return how many there were.

    Nothing is taken from a file that is empty, damaged, or of another format: a warning says so,
    and one says that a snapshot cannot be written there. Entries of another model or policy have
    other keys, and are never found.
    Errors: ``ConfigurationError`` for what is no file, such as a FIFO, and never can be, and for
    a file of another kind, which ``save`` would destroy.
    """
    if kind := _irregular(file):
        raise ConfigurationError(f"memo snapshot {file} is {kind}; name a file")
    try:
        _warn_unless_writable(file.parent, file)
        start = _start(file)
        if start and not start.startswith(_HEAD):
            raise ConfigurationError(
                f"memo snapshot {file} holds something else, which would be lost; name another "
                "file, or remove this one"
            )
        if b"\n" not in start:  # before a gigabyte of something else is read
            raise ValueError("it is not whole")
        head, _, body = read_bounded(file, _LONGEST).partition(b"\n")
        entries = list(_entries(head, body))
    except FileNotFoundError:
        return 0  # the first run
    except ConfigurationError:  # a ValueError, too
        raise
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        told = (error.strerror if isinstance(error, OSError) else None) or error
        _log.warning("memo snapshot %s is ignored: %s", file, told)
        return 0
    for key, verdict, left in entries:
        memo.put(key, verdict, now, left=left)
    return len(entries)


def _warn_unless_writable(folder: Path, file: Path) -> None:
    """Tell at the start what otherwise nobody learns before the end, when the memo is lost."""
    fault: object = "its folder cannot be written to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return
    except OSError as error:
        fault = error.strerror or error
    _log.warning("memo snapshot %s cannot be written: %s", file, fault)


def _irregular(file: Path) -> str:
    """Return what lies in place of the snapshot if that is no file, the empty string otherwise."""
    try:
        return irregular(file)
    except OSError:
        return ""


def _start(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_LONGEST_HEAD)


def _entries(head: bytes, body: bytes) -> Iterator[tuple[MemoKey, Verdict, float]]:
    try:
        said: Any = json.loads(head)
    except ValueError:
        said = None
    if not isinstance(said, dict) or "format" not in said:
        raise ValueError("it is no snapshot")
    if said["format"] != _FORMAT:
        raise ValueError(f"its format is {said['format']!r:.40}, and not {_FORMAT!r}")
    if said.get("sha256") != hashlib.sha256(body).hexdigest():
        raise ValueError("it is damaged")
    lines = body.splitlines()
    if said.get("entries") != len(lines):
        raise ValueError("it is not whole")
    for line in lines:
        text, engine, policy, mode, scope, rewrite, reason, left = json.loads(line)
        texts = (text, engine, policy, scope, *(() if rewrite is None else (rewrite,)))
        if not all(isinstance(part, str) for part in texts) or not isinstance(left, int | float):
            raise ValueError("an entry is not right")
        # Both raise for words that this version does not know.
        verdict = Verdict(rewrite, None if reason is None else _REASONS[reason])
        yield MemoKey(text, engine, policy, Mode(mode), scope), verdict, float(left)
