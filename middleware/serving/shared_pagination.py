"""The pagination memory that all worker processes of one server share."""

from __future__ import annotations

import json
import mmap
import struct
from hashlib import blake2b

from ..core.pagination import PaginationKey, PaginationMemory, SentQuery

_SLOT = 512  # bytes
_HEAD = struct.Struct("<16sdH")  # checksum, expiry, length


class SharedPaginationMemory(PaginationMemory):
    """A ``PaginationMemory`` in memory that forked processes share.

    Create it before forking. Each key has one slot in a table of ``max_entries``; a later key may
    overwrite it, and then later pages of the earlier search are not rewritten. Which keys share a
    slot, nobody can tell who does not know the processes' random key. A query that does not fit
    into its slot is not kept.

    Concurrency: any thread and process, without a lock. A slot that was written twice at a time,
    or read during a write, fails its checksum and counts as empty.
    """

    def __init__(self, *, max_entries: int = 8192, ttl: float = 900.0) -> None:
        super().__init__(max_entries=max_entries, ttl=ttl)
        self._memory = mmap.mmap(-1, max_entries * _SLOT)

    def note(self, key: PaginationKey, sent: SentQuery | None, now: float) -> None:
        """Store what a first page was sent with; ``None`` for its original text."""
        digest, at = self._slot(key)
        if sent is None:
            if self._read(digest, at, now) is not None:
                self._memory[at : at + _HEAD.size] = bytes(_HEAD.size)
            return
        self._write(digest, at, json.dumps([sent.query, sent.added]).encode("ascii"), now)

    def first(self, key: PaginationKey, now: float) -> SentQuery | None:
        """Return what the first page was sent with, or ``None`` for its original text."""
        digest, at = self._slot(key)
        data = self._read(digest, at, now)
        if data is None:
            return None
        self._write(digest, at, data, now)
        query, added = json.loads(data)
        return SentQuery(query, tuple(added))

    def __len__(self) -> int:
        return 1  # other processes may have stored something

    def _slot(self, key: PaginationKey) -> tuple[bytes, int]:
        digest = self._digest(key)
        return digest, int.from_bytes(digest[:8], "little") % self.max_entries * _SLOT

    def _write(self, digest: bytes, at: int, data: bytes, now: float) -> None:
        if _HEAD.size + len(data) <= _SLOT:
            expiry = now + self.ttl
            head = _HEAD.pack(_checksum(digest, expiry, data), expiry, len(data))
            self._memory[at : at + _HEAD.size + len(data)] = head + data

    def _read(self, digest: bytes, at: int, now: float) -> bytes | None:
        slot = self._memory[at : at + _SLOT]
        checksum, expiry, length = _HEAD.unpack_from(slot)
        data = slot[_HEAD.size : _HEAD.size + length]
        if not expiry > now or checksum != _checksum(digest, expiry, data):
            return None
        return data


def _checksum(digest: bytes, expiry: float, data: bytes) -> bytes:
    return blake2b(struct.pack("<d", expiry) + data, digest_size=16, key=digest).digest()
