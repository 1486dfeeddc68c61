"""What first pages were sent with, for all worker processes of one server."""

from __future__ import annotations

import json
import mmap
import struct
from hashlib import blake2b

from ..core.pagination import PaginationKey, PaginationMemory, Sent

__all__ = ["SharedPaginationMemory"]

_SLOT = 512  # bytes
_HEAD = struct.Struct("<16sdH")  # check, until, length


class SharedPaginationMemory(PaginationMemory):
    """The same as ``PaginationMemory`` in memory that forked processes share.

    Make it before forking. Each key has one place in a table of ``max_entries``; who comes later
    takes it, which costs the earlier one's later pages their rewrite and nothing else. A query
    that does not fit its place is not kept.

    Concurrency: no lock, in any thread and process. What two wrote at once, or was read in
    the middle of a write, fails its check and is as good as not there.
    """

    def __init__(self, *, max_entries: int = 8192, ttl: float = 900.0) -> None:
        super().__init__(max_entries=max_entries, ttl=ttl)
        self._memory = mmap.mmap(-1, max_entries * _SLOT)

    def note(self, key: PaginationKey, sent: Sent | None, now: float) -> None:
        """Take note of what a first page was sent with; ``None`` for its own text."""
        digest, at = self._place(key)
        if sent is None:
            if self._read(digest, at, now) is not None:
                self._memory[at : at + _HEAD.size] = bytes(_HEAD.size)
            return
        self._write(digest, at, json.dumps([sent.query, sent.added]).encode("ascii"), now)

    def first(self, key: PaginationKey, now: float) -> Sent | None:
        """Return what the first page was sent with, or ``None`` where that is its own text."""
        digest, at = self._place(key)
        data = self._read(digest, at, now)
        if data is None:
            return None
        self._write(digest, at, data, now)
        query, added = json.loads(data)
        return Sent(query, tuple(added))

    def __len__(self) -> int:
        return 1  # others may have noted something

    def _place(self, key: PaginationKey) -> tuple[bytes, int]:
        digest = blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return digest, int.from_bytes(digest[:8], "little") % self.max_entries * _SLOT

    def _write(self, digest: bytes, at: int, data: bytes, now: float) -> None:
        if _HEAD.size + len(data) <= _SLOT:
            until = now + self.ttl
            head = _HEAD.pack(_check(digest, until, data), until, len(data))
            self._memory[at : at + _HEAD.size + len(data)] = head + data

    def _read(self, digest: bytes, at: int, now: float) -> bytes | None:
        slot = self._memory[at : at + _SLOT]
        check, until, length = _HEAD.unpack_from(slot)
        data = slot[_HEAD.size : _HEAD.size + length]
        if not until > now or check != _check(digest, until, data):
            return None
        return data


def _check(digest: bytes, until: float, data: bytes) -> bytes:
    return blake2b(struct.pack("<d", until) + data, digest_size=16, key=digest).digest()
