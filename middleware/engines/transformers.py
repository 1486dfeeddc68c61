"""The reference engine: greedy ``generate`` of the ``transformers`` library on the CPU.

It is slow and simple; tests compare other engines with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.outcome import Reason
from ..errors import ConfigurationError, EngineError, ModelError
from .base import Answer, Cancelled, Refusal, Truncated
from .checkpoint import locate
from .claims import one_thread
from .repetition import repetition_end
from .spelling_hints import Lexicon, encode_hinted, fingerprint, read_words
from .threads import default_threads

# Models with fewer parameters run on one thread, as several wait for each other longer than they
# work: 4.6 million take 25 ms with one thread and 28 ms with two, and more on a busy machine.
_ONE_THREAD = 20_000_000


class TransformersEngine:
    """Runs any T5 of a folder or of the hub, greedily, in float32.

    ``prefix`` is put before each text, as some checkpoints were trained with one. A text of more
    than ``max_input_tokens`` is refused. An answer without an end of sequence after
    ``max_new_tokens`` is ``Truncated``. ``threads`` defaults to the CPU quota, and to 1 for small
    models. ``words`` is a text file of words that are spelled right, for a model that takes
    spelling hints.

    Concurrency: owned by one thread, the one that calls ``load``. Errors: ``ModelError``, from
    the constructor for files that cannot be a T5, from ``load`` for other faults of them.
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
        self._words = [] if words is None else read_words(words)
        self.revision = ":".join(
            map(str, (self._checkpoint.revision, max_input_tokens, max_new_tokens, prefix,
                      fingerprint(self._words)))
        )  # fmt: skip
        self._lexicon: Lexicon | None = None

    def load(self) -> None:
        """Load the tokenizer and the weights, and warm up; takes seconds."""
        folder = str(self._checkpoint.fetch())
        try:
            import torch
            from transformers import AutoTokenizer, T5ForConditionalGeneration
            from transformers.utils import logging

            logging.disable_progress_bar()  # it would write over the server's output
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
        if missing:  # the library would use random numbers in their place
            raise ModelError(
                f"model folder {folder}: the weights lack {len(missing)} of the model's tensors, "
                f"such as {missing[0]}; they are not of one checkpoint"
            )
        broken = next((n for n, p in model.named_parameters() if not p.isfinite().all()), None)
        if broken is not None:
            raise ModelError(f"model folder {folder}: {broken} holds numbers that are not finite")
        model.generation_config.update(
            max_new_tokens=None, max_length=None, num_beams=1, do_sample=False
        )
        self._tokenizer, self._model = tokenizer, model
        self._lexicon = Lexicon.of(Path(folder), self._words)
        self.generate(["warm up"], lambda index: False)

    @one_thread
    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return greedy rewrites; see ``Engine``."""
        if self._model is None:
            raise EngineError("the engine was not loaded")
        answers: list[Answer] = [Truncated()] * len(texts)
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
        return encode_hinted(text, self._lexicon, self._pieces, self._max_input)

    def _pieces(self, text: str) -> list[int]:
        # One piece above the limit shows that a text is too long; the rest isn't needed.
        pieces = self._tokenizer(
            self._prefix + text, truncation=True, max_length=self._max_input + 1
        )
        return list(pieces["input_ids"])

    def _decode(
        self, encoded: list[list[int]], rows: list[int], cancelled: Callable[[int], bool]
    ) -> list[Answer]:
        """Return the answers to encoded texts; ``rows`` are their indexes for ``cancelled``."""
        import torch

        width = max(map(len, encoded))
        pad = self._model.config.pad_token_id
        inputs = torch.tensor([ids + [pad] * (width - len(ids)) for ids in encoded])
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in encoded])

        # Each limit depends on its own text only, so that a batch does not change answers.
        limits = [min(self._max_new, 2 * len(ids) + 16) for ids in encoded]
        stopped: set[int] = set()

        def stop(input_ids: Any, scores: Any, **_: Any) -> Any:
            made = input_ids.shape[1] - 1
            stopped.update(i for i in rows if i not in stopped and cancelled(i))
            pairs = zip(rows, limits, strict=True)
            return torch.tensor([made >= limit or index in stopped for index, limit in pairs])

        with torch.inference_mode():
            output = self._model.generate(
                input_ids=inputs,
                attention_mask=mask,
                max_new_tokens=max(limits),
                stopping_criteria=[stop],
            )
        answers = [
            self._answer(row[: limit + 1], ids)
            for row, limit, ids in zip(output.tolist(), limits, encoded, strict=True)
        ]
        return [
            Cancelled() if index in stopped and isinstance(answer, Truncated) else answer
            for index, answer in zip(rows, answers, strict=True)
        ]

    def _answer(self, ids: list[int], source: list[int]) -> Answer:
        """Return the answer for a row of output ids to the input ids ``source``."""
        config = self._model.config
        body = ids[1:]  # after the start token
        # A row that ended before the others is filled up with padding.
        stops = {config.eos_token_id, config.pad_token_id}
        size = next((place for place, token in enumerate(body) if token in stops), len(body))
        ended = body[size : size + 1] == [config.eos_token_id]
        repeated = repetition_end(body[:size], source)
        if not ended and repeated is None:
            return Truncated()
        body = body[: size if repeated is None else repeated]
        if self._tokenizer.unk_token_id in body:
            return Refusal(Reason.REJECTED_UNKNOWN_TOKEN)
        return str(self._tokenizer.decode(body, skip_special_tokens=True)).strip()
