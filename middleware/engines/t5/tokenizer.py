"""Text to token ids and back, by SentencePiece itself (Kudo and Richardson 2018)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from ...errors import ModelError
from .architecture import Architecture

__all__ = ["Tokenizer", "open_tokenizer"]

_SPECIAL = re.compile(r"<(?:pad|/s|unk|s|extra_id_\d+)>")


class Tokenizer(Protocol):
    """What the engine asks of a tokenizer; owned by one thread."""

    size: int

    def encode(self, text: str) -> list[int] | None:
        """Return the text's tokens with the end token, ``None`` where one is unknown."""
        ...

    def decode(self, tokens: list[int]) -> str | None:
        """Return the text of ``tokens``, ``None`` where one is no text."""
        ...


def open_tokenizer(folder: Path, shape: Architecture) -> Tokenizer:
    """Open ``spiece.model`` of a checkpoint, or ``tokenizer.json`` where that is missing.

    Errors: ``ModelError`` for files that are no tokenizer, or of another model.
    """
    path = folder / "spiece.model"
    try:
        tokenizer: Tokenizer = (
            _Pieces(path, shape) if path.is_file() else _Json(folder / "tokenizer.json", shape)
        )
    except Exception as error:
        raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error
    if tokenizer.size > shape.vocabulary:
        raise ModelError(
            f"model folder {folder}: the tokenizer has {tokenizer.size} pieces and the model "
            f"embeds {shape.vocabulary}; they are not of one checkpoint"
        )
    return tokenizer


class _Pieces:
    def __init__(self, path: Path, shape: Architecture) -> None:
        import sentencepiece

        self._processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self._unknown = self._processor.unk_id()
        self._end = shape.end
        self._control = {shape.pad, shape.end, shape.start}
        self.size: int = self._processor.get_piece_size()
        # With byte fallback every text has pieces, also one that spells a special token.
        self._bytes = any(self._processor.is_byte(index) for index in range(min(self.size, 300)))

    def encode(self, text: str) -> list[int] | None:
        if not self._bytes and _SPECIAL.search(text):
            return None  # other tokenizers would make a control token of it
        tokens: list[int] = self._processor.encode(text)
        return None if self._unknown in tokens else [*tokens, self._end]

    def decode(self, tokens: list[int]) -> str | None:
        for token in tokens:
            if token == self._unknown or token in self._control or token >= self.size:
                return None
        text: str = self._processor.decode(tokens)
        return None if "\N{REPLACEMENT CHARACTER}" in text else text.strip()


class _Json:
    def __init__(self, path: Path, shape: Architecture) -> None:
        from tokenizers import Tokenizer as Fast

        self._fast: Any = Fast.from_file(str(path))
        self._fast.no_truncation()
        self._fast.no_padding()
        unknown = self._fast.token_to_id("<unk>")
        self._unknown = -1 if unknown is None else unknown
        self._end = shape.end
        added = self._fast.get_added_tokens_decoder().items()
        special = {token for token, piece in added if piece.special}
        self._control = {shape.pad, shape.end, shape.start} | special
        self.size: int = self._fast.get_vocab_size(with_added_tokens=False)

    def encode(self, text: str) -> list[int] | None:
        if _SPECIAL.search(text):
            return None
        tokens: list[int] = self._fast.encode(text, add_special_tokens=False).ids
        return None if self._unknown in tokens else [*tokens, self._end]

    def decode(self, tokens: list[int]) -> str | None:
        for token in tokens:
            if token == self._unknown or token in self._control or token >= self.size:
                return None
        text: str = self._fast.decode(tokens, skip_special_tokens=True)
        return None if "\N{REPLACEMENT CHARACTER}" in text else text.strip()
