"""The engines that ``querylift bench engine`` compares, set up as their authors recommend.

All of them map token ids to token ids, so that no tokenizer is timed. ``onnx-drafting`` runs
this package's drafting on the steps of ONNX Runtime.
"""

from __future__ import annotations

import json
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from ...errors import ConfigurationError, MissingExtraError
from .machine import resident_mb
from .models import shape_of

Pattern = Sequence[tuple[int, int]]
"""The number of drafted tokens, and of accepted ones, for each step."""


@dataclass(frozen=True, slots=True)
class TimedCall:
    """The times of a call in seconds; ``steps`` and ``encode_s`` are 0 where unknown."""

    total_s: float
    encode_s: float
    steps: int
    tokens_per_step: float


class EngineUnderTest(Protocol):
    """A loaded engine."""

    def time_call(self, inputs: list[list[int]], count: int, *, forced: bool) -> TimedCall:
        """Time decoding a batch, up to ``count`` tokens, or exactly ``count`` if forced."""
        ...


class _GreedyLoop:
    """This package's decoding loop; a ``pattern`` replaces its drafts by replayed ones."""

    _steps: Any
    _shape: Any

    def __init__(self, pattern: Pattern, history: Any) -> None:
        self._history = history
        self._pattern = cycle(pattern) if pattern else None

    def time_call(self, inputs: list[list[int]], count: int, *, forced: bool) -> TimedCall:
        """See ``EngineUnderTest``."""
        import torch

        end = -1 if forced else self._shape.end
        with torch.inference_mode():
            history = self._history
            if history is not None and self._pattern is not None:
                outputs = self._decoded(inputs, count, end, None)[0]
                known = {tuple(i): o or [] for i, o in zip(inputs, outputs, strict=True)}
                history = _ReplayedDrafts(known, self._pattern)
            return self._decoded(inputs, count, end, history)[1]

    def _decoded(
        self, inputs: list[list[int]], count: int, end: int, history: Any
    ) -> tuple[list[list[int] | None], TimedCall]:
        from ...engines.t5.decoding import Stats, greedy

        stats = Stats()
        began = time.perf_counter()
        outputs = greedy(
            self._steps, inputs, [count] * len(inputs), lambda row: False,
            start=self._shape.start, end=end, history=history, stats=stats, keep_unfinished=True,
        )  # fmt: skip
        total = time.perf_counter() - began
        tokens_per_step = stats.tokens / max(1, stats.rows)
        return outputs, TimedCall(total, stats.encode_s, stats.steps, tokens_per_step)


class _QueryliftT5(_GreedyLoop):
    """This package's T5 engine."""

    def __init__(self, folder: Path, threads: int, pattern: Pattern, **options: Any) -> None:
        from ...engines.t5 import T5Engine

        with TemporaryDirectory(prefix="querylift-bench-") as scratch:
            engine = T5Engine(folder, threads=threads, **{"cache_dir": scratch, **options})
            engine.load()
        super().__init__(pattern, engine._history)
        self._steps, self._shape = engine._steps, engine._shape


class _ReplayedDrafts:
    """Drafts with as many accepted tokens as another model's on real queries."""

    def __init__(
        self, known: dict[tuple[int, ...], list[int]], pattern: Iterator[tuple[int, int]]
    ) -> None:
        self._known = known
        self._pattern = pattern
        self._output: list[int] = []

    def begin(self, source: Sequence[int]) -> _ReplayedDrafts:
        """Return the drafts for ``source``."""
        drafts = _ReplayedDrafts(self._known, self._pattern)
        drafts._output = self._known[tuple(source)]
        return drafts

    def learn(self, tokens: Sequence[int]) -> None:
        """Do nothing."""

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return right tokens, then wrong ones, in the numbers of the pattern."""
        drafted, right = next(self._pattern)
        following = self._output[len(output) : len(output) + drafted]
        wrong = [token + 1 if token < 9 else token - 1 for token in following[right:]]
        return [*following[:right], *wrong][:count]


class _Transformers:
    """Greedy ``generate`` of transformers; ``int8`` turns on dynamic quantization."""

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

    def time_call(self, inputs: list[list[int]], count: int, *, forced: bool) -> TimedCall:
        """See ``EngineUnderTest``."""
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
        return TimedCall(time.perf_counter() - began, 0.0, steps, 1.0)


class _CTranslate2:
    """CTranslate2 in int8 (https://opennmt.net/CTranslate2/guides/transformers.html)."""

    def __init__(self, folder: Path, threads: int, pattern: Pattern) -> None:
        try:
            ctranslate2: Any = import_module("ctranslate2")
            convert: Any = import_module("ctranslate2.converters").TransformersConverter
        except ImportError as error:
            raise MissingExtraError("engine ctranslate2", "bench") from error
        # Never write to the folder: it may be the user's or this package's.
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

    def time_call(self, inputs: list[list[int]], count: int, *, forced: bool) -> TimedCall:
        """See ``EngineUnderTest``."""
        pieces = [[self._pieces[token] for token in row] for row in inputs]
        began = time.perf_counter()
        found = self._translator.translate_batch(
            pieces,
            beam_size=1,
            max_decoding_length=count,
            min_decoding_length=count if forced else 0,
        )
        total = time.perf_counter() - began
        # The end takes a step, but is not among the tokens.
        steps = max(min(count, len(result.hypotheses[0]) + 1) for result in found)
        return TimedCall(total, 0.0, steps, 1.0)


class _Onnx(_GreedyLoop):
    """ONNX Runtime in int8, with this package's graphs."""

    def __init__(
        self, folder: Path, threads: int, pattern: Pattern, *, drafting: bool = False
    ) -> None:
        from ...engines.t5.drafting import History
        from .onnx_steps import OnnxSteps

        super().__init__(pattern, History() if drafting else None)
        self._shape = shape_of(folder)
        self._steps = OnnxSteps(folder, self._shape, threads=threads, int8=True)


ENGINES_UNDER_TEST: dict[str, Any] = {
    "t5": partial(_QueryliftT5, drafting=True),
    "t5-plain": partial(_QueryliftT5, drafting=False),
    "t5-untraced": partial(_QueryliftT5, drafting=False, trace=False),
    "transformers": partial(_Transformers, int8=False),
    "transformers-int8": partial(_Transformers, int8=True),
    "onnx": _Onnx,
    "onnx-drafting": partial(_Onnx, drafting=True),
    "ctranslate2": _CTranslate2,
}
"""Maps a name to a function of a folder, a thread count and a pattern."""

_loaded: list[EngineUnderTest] = []  # the engine of this process, where it is an engine's own


def _load(name: str, folder: Path, threads: int, pattern: Pattern, options: Any) -> float:
    try:
        _loaded[:] = [ENGINES_UNDER_TEST[name](folder, threads, pattern, **options)]
    except Exception as error:  # as text, since not every exception can be sent on
        raise ConfigurationError(f"engine {name}: {type(error).__name__}: {error}") from None
    return resident_mb()


def _time_call(inputs: list[list[int]], count: int, forced: bool) -> tuple[TimedCall, float]:
    return _loaded[0].time_call(inputs, count, forced=forced), resident_mb()


@contextmanager
def engine_process(
    name: str, folder: Path, threads: int, pattern: Pattern = (), **options: Any
) -> Iterator[tuple[float, Callable[..., tuple[TimedCall, float]]]]:
    """Run an engine in a process of its own.

    Yields the MiB that the process takes once the engine is loaded, and a function that does
    ``time_call`` there and returns the timed call with the MiB after it. Errors:
    ``ConfigurationError`` if the engine cannot be loaded, or its process dies.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

        def run(work: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return pool.submit(work, *arguments).result()
            except BrokenProcessPool:
                raise ConfigurationError(f"engine {name} died") from None

        yield run(_load, name, folder, threads, pattern, options), partial(run, _time_call)
