"""ONNX Runtime as the backend of the T5 engine's decoding loop, with drafts and batches.

Quantization follows the runtime's documentation (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...engines.t5.architecture import Architecture
from ...errors import MissingExtraError
from .onnx_graph import cache_names, write_graphs

_MASKED = 1 << 40  # the position of a masked key: right of all others


class OnnxSteps:
    """Encoder and step on ONNX Runtime; ``int8`` quantizes dynamically, by output channel.

    In int8, ONNX Runtime has one scale per activation tensor, so drafted and batched answers may
    differ from others; in float32 they do not.
    Errors: ``MissingExtraError`` without onnx and onnxruntime.
    """

    def __init__(
        self, folder: Path, shape: Architecture, *, threads: int, int8: bool, longest: int = 128
    ) -> None:
        try:
            self.runtime: Any = import_module("onnxruntime")
            quantization: Any = import_module("onnxruntime.quantization")
            import_module("onnx")
        except ImportError as error:
            raise MissingExtraError("engine onnx", "bench") from error
        import numpy as np

        from ...engines.t5.network import position_buckets

        self.shape = shape
        with TemporaryDirectory(prefix="querylift-bench-") as scratch:
            tables = write_graphs(folder, shape, Path(scratch))
            sessions = []
            for name in ("encoder", "step"):
                path = Path(scratch, f"{name}.onnx")
                if int8:
                    path = _quantized(quantization, path)
                sessions.append(self._session(path, threads))
        self._encoder, self.step = sessions
        both = position_buckets(shape, longest, longest, causal=False).numpy()
        # To the left, the bucket depends on the distance only.
        left = position_buckets(shape, longest, 1, causal=True)[:, 0].numpy()
        self._both = tables["encoder.bias"][both].transpose(2, 0, 1).astype(np.float32)
        self._left = tables["decoder.bias"][left].astype(np.float32)

    def begin(self, inputs: Sequence[Sequence[int]]) -> OnnxSession:
        """Encode inputs; see ``Steps``."""
        import numpy as np

        length = max(map(len, inputs))
        tokens = np.full((len(inputs), length), self.shape.pad, np.int64)
        mask = np.full((len(inputs), 1, 1, length), -np.inf, np.float32)
        for row, source in enumerate(inputs):
            tokens[row, : len(source)] = source
            mask[row, :, :, : len(source)] = 0
        bias = self.value(self._both[:, :length, :length] + mask)
        feed = {"tokens": self.value(tokens), "bias": bias}
        names = cache_names("cross", self.shape.decoder_layers)
        found = self._encoder.run_with_ort_values(names, feed)
        return OnnxSession(self, dict(zip(names, found, strict=True)), mask)

    def value(self, array: Any) -> Any:
        """Return an array as a value of ONNX Runtime."""
        return self.runtime.OrtValue.ortvalue_from_numpy(array)

    def bias(self, queries: Any, keys: Any) -> Any:
        """Return ``[B, H, T, places]`` for positions ``[B, T]`` and ``[B, places]``.

        A key to the right of its query is masked.
        """
        import numpy as np

        distance = queries[:, :, None] - keys[:, None]
        bias = self._left[np.maximum(distance, 0)]
        bias[distance < 0] = -np.inf
        return np.ascontiguousarray(bias.transpose(0, 3, 1, 2))

    def _session(self, path: Path, threads: int) -> Any:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Otherwise the threads of the idle session spin and slow down the other one.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return self.runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _quantized(quantization: Any, path: Path) -> Path:
    """Quantize a graph. The runtime's pre-processing is left out: it would change nothing."""
    from ...engines.t5.linear import levels

    target = path.with_name(f"{path.stem}-int8.onnx")
    logging.disable(logging.WARNING)  # it warns of the missing pre-processing
    try:
        quantization.quantize_dynamic(
            path,
            target,
            per_channel=True,
            reduce_range=levels() < 127,  # without VNNI, sums of full bytes overflow
            op_types_to_quantize=["MatMul"],
        )
    finally:
        logging.disable(logging.NOTSET)
    path.unlink()
    return target


class OnnxSession:
    """The decoding state of a batch; see ``Session``.

    The keys of rejected tokens stay in the cache, but are masked.
    """

    def __init__(self, steps: OnnxSteps, cross: dict[str, Any], mask: Any) -> None:
        import numpy as np

        shape, batch = steps.shape, len(mask)
        self._steps = steps
        self._cross = {**cross, "mask": steps.value(mask)}
        none = steps.value(np.zeros((batch, shape.heads, 0, shape.kv), np.float32))
        self._past = dict.fromkeys(cache_names("past", shape.decoder_layers), none)
        self._positions = np.zeros((batch, 0), np.int64)

    def step(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> tuple[list[list[int]], bool]:
        """Run a step; see ``Session``."""
        import numpy as np

        block = np.array(tokens, np.int64)
        first = np.array(positions, np.int64)[:, None]
        queries = first + np.arange(block.shape[1])
        # A sequence's old keys from its first new position on are replaced.
        before = np.where(self._positions < first, self._positions, _MASKED)
        self._positions = np.concatenate([before, queries], 1)
        bias = self._steps.bias(queries, self._positions)
        feed = {"tokens": self._steps.value(block), "bias": self._steps.value(bias)}
        cached = cache_names("cached", self._steps.shape.decoder_layers)
        best, score, *past = self._steps.step.run_with_ort_values(
            ["best", "score", *cached], {**feed, **self._cross, **self._past}
        )
        self._past = dict(zip(self._past, past, strict=True))
        found: list[list[int]] = best.numpy().tolist()
        return found, bool(np.isfinite(score.numpy()).all())

    def keep(self, rows: Sequence[int]) -> None:
        """Select rows; see ``Session``."""
        index = list(rows)
        for values in (self._cross, self._past):
            for name, value in values.items():
                values[name] = self._steps.value(value.numpy()[index])
        self._positions = self._positions[index]
