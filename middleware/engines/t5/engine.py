"""The engine itself: texts in, rewrites out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.outcome import Reason
from ...errors import ConfigurationError, EngineError
from ..base import Answer, Refusal
from ..checkpoint import locate
from ..hints import Lexicon, encoded, fingerprint, own_words
from ..threads import default_threads
from .architecture import SMALL, Architecture
from .drafting import Drafts, History
from .tokenizer import Tokenizer, open_tokenizer

if TYPE_CHECKING:
    from .decoding import Stats
    from .steps import TorchSteps

__all__ = ["T5Engine"]

_WEIGHTS = ("int8", "bf16", "fp32")
_MOST_BEAMS = 5
_MAX_NEW = 64
_log = logging.getLogger("querylift.engines")


class T5Engine:
    """Any T5 (v1.0, v1.1, Flan, LaMini, mT5) of a folder or of the hub.

    ``prefix`` is put before each text. A text of more than ``max_input_tokens`` is refused;
    ``max_new_tokens`` (64, or for a small model ``max_input_tokens``, unless given) bounds an
    answer, one without an end by then is ``None``. ``threads``
    defaults to the CPU quota, and to one for a model so small that more do not help.
    ``weights`` is ``int8`` (with a check against float32; below 20 million parameters, where
    int8 saves no time, float16 that is added up in float32), ``bf16`` or ``fp32``;
    ``drafting`` changes the time and never the answer. With ``beams`` of 2 to 5, beam search
    takes the place of greedy decoding. Large prepared weights are kept in ``cache_dir``,
    the user's cache folder unless given. ``trace=False`` runs steps uncompiled. A model
    with a word list beside its weights gets spelling hints (``Lexicon``), and ``words``
    is a text file of further words that are spelled right, such as names of brands.

    Concurrency: owned by one thread, the one that calls ``load``, in the process that
    called it. Errors: ``ModelError`` from the constructor for files
    that cannot be a T5, and from ``load`` for those that turn out not to be.
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
                    f"engine: {option} ({value}) must be a number of 1 or more"
                )
        if weights not in _WEIGHTS:
            raise ConfigurationError(
                f"engine: weights ({weights!r}) must be one of {', '.join(_WEIGHTS)}"
            )
        if beams > _MOST_BEAMS:
            raise ConfigurationError(f"engine: beams ({beams}) must be at most {_MOST_BEAMS}")
        self._checkpoint = locate(model)
        self._shape = Architecture.of(self._checkpoint.config)
        self._prefix = prefix
        self._max_input = max_input_tokens
        # A long answer costs a small model little time and little memory for its caches.
        usual = max_input_tokens if self._shape.parameters < SMALL else _MAX_NEW
        self._max_new = usual if max_new_tokens is None else max_new_tokens
        self._threads = threads
        self._weights = weights
        self._beams = beams
        self._cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._trace = trace
        self._history: Drafts | None = History() if drafting else None
        self._tokenizer: Tokenizer | None = None
        self._own = [] if words is None else own_words(words)
        self._lexicon: Lexicon | None = None
        self._steps: TorchSteps | None = None
        self._process = 0
        self.last_stats: Stats | None = None
        """What the last ``generate`` did."""
        self.revision = ":".join(
            map(str, (self._checkpoint.revision, weights, beams, max_input_tokens, self._max_new,
                      prefix, fingerprint(self._own)))
        )  # fmt: skip

    def load(self) -> None:
        """Load, check against the golden answers and warm up; seconds for a large model."""
        import torch

        folder = self._checkpoint.fetch()
        torch.set_num_threads(self._threads or self._default_threads())
        tokenizer = open_tokenizer(folder, self._shape)
        self._lexicon = Lexicon.of(folder, self._own)
        with torch.inference_mode():
            steps = self._load_steps(folder, tokenizer)
        _release_memory()
        self._tokenizer, self._steps, self._process = tokenizer, steps, os.getpid()
        self.generate(["warm up", "a second text to warm up a batch"], lambda index: False)

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return rewrites; see ``Engine``."""
        import torch

        from .decoding import Stats

        if self._steps is None or self._tokenizer is None:
            raise EngineError("the engine was not loaded")
        if self._process != os.getpid():
            raise EngineError("the engine was loaded before this process was forked; load it after")
        self.last_stats = stats = Stats(texts=len(texts))
        answers: list[Answer] = [None] * len(texts)
        places: list[int] = []
        inputs: list[list[int]] = []
        for place, text in enumerate(texts):
            tokens = self._encode(text)
            if tokens is None:
                answers[place] = Refusal(Reason.UNENCODABLE)
            elif len(tokens) > self._max_input:
                answers[place] = Refusal(Reason.TOO_LONG)
            else:
                places.append(place)
                inputs.append(tokens)
        if inputs:
            with torch.inference_mode():
                outputs = self._decode(inputs, lambda row: cancelled(places[row]), stats)
            for place, output in zip(places, outputs, strict=True):
                answers[place] = self._answer(texts[place], output)
        return answers

    def _encode(self, text: str) -> list[int] | None:
        tokenizer = self._tokenizer
        assert tokenizer is not None
        return encoded(
            text, self._lexicon, lambda each: tokenizer.encode(self._prefix + each), self._max_input
        )

    def _decode(
        self, inputs: list[list[int]], cancelled: Callable[[int], bool], stats: Stats
    ) -> list[list[int] | None]:
        from .beams import beam_search
        from .decoding import greedy

        assert self._steps is not None
        shape = self._shape
        # A rewrite far longer than its text is none; its end is not worth waiting for.
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

    def _answer(self, asked: str, output: list[int] | None) -> Answer:
        assert self._tokenizer is not None
        if output is None:
            return None
        text = self._tokenizer.decode(output)
        if text is None:
            return Refusal(Reason.REJECTED_UNKNOWN_TOKEN)
        return text if self._lexicon is None else self._lexicon.restored(asked, text)

    def _default_threads(self) -> int:
        # A small model's threads would wait for each other longer than they work.
        return 1 if self._shape.parameters < SMALL else default_threads()

    def _load_steps(self, folder: Path, tokenizer: Tokenizer) -> TorchSteps:
        from . import golden
        from . import weight_cache as prepared
        from .linear import int8_kernel

        weights = self._weights
        if weights == "int8" and int8_kernel() is None:
            _log.warning("torch has no int8 kernels for this processor; fp32 weights are used")
            weights = "fp32"
        if weights != "int8":
            return self._make_steps(prepared.prepare(folder, self._shape, weights))
        answers = min(golden.TOKENS, self._max_new)
        key = prepared.key_of(folder, self._checkpoint.revision, weights, answers)
        path = (self._cache_dir or prepared.default_cache()) / key
        large = self._shape.parameters >= SMALL
        tensors = prepared.recall(path) if large else None
        if tensors is None:
            # The reference is made and let go before the weights that stay.
            reference = self._make_steps(prepared.prepare(folder, self._shape, "fp32"), trace=False)
            record = golden.record(
                reference, golden.inputs_of(tokenizer, self._shape.vocabulary, self._max_input)
            )
            del reference
            tensors = prepared.prepare(folder, self._shape, weights) | record
            steps = self._make_steps(tensors)
            golden.verify(steps, tensors)
            if large:
                prepared.store(path, tensors)
            return steps
        steps = self._make_steps(tensors)
        golden.verify(steps, tensors)
        return steps

    def _make_steps(self, tensors: dict[str, Any], *, trace: bool | None = None) -> TorchSteps:
        from . import weight_cache as prepared
        from .steps import TorchSteps

        return TorchSteps(
            self._shape,
            prepared.linears(tensors),
            tensors,
            places=self._max_new,
            max_input=self._max_input,
            trace=self._trace if trace is None else trace,
            trace_logits=self._beams > 1,
        )


def _release_memory() -> None:
    """Hand back to the system what preparing took, where the C library can (glibc)."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        _log.debug("the C library keeps the memory that preparing the weights took")
