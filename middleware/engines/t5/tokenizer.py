"""Text to token ids and back, by SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226).

SentencePiece's own library is used where the model has its file: it is what the model was trained
with. ``tokenizer.json`` describes the same tokenizer for the ``tokenizers`` library.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from ...errors import ModelError
from .architecture import Architecture

_SPECIAL = re.compile(r"<(?:pad|/s|unk|s|extra_id_\d+)>")


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer; owned by one thread.

    ``size`` is the number of its pieces, without tokens added to them.
    """

    size: int

    def encode(self, text: str) -> list[int] | None:
        """Return the text's token ids with the end token, ``None`` if a piece is unknown."""
        ...

    def decode(self, tokens: list[int]) -> str | None:
        """Return the text of token ids, ``None`` if one is unknown or a control token."""
        ...


def open_tokenizer(folder: Path, shape: Architecture) -> Tokenizer:
    """Open ``spiece.model`` of a checkpoint, or its ``tokenizer.json`` if that is missing.

    Errors: ``ModelError`` for files that are not a tokenizer, or that of another model.
    """
    path = folder / "spiece.model"
    try:
        tokenizer: Tokenizer = (
            _SentencePiece(path, shape)
            if path.is_file()
            else _JsonTokenizer(folder / "tokenizer.json", shape)
        )
    except Exception as error:
        raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error
    if tokenizer.size > shape.vocabulary:
        raise ModelError(
            f"model folder {folder}: the tokenizer has {tokenizer.size} pieces and the model "
            f"embeds {shape.vocabulary}; they are not of one checkpoint"
        )
    return tokenizer


class _SentencePiece:
    """The tokenizer of a ``spiece.model``."""

    def __init__(self, path: Path, shape: Architecture) -> None:
        import sentencepiece

        self._processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self._unknown = self._processor.unk_id()
        self._end = shape.end
        self._control = {shape.pad, shape.end, shape.start}
        self.size: int = self._processor.get_piece_size()
        # With byte fallback every text can be encoded, also the spelling of a special token.
        self._bytes = any(self._processor.is_byte(index) for index in range(min(self.size, 300)))

    def encode(self, text: str) -> list[int] | None:
        if not self._bytes and _SPECIAL.search(text):
            return None  # other tokenizers would encode it as a control token
        tokens: list[int] = self._processor.encode(text)
        return None if self._unknown in tokens else [*tokens, self._end]

    def decode(self, tokens: list[int]) -> str | None:
        for token in tokens:
            if token == self._unknown or token in self._control or token >= self.size:
                return None
        text: str = self._processor.decode(tokens)
        return None if "\N{REPLACEMENT CHARACTER}" in text else text.strip()


class _JsonTokenizer:
    """The tokenizer of a ``tokenizer.json``."""

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
