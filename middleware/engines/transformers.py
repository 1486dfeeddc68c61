"""The reference engine: the ``transformers`` library's own greedy ``generate`` on the CPU.

Slow but plain; other engines are held against it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.outcome import Reason
from ..errors import ConfigurationError, EngineError, ModelError
from .base import Answer, Refusal
from .checkpoint import locate
from .hints import Lexicon, encoded, fingerprint, own_words
from .loops import loop_end
from .threads import default_threads

__all__ = ["TransformersEngine"]

# Parameters below which threads wait for each other longer than they work: 4.6 million take
# 25 ms with one thread and 28 ms with two, and far longer where the second is kept waiting.
_ONE_THREAD = 20_000_000


class TransformersEngine:
    """Any T5 of a folder or of the hub, run greedily in 32-bit floats.

    ``prefix`` is put before each text, as some checkpoints were trained with one. A text
    of more than ``max_input_tokens`` is refused; ``max_new_tokens`` bounds the answer,
    and one that has no end by then is ``None``. ``threads`` defaults to the CPU quota,
    and to 1 for small models. ``words`` is a text file of words that are spelled right, for a
    model that takes hints.

    Concurrency: owned by one thread, the one that calls ``load``.
    Errors: ``ModelError`` from the constructor for files that cannot be a T5, and
    from ``load`` for those that turn out not to be.
    """

    name = "transformers"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        prefix: str = "",
        max_input_tokens: int = 128,
        max_new_tokens: int = 128,
        threads: int | None = None,
        words: str | os.PathLike[str] | None = None,
    ) -> None:
        for option, value in (
            ("max_input_tokens", max_input_tokens),
            ("max_new_tokens", max_new_tokens),
            ("threads", 1 if threads is None else threads),
        ):
            if value < 1:
                raise ConfigurationError(f"engine: {option} ({value}) must be at least 1")
        self._checkpoint = locate(model)
        self._prefix = prefix
        self._max_input = max_input_tokens
        self._max_new = max_new_tokens
        self._threads = threads
        self._model: Any = None
        self._tokenizer: Any = None
        self._own = [] if words is None else own_words(words)
        self.revision = ":".join(
            map(str, (self._checkpoint.revision, max_input_tokens, max_new_tokens, prefix,
                      fingerprint(self._own)))
        )  # fmt: skip
        self._lexicon: Lexicon | None = None

    def load(self) -> None:
        """Load the tokenizer and weights and run one text; seconds, on the calling thread."""
        folder = str(self._checkpoint.fetch())
        try:
            import torch
            from transformers import AutoTokenizer, T5ForConditionalGeneration
            from transformers.utils import logging

            logging.disable_progress_bar()  # it would draw over the server's own output
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: Any = T5ForConditionalGeneration.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
            model, report = loaded
            model.eval()
            small = model.num_parameters() < _ONE_THREAD
            torch.set_num_threads(self._threads or (1 if small else default_threads()))
        except Exception as error:
            raise ModelError(f"model folder {folder} cannot be loaded: {error}") from error
        rows = model.get_input_embeddings().weight.shape[0]
        if len(tokenizer) > rows:
            raise ModelError(
                f"model folder {folder}: the tokenizer has {len(tokenizer)} pieces and the model "
                f"embeds {rows}; they are not of one checkpoint"
            )
        missing = sorted(map(str, report["missing_keys"]))
        if missing:  # the library would go on with random numbers in their place
            raise ModelError(
                f"model folder {folder}: the weights lack {len(missing)} of the model's tensors, "
                f"{missing[0]} for one; they are not of one checkpoint"
            )
        broken = next((n for n, p in model.named_parameters() if not p.isfinite().all()), None)
        if broken is not None:
            raise ModelError(f"model folder {folder}: {broken} holds numbers that are not finite")
        model.generation_config.update(
            max_new_tokens=None, max_length=None, num_beams=1, do_sample=False
        )
        self._tokenizer, self._model = tokenizer, model
        self._lexicon = Lexicon.of(Path(folder), self._own)
        self.generate(["warm up"], lambda index: False)

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return greedy rewrites; see ``Engine``."""
        if self._model is None:
            raise EngineError("the engine was not loaded")
        answers: list[Answer] = [None] * len(texts)
        rows: list[int] = []
        inputs: list[list[int]] = []
        for index, text in enumerate(texts):
            ids = self._encode(text)
            if self._tokenizer.unk_token_id in ids:
                answers[index] = Refusal(Reason.UNENCODABLE)
            elif len(ids) > self._max_input:
                answers[index] = Refusal(Reason.TOO_LONG)
            else:
                rows.append(index)
                inputs.append(ids)
        if rows:
            for index, answer in zip(rows, self._decode(inputs, rows, cancelled), strict=True):
                answers[index] = answer
                if self._lexicon is not None and isinstance(answer, str):
                    answers[index] = self._lexicon.restored(texts[index], answer)
        return answers

    def _encode(self, text: str) -> list[int]:
        return encoded(text, self._lexicon, self._pieces, self._max_input)

    def _pieces(self, text: str) -> list[int]:
        # One piece more than is taken tells that a text is too long; the rest isn't needed.
        pieces = self._tokenizer(
            self._prefix + text, truncation=True, max_length=self._max_input + 1
        )
        return list(pieces["input_ids"])

    def _decode(
        self, encoded: list[list[int]], rows: list[int], cancelled: Callable[[int], bool]
    ) -> list[Answer]:
        import torch

        width = max(map(len, encoded))
        pad = self._model.config.pad_token_id
        inputs = torch.tensor([ids + [pad] * (width - len(ids)) for ids in encoded])
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in encoded])

        # A text's own length bounds its answer: with others in the batch it is the same.
        limits = [min(self._max_new, 2 * len(ids) + 16) for ids in encoded]

        def stop(input_ids: Any, scores: Any, **_: Any) -> Any:
            made = input_ids.shape[1] - 1
            pairs = zip(rows, limits, strict=True)
            return torch.tensor([made >= limit or cancelled(index) for index, limit in pairs])

        with torch.inference_mode():
            output = self._model.generate(
                input_ids=inputs,
                attention_mask=mask,
                max_new_tokens=max(limits),
                stopping_criteria=[stop],
            )
        return [
            self._answer(row[: limit + 1], ids)
            for row, limit, ids in zip(output.tolist(), limits, encoded, strict=True)
        ]

    def _answer(self, ids: list[int], source: list[int]) -> Answer:
        config = self._model.config
        body = ids[1:]  # after the start token
        # A row that stopped before the others is filled up with padding.
        stops = {config.eos_token_id, config.pad_token_id}
        size = next((place for place, token in enumerate(body) if token in stops), len(body))
        ended = body[size : size + 1] == [config.eos_token_id]
        looped = loop_end(body[:size], source)
        if not ended and looped is None:
            return None
        body = body[: size if looped is None else looped]
        if self._tokenizer.unk_token_id in body:
            return Refusal(Reason.REJECTED_UNKNOWN_TOKEN)
        return str(self._tokenizer.decode(body, skip_special_tokens=True)).strip()
