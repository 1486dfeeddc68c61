"""Write a T5 as two ONNX graphs, node by node, from the fused weights of the T5 engine.

The encoder outputs each layer's cross-attention keys and values. The step takes these and each
layer's cached keys and values, and outputs the cache with the new ones appended, so that the
cache stays in ONNX Runtime between steps. There is no other state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...engines.t5.architecture import Architecture

if TYPE_CHECKING:
    import numpy as np

_OPSET = 20  # the first with Gelu
_IR = 10


def cache_names(kind: str, layers: int) -> list[str]:
    """Return the names of all keys and values of a ``kind``, layer by layer."""
    return [f"{kind}.{index}.{part}" for index in range(layers) for part in "kv"]


def write_graphs(folder: Path, shape: Architecture, target: Path) -> dict[str, Any]:
    """Write ``encoder.onnx`` and ``step.onnx`` in float32 to ``target``.

    Returns the tables of the relative position bias, ``encoder.bias`` and ``decoder.bias
    [buckets, heads]``, from which callers compute the graphs' ``bias`` inputs.
    Shapes: ``tokens [B, T]``, ``bias [B, H, T, keys]``, ``mask [B, 1, 1, S]``, keys and values
    ``[B, H, places, D]``, ``best`` and ``score [B, T]``. A graph must be under 2 GB.
    """
    from ...engines.t5.weights import fused, opened

    encoder, step, tables = _Graph(shape), _Graph(shape), {}
    with opened(folder) as read:
        for name, tensor in fused(shape, read):
            array = tensor.numpy()
            if name.endswith(".bias"):
                tables[name] = array.copy()
            elif name == "embedding":
                encoder.weight(name, array)
                step.weight(name, array)
            else:
                graph = encoder if name.startswith(("encoder.", "cross_kv")) else step
                graph.weight(name, array.T)
    _encoder(encoder)
    encoder.save(target / "encoder.onnx")
    _step(step)
    step.save(target / "step.onnx")
    return tables


class _Graph:
    """A graph under construction; each method returns the name of the value it adds."""

    def __init__(self, shape: Architecture) -> None:
        import numpy as np

        self.shape = shape
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: set[str] = set()
        self.weight("ones", np.ones(shape.width, np.float32))
        self.weight("epsilon", np.array(shape.epsilon, np.float32))
        self.weight("two", np.array(2.0, np.float32))

    def weight(self, name: str, array: np.ndarray[Any, Any]) -> str:
        from onnx import numpy_helper

        # Contiguous and copied: memory mapped from a file is lost when the file is closed.
        self._weights.append(numpy_helper.from_array(array.copy(order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        import numpy as np

        name = "integers_" + "_".join(map(str, values))
        if name not in self._constants:
            self._constants.add(name)
            self.weight(name, np.array(values, np.int64))
        return name

    def input(self, name: str, dimensions: Sequence[str | int], *, integer: bool = False) -> str:
        self._inputs.append(_value(name, dimensions, integer=integer))
        return name

    def output(self, name: str, dimensions: Sequence[str | int], *, integer: bool = False) -> None:
        self._outputs.append(_value(name, dimensions, integer=integer))

    def many(self, op: str, inputs: Sequence[str], names: Sequence[str], **options: Any) -> None:
        from onnx import helper

        name = f"node_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, names, name, **options))

    def add(self, op: str, *inputs: str, name: str = "", **options: Any) -> str:
        name = name or f"value_{len(self._nodes)}"
        self.many(op, inputs, [name], **options)
        return name

    def save(self, path: Path) -> None:
        import onnx
        from onnx import helper

        graph = helper.make_graph(self._nodes, "t5", self._inputs, self._outputs, self._weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
        )
        onnx.save(model, path)

    def normed(self, x: str) -> str:
        """Add RMSNorm in the form that ONNX Runtime fuses; its scale is in the next matrix."""
        mean = self.add("ReduceMean", self.add("Pow", x, "two"), self.integers(-1), keepdims=1)
        root = self.add("Sqrt", self.add("Add", mean, "epsilon"))
        return self.add("Mul", self.add("Div", x, root), "ones")

    def heads(self, x: str, name: str = "") -> str:
        """Reshape ``[B, T, inner]`` to ``[B, H, T, D]``."""
        split = self.add("Reshape", x, self.integers(0, 0, self.shape.heads, self.shape.kv))
        return self.add("Transpose", split, name=name, perm=[0, 2, 1, 3])

    def split(self, x: str, count: int) -> list[str]:
        """Split the last axis into equal parts."""
        names = [f"{x}_part_{index}" for index in range(count)]
        self.many("Split", [x], names, axis=-1, num_outputs=count)
        return names

    def attended(self, q: str, k: str, v: str, bias: str, matrix: str, x: str) -> str:
        """Add attention with its residual connection to ``x``, ``[B, T, width]``."""
        scores = self.add("MatMul", q, self.add("Transpose", k, perm=[0, 1, 3, 2]))
        mixed = self.add("MatMul", self.add("Softmax", self.add("Add", scores, bias), axis=-1), v)
        rows = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        rows = self.add("Reshape", rows, self.integers(0, 0, self.shape.inner))
        return self.add("Add", self.add("MatMul", rows, matrix), x)

    def feed_forward(self, x: str, name: str) -> str:
        h = self.add("MatMul", self.normed(x), f"{name}.wi")
        gate, *linear = self.split(h, 2) if self.shape.gated else [h]
        activation = self.shape.activation
        if activation == "relu":
            gate = self.add("Relu", gate)
        elif activation == "silu":
            gate = self.add("Mul", gate, self.add("Sigmoid", gate))
        else:
            exact = "none" if activation == "gelu" else "tanh"
            gate = self.add("Gelu", gate, approximate=exact)
        h = self.add("Mul", gate, linear[0]) if linear else gate
        return self.add("Add", self.add("MatMul", h, f"{name}.wo"), x)


def _encoder(graph: _Graph) -> None:
    shape = graph.shape
    tokens = graph.input("tokens", ("batch", "length"), integer=True)
    bias = graph.input("bias", ("batch", shape.heads, "length", "length"))
    x = graph.add("Gather", "embedding", tokens)
    for index in range(shape.encoder_layers):
        name = f"encoder.{index}"
        qkv = graph.add("MatMul", graph.normed(x), f"{name}.qkv")
        q, k, v = map(graph.heads, graph.split(qkv, 3))
        x = graph.attended(q, k, v, bias, f"{name}.o", x)
        x = graph.feed_forward(x, name)
    kv = graph.add("MatMul", graph.normed(x), "cross_kv")
    names = cache_names("cross", shape.decoder_layers)
    for name, part in zip(names, graph.split(kv, len(names)), strict=True):
        graph.heads(part, name)
        graph.output(name, ("batch", shape.heads, "length", shape.kv))


def _step(graph: _Graph) -> None:
    shape = graph.shape
    tokens = graph.input("tokens", ("batch", "count"), integer=True)
    bias = graph.input("bias", ("batch", shape.heads, "count", "places"))
    mask = graph.input("mask", ("batch", 1, 1, "length"))
    x = graph.add("Gather", "embedding", tokens)
    for name in cache_names("cross", shape.decoder_layers):
        graph.input(name, ("batch", shape.heads, "length", shape.kv))
    for index in range(shape.decoder_layers):
        name = f"decoder.{index}"
        qkv = graph.add("MatMul", graph.normed(x), f"{name}.qkv")
        q, *new = map(graph.heads, graph.split(qkv, 3))
        cached = []
        for part, added in zip("kv", new, strict=True):
            past = graph.input(f"past.{index}.{part}", ("batch", shape.heads, "before", shape.kv))
            cached.append(graph.add("Concat", past, added, name=f"cached.{index}.{part}", axis=2))
            graph.output(cached[-1], ("batch", shape.heads, "places", shape.kv))
        x = graph.attended(q, cached[0], cached[1], bias, f"{name}.o", x)
        q = graph.heads(graph.add("MatMul", graph.normed(x), f"{name}.cross_q"))
        k, v = f"cross.{index}.k", f"cross.{index}.v"
        x = graph.attended(q, k, v, mask, f"{name}.cross_o", x)
        x = graph.feed_forward(x, name)
    logits = graph.add("MatMul", graph.normed(x), "head")
    graph.add("ArgMax", logits, name="best", axis=-1, keepdims=0)
    graph.add("ReduceMax", logits, graph.integers(-1), name="score", keepdims=0)
    graph.output("best", ("batch", "count"), integer=True)
    graph.output("score", ("batch", "count"))


def _value(name: str, dimensions: Sequence[str | int], *, integer: bool) -> Any:
    from onnx import TensorProto, helper

    kind = TensorProto.INT64 if integer else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, dimensions)
