"""Follows a chunked body on its way to the parser, which reads what is in it."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]+)[;\s]")
_MAX_LINE = 64  # bytes of a chunk's first line that tell its length
_SIZE_END = re.compile(rb"[ \t;].*", re.DOTALL)
_BLANKS = b" \t"


class ChunkLines:
    """Tells how long each chunk is, and takes the meaning from trailers.

    A trailer is no header (RFC 9110, 6.5.1), but the parser closes the connection at a trailer
    ``Connection: close``, and stops at ``Upgrade``. So trailers get other names; they are dropped.
    Blanks around a chunk's extensions, which say nothing, have to be taken (RFC 9112, 7.1.1), and
    the parser refuses them. So it does not get them.

    Concurrency: owned by a connection.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Expect the first chunk of a body."""
        self._line = b""  # the beginning of the line that is read
        self._trailing = False  # whether the last chunk has been read
        self._behind_size = self._extension = False  # which part of a chunk's line is read

    def masked(self, piece: bytes) -> bytes:
        """Return a piece of a line as the parser gets it, which may be nothing."""
        if not self._trailing:
            return self._without_blanks(piece)
        begins = self._trailing and not self._line and piece[:1] not in (b"\r", b"\n", b" ", b"\t")
        return b"t~" + piece if begins and piece[:1] != b":" else piece

    def _without_blanks(self, piece: bytes) -> bytes:
        size = b""
        if not (self._behind_size or self._extension):
            end = _SIZE_END.search(piece)
            size, piece = (piece, b"") if end is None else (piece[: end.start()], end[0])
            self._behind_size = bool(piece)
        if self._behind_size and (rest := piece.lstrip(_BLANKS)):
            # Blanks with nothing behind them belong to no extension, and are refused.
            piece = rest if rest.startswith(b";") else b" " + rest
            self._behind_size, self._extension = False, True
            return size + piece[:1] + piece[1:].translate(None, _BLANKS)
        if self._behind_size or self._extension:
            piece = piece.translate(None, _BLANKS)
        return size + piece

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
        self._behind_size = self._extension = False
        if size is None:
            return 0
        length = int(size[1], 16)
        self._trailing = not length
        return length
