"""The engines that ``querylift bench engine`` compares, each as its makers recommend it.

All take token ids and give as many as asked for, so that none is timed for its tokenizer.
What is not plain says so: ``drafting`` is this package's, on another runtime's steps.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from ...errors import MissingExtraError
from .models import shape_of

__all__ = ["CONTESTANTS", "EngineUnderTest", "Lap", "Pattern"]

Pattern = Sequence[tuple[int, int]]
"""For each step how many tokens were guessed, and how many of those came true."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One timed call; seconds. ``steps`` and ``encode_s`` are zero where it cannot tell."""

    total_s: float
    encode_s: float
    steps: int
    tokens_per_step: float


class EngineUnderTest(Protocol):
    """An engine on its marks."""

    def lap(self, inputs: list[list[int]], count: int, *, forced: bool) -> Lap:
        """Decode ``inputs`` together, up to ``count`` tokens, or exactly so many if forced."""
        ...


class _Looped:
    """The engine's loop on some steps; with ``drafting``, real guesses or a pattern's."""

    _steps: Any
    _shape: Any

    def __init__(self, pattern: Pattern, history: Any) -> None:
        self._history = history
        self._pattern = cycle(pattern) if pattern else None

    def lap(self, inputs: list[list[int]], count: int, *, forced: bool) -> Lap:
        """Time one call; see ``EngineUnderTest``."""
        import torch

        end = -1 if forced else self._shape.end
        with torch.inference_mode():
            history = self._history
            if history is not None and self._pattern is not None:
                outputs = self._decoded(inputs, count, end, None)[0]
                known = {tuple(i): o or [] for i, o in zip(inputs, outputs, strict=True)}
                history = _Replay(known, self._pattern)
            return self._decoded(inputs, count, end, history)[1]

    def _decoded(
        self, inputs: list[list[int]], count: int, end: int, history: Any
    ) -> tuple[list[list[int] | None], Lap]:
        from ...engines.t5.decoding import Stats, greedy

        stats = Stats()
        began = time.perf_counter()
        outputs = greedy(
            self._steps, inputs, [count] * len(inputs), lambda row: False,
            start=self._shape.start, end=end, history=history, stats=stats, keep_unfinished=True,
        )  # fmt: skip
        total = time.perf_counter() - began
        return outputs, Lap(total, stats.encode_s, stats.steps, stats.tokens / max(1, stats.rows))


class _Ours(_Looped):
    """The T5 engine."""

    def __init__(self, folder: Path, threads: int, pattern: Pattern, **options: Any) -> None:
        from ...engines.t5 import T5Engine

        with TemporaryDirectory(prefix="querylift-bench-") as scratch:
            engine = T5Engine(folder, threads=threads, **{"cache_dir": scratch, **options})
            engine.load()
        super().__init__(pattern, engine._history)
        self._steps, self._shape = engine._steps, engine._shape


class _Replay:
    """Guesses of which as many come true as did for another model on real queries."""

    def __init__(
        self, known: dict[tuple[int, ...], list[int]], pattern: Iterator[tuple[int, int]]
    ) -> None:
        self._known = known
        self._pattern = pattern
        self._output: list[int] = []

    def begin(self, source: Sequence[int]) -> _Replay:
        """Return the guesses for ``source``."""
        guesses = _Replay(self._known, self._pattern)
        guesses._output = self._known[tuple(source)]
        return guesses

    def learn(self, tokens: Sequence[int]) -> None:
        """Learn nothing."""

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return right tokens, then wrong ones, as the pattern has it."""
        guessed, right = next(self._pattern)
        following = self._output[len(output) : len(output) + guessed]
        wrong = [token + 1 if token < 9 else token - 1 for token in following[right:]]
        return [*following[:right], *wrong][:count]


class _Transformers:
    """transformers' own greedy ``generate``; with ``int8``, after dynamic quantization."""

    def __init__(self, folder: Path, threads: int, pattern: Pattern, *, int8: bool) -> None:
        import torch
        from transformers import T5ForConditionalGeneration
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self._model: Any = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self._model.eval()
        if int8:
            from torch.ao.quantization import quantize_dynamic

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quantize: Any = quantize_dynamic
                self._model = quantize(self._model, {torch.nn.Linear}, dtype=torch.qint8)

    def lap(self, inputs: list[list[int]], count: int, *, forced: bool) -> Lap:
        """Time one call; see ``EngineUnderTest``."""
        import torch

        width = max(map(len, inputs))
        tokens = torch.tensor([row + [0] * (width - len(row)) for row in inputs])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in inputs])
        began = time.perf_counter()
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=tokens,
                attention_mask=mask,
                num_beams=1,
                do_sample=False,
                max_new_tokens=count,
                min_new_tokens=count if forced else None,
            )
        steps = output.shape[1] - 1
        return Lap(time.perf_counter() - began, 0.0, steps, 1.0)


class _CTranslate2:
    """CTranslate2 in int8 (https://opennmt.net/CTranslate2/guides/transformers.html)."""

    def __init__(self, folder: Path, threads: int, pattern: Pattern) -> None:
        try:
            ctranslate2: Any = import_module("ctranslate2")
            convert: Any = import_module("ctranslate2.converters").TransformersConverter
        except ImportError as error:
            raise MissingExtraError("engine ctranslate2", "bench") from error
        # The folder may be the user's own, or this package's: nothing is written into it.
        with TemporaryDirectory(prefix="querylift-bench-") as scratch:
            target = Path(scratch, "model")
            convert(str(folder)).convert(str(target), quantization="int8")
            self._translator = ctranslate2.Translator(
                str(target),
                device="cpu",
                compute_type="int8",
                inter_threads=1,
                intra_threads=threads,
            )
            vocabulary = target / "shared_vocabulary.json"
            self._pieces: list[str] = json.loads(vocabulary.read_text("utf-8"))

    def lap(self, inputs: list[list[int]], count: int, *, forced: bool) -> Lap:
        """Time one call; see ``EngineUnderTest``."""
        pieces = [[self._pieces[token] for token in row] for row in inputs]
        began = time.perf_counter()
        found = self._translator.translate_batch(
            pieces,
            beam_size=1,
            max_decoding_length=count,
            min_decoding_length=count if forced else 0,
        )
        total = time.perf_counter() - began
        # The end is a step, too, and not among the tokens.
        steps = max(min(count, len(result.hypotheses[0]) + 1) for result in found)
        return Lap(total, 0.0, steps, 1.0)


class _Onnx(_Looped):
    """ONNX Runtime in int8, with a step of its own."""

    def __init__(
        self, folder: Path, threads: int, pattern: Pattern, *, drafting: bool = False
    ) -> None:
        from ...engines.t5.drafting import History
        from .onnx_steps import OnnxSteps

        super().__init__(pattern, History() if drafting else None)
        self._shape = shape_of(folder)
        self._steps = OnnxSteps(folder, self._shape, threads=threads, int8=True)


CONTESTANTS: dict[str, Any] = {
    "t5": partial(_Ours, drafting=True),
    "t5-plain": partial(_Ours, drafting=False),
    "t5-untraced": partial(_Ours, drafting=False, trace=False),
    "transformers": partial(_Transformers, int8=False),
    "transformers-int8": partial(_Transformers, int8=True),
    "onnx": _Onnx,
    "onnx-drafting": partial(_Onnx, drafting=True),
    "ctranslate2": _CTranslate2,
}
"""Name to a function of a folder, a thread count and a pattern."""
