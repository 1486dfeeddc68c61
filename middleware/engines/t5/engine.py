"""The T5 engine: its options, loading, and the way from texts to answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.outcome import Reason
from ...errors import ConfigurationError, EngineError
from ..base import Answer, Cancelled, Refusal, Truncated
from ..checkpoint import locate
from ..claims import one_thread
from ..spelling_hints import Lexicon, encode_hinted, fingerprint, read_words
from ..threads import default_threads
from .architecture import SMALL, Architecture
from .drafting import Drafts, History
from .tokenizer import Tokenizer, open_tokenizer

if TYPE_CHECKING:
    from .decoding import Stats
    from .steps import TorchSteps

_WEIGHTS = ("int8", "bf16", "fp32")
_MAX_BEAMS = 5
_MAX_NEW_TOKENS = 64
_log = logging.getLogger("querylift.engines")


class T5Engine:
    """Runs any T5 (v1.0, v1.1, Flan, LaMini, mT5) of a folder or of the hub.

    ``prefix`` is put before each text. A text of more than ``max_input_tokens`` is refused. An
    answer without an end of sequence after ``max_new_tokens`` is ``Truncated``; the default is 64,
    for a small model ``max_input_tokens``. ``threads`` defaults to the CPU quota, for a small
    model to 1, as more do not help it.

    ``weights`` are ``int8``, ``bf16`` or ``fp32``. int8 weights are checked against float32, and
    are float16 in a model below 20 million parameters, where int8 saves no time. Those of a large
    model are cached in ``cache_dir``, by default the user's cache folder.

    ``drafting`` changes the time and never the answer. With ``beams`` of 2 to 5, beam search
    replaces greedy decoding. ``trace=False`` runs the steps uncompiled. A model with a word list
    beside its weights gets spelling hints (``Lexicon``); ``words`` is a text file of further words
    that are spelled right, such as names of brands.

    Concurrency: owned by one thread, the one that calls ``load``, and not usable in a forked
    child. Errors: ``ModelError``, from the constructor for files that cannot be a T5, from
    ``load`` for other faults of them.
    """

    name = "t5"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        prefix: str = "",
        max_input_tokens: int = 128,
        max_new_tokens: int | None = None,
        threads: int | None = None,
        words: str | os.PathLike[str] | None = None,
        weights: str = "int8",
        drafting: bool = True,
        beams: int = 1,
        cache_dir: str | os.PathLike[str] | None = None,
        trace: bool = True,
    ) -> None:
        for option, value in (
            ("max_input_tokens", max_input_tokens),
            ("max_new_tokens", 1 if max_new_tokens is None else max_new_tokens),
            ("threads", 1 if threads is None else threads),
            ("beams", beams),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(
                    f"engine: {option} ({value}) must be a whole number of at least 1"
                )
        if weights not in _WEIGHTS:
            raise ConfigurationError(
                f"engine: weights ({weights!r}) must be one of {', '.join(_WEIGHTS)}"
            )
        if beams > _MAX_BEAMS:
            raise ConfigurationError(f"engine: beams ({beams}) must be at most {_MAX_BEAMS}")
        self._checkpoint = locate(model)
        self._shape = Architecture.of(self._checkpoint.config)
        self._prefix = prefix
        self._max_input = max_input_tokens
        # A long answer takes a small model little time, and little memory for its cache.
        default = max_input_tokens if self._shape.parameters < SMALL else _MAX_NEW_TOKENS
        self._max_new = default if max_new_tokens is None else max_new_tokens
        self._threads = threads
        self._weights = weights
        self._beams = beams
        self._cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._trace = trace
        self._history: Drafts | None = History() if drafting else None
        self._tokenizer: Tokenizer | None = None
        self._words = [] if words is None else read_words(words)
        self._lexicon: Lexicon | None = None
        self._steps: TorchSteps | None = None
        self._process = 0
        self.last_stats: Stats | None = None
        """What the last ``generate`` did."""
        self.revision = ":".join(
            map(str, (self._checkpoint.revision, weights, beams, max_input_tokens, self._max_new,
                      prefix, fingerprint(self._words)))
        )  # fmt: skip

    def load(self) -> None:
        """Load, check against the golden set and warm up; takes seconds for a large model."""
        import torch

        folder = self._checkpoint.fetch()
        torch.set_num_threads(self._threads or self._default_threads())
        tokenizer = open_tokenizer(folder, self._shape)
        self._lexicon = Lexicon.of(folder, self._words)
        with torch.inference_mode():
            steps = self._load_steps(folder, tokenizer)
        _release_memory()
        self._tokenizer, self._steps, self._process = tokenizer, steps, os.getpid()
        self.generate(["warm up", "a second text to warm up a batch"], lambda index: False)

    @one_thread
    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return rewrites; see ``Engine``."""
        import torch

        from .decoding import Stats

        if self._steps is None or self._tokenizer is None:
            raise EngineError("the engine was not loaded")
        if self._process != os.getpid():
            raise EngineError("the engine was loaded before this process was forked; load it again")
        self.last_stats = stats = Stats(texts=len(texts))
        answers: list[Answer] = [Truncated()] * len(texts)
        rows: list[int] = []  # the indexes of the texts that are decoded
        inputs: list[list[int]] = []
        for index, text in enumerate(texts):
            tokens = self._encode(text)
            if tokens is None:
                answers[index] = Refusal(Reason.UNENCODABLE)
            elif len(tokens) > self._max_input:
                answers[index] = Refusal(Reason.TOO_LONG)
            else:
                rows.append(index)
                inputs.append(tokens)

        def stopped(row: int) -> bool:
            if not cancelled(rows[row]):
                return False
            answers[rows[row]] = Cancelled()
            return True

        if inputs:
            with torch.inference_mode():
                outputs = self._decode(inputs, stopped, stats)
            for index, output in zip(rows, outputs, strict=True):
                if output is not None:
                    answers[index] = self._answer(texts[index], output)
        return answers

    def _encode(self, text: str) -> list[int] | None:
        tokenizer = self._tokenizer
        assert tokenizer is not None
        return encode_hinted(
            text, self._lexicon, lambda each: tokenizer.encode(self._prefix + each), self._max_input
        )

    def _decode(
        self, inputs: list[list[int]], cancelled: Callable[[int], bool], stats: Stats
    ) -> list[list[int] | None]:
        """Return the output tokens per input, ``None`` if cancelled or truncated."""
        from .beams import beam_search
        from .decoding import greedy

        assert self._steps is not None
        shape = self._shape
        # A rewrite far longer than its text would be rejected, so that its end is not needed.
        limits = [min(self._max_new, 2 * len(tokens) + 16) for tokens in inputs]
        if self._beams > 1:
            return [
                beam_search(
                    self._steps, tokens, limits[row], lambda row=row: cancelled(row),  # type: ignore[misc]
                    beams=self._beams, start=shape.start, end=shape.end, stats=stats,
                )
                for row, tokens in enumerate(inputs)
            ]  # fmt: skip
        return greedy(
            self._steps, inputs, limits, cancelled,
            start=shape.start, end=shape.end, history=self._history, stats=stats,
        )  # fmt: skip

    def _answer(self, text: str, output: list[int]) -> Answer:
        assert self._tokenizer is not None
        rewrite = self._tokenizer.decode(output)
        if rewrite is None:
            return Refusal(Reason.REJECTED_UNKNOWN_TOKEN)
        return rewrite if self._lexicon is None else self._lexicon.restored(text, rewrite)

    def _default_threads(self) -> int:
        # The threads of a small model would wait for each other longer than they work.
        return 1 if self._shape.parameters < SMALL else default_threads()

    def _load_steps(self, folder: Path, tokenizer: Tokenizer) -> TorchSteps:
        """Return the loaded model, from the weight cache if it has it, checked if quantized."""
        from . import golden_set, weight_cache
        from .linear import int8_kernel

        weights = self._weights
        if weights == "int8" and int8_kernel() is None:
            _log.warning("torch has no int8 kernels for this processor; fp32 weights are used")
            weights = "fp32"
        if weights != "int8":
            return self._make_steps(weight_cache.quantized(folder, self._shape, weights))
        answers = min(golden_set.MAX_TOKENS, self._max_new)
        name = weight_cache.cache_name(folder, self._checkpoint.revision, weights, answers)
        path = (self._cache_dir or weight_cache.default_folder()) / name
        large = self._shape.parameters >= SMALL
        cached = weight_cache.read(path) if large else None
        tensors = cached or self._quantized(folder, tokenizer, weights)
        steps = self._make_steps(tensors)
        golden_set.verify(steps, tensors)
        if large and cached is None:
            weight_cache.write(path, tensors)
        return steps

    def _quantized(self, folder: Path, tokenizer: Tokenizer, weights: str) -> dict[str, Any]:
        """Return quantized tensors with the golden set's record."""
        from . import golden_set, weight_cache

        shape = self._shape
        # The float32 model is freed before the quantized weights are made.
        reference = self._make_steps(weight_cache.quantized(folder, shape, "fp32"), trace=False)
        inputs = golden_set.golden_inputs(tokenizer, shape.vocabulary, self._max_input)
        record = golden_set.record(reference, inputs)
        del reference
        return weight_cache.quantized(folder, shape, weights) | record

    def _make_steps(self, tensors: dict[str, Any], *, trace: bool | None = None) -> TorchSteps:
        from . import weight_cache
        from .steps import TorchSteps

        return TorchSteps(
            self._shape,
            weight_cache.linear_layers(tensors),
            tensors,
            max_tokens=self._max_new,
            max_input=self._max_input,
            trace=self._trace if trace is None else trace,
            trace_logits=self._beams > 1,
        )


def _release_memory() -> None:
    """Return freed memory to the system, if the C library can (glibc)."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        _log.debug("the C library cannot return freed memory to the system")
