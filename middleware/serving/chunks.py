"""Follows a chunked body on its way to the parser, which reads what is in it."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]+)[;\s]")
_MAX_LINE = 64  # bytes of a chunk's first line that tell its length


class ChunkLines:
    """Tells how long each chunk is, and takes the meaning from trailers.

    A trailer is no header (RFC 9110, 6.5.1), but the parser closes the connection at a trailer
    ``Connection: close``, and stops at ``Upgrade``. So trailers get other names; they are dropped.

    Concurrency: owned by a connection.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Expect the first chunk of a body."""
        self._line = b""  # the beginning of the line that is read
        self._trailing = False  # whether the last chunk has been read

    def masked(self, piece: bytes) -> bytes:
        """Return a piece of a line as the parser gets it: in trailers, with another name."""
        begins = self._trailing and not self._line and piece[:1] not in (b"\r", b"\n", b" ", b"\t")
        return b"t~" + piece if begins and piece[:1] != b":" else piece

    def length_after(self, piece: bytes) -> int:
        """Return the length of the chunk that follows this piece of a line, 0 if none does."""
        line = self._line + piece
        if line.startswith(b"00"):
            line = b"0" + line.lstrip(b"0")
        self._line = line[:_MAX_LINE]
        if not piece.endswith(b"\n"):
            return 0
        size = None if self._trailing else _SIZE.match(self._line)
        self._line = b""
        if size is None:
            return 0
        length = int(size[1], 16)
        self._trailing = not length
        return length
