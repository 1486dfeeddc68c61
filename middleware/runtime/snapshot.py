"""The memo's snapshot: what it holds, in a file, from one run to the next.

A text file of JSON lines. The first says the format, how many entries follow and the SHA-256
of the bytes after it; each other is one entry. An entry carries the seconds it still has to
live: time that passes while nothing runs is not counted, as only wall time could tell it.
The texts are personal data: only the file's owner may read it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from middleware.core.memo import Memo, MemoKey
from middleware.core.outcome import Mode, Reason
from middleware.core.reformulation import Verdict

__all__ = ["load", "save"]

_FORMAT = "querylift-memo/1"
_LONGEST = 2**30  # bytes; a larger file is none of ours
_REASONS = {reason.value: reason for reason in Reason}

_log = logging.getLogger("middleware.runtime")


def save(file: Path, memo: Memo, *, now: float) -> bool:
    """Write the memo's entries; whole or not at all.

    Returns whether it was written; where not, a warning says why and an older file is kept.
    """
    lines = [
        json.dumps([*key, verdict.rewrite, verdict.reason, round(left, 3)])
        for key, verdict, left in memo.entries(now)
    ]
    body = "".join(f"{line}\n" for line in lines).encode()
    head = {"format": _FORMAT, "entries": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    written = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Beside the file, as only within one file system the renaming is atomic; mode 0600.
        handle, written = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with open(handle, "wb") as stream:
            stream.write(json.dumps(head).encode() + b"\n" + body)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(written, file)
    except OSError as error:
        _log.warning("memo snapshot %s cannot be written: %s", file, error.strerror or error)
        if written:
            Path(written).unlink(missing_ok=True)
        return False
    return True


def load(file: Path, memo: Memo, *, now: float) -> int:
    """Put a snapshot's entries into a memo, and return how many there were.

    Nothing is taken from a file that is damaged, of another format, or no snapshot: a warning
    says so. Entries of another model or policy have other keys, and are never found.
    """
    try:
        if file.stat().st_size > _LONGEST:
            raise ValueError("it is too large")
        head, _, body = file.read_bytes().partition(b"\n")
        entries = list(_entries(head, body))
    except FileNotFoundError:
        return 0  # the first run
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        _log.warning("memo snapshot %s is ignored: %s", file, error)
        return 0
    for key, verdict, left in entries:
        memo.put(key, verdict, now, left=left)
    return len(entries)


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
