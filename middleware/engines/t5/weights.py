"""Reads a checkpoint's tensors and fuses them into few, large matrices.

Fused into one matrix are: q, k and v of a self-attention; both inputs of a gated feed-forward;
k and v of all cross-attentions, which all read the encoder's output. The scale of each RMSNorm is
multiplied into the matrix after it, and the scale of the output into the head. All is float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from ...errors import ModelError
from ..checkpoint_files import weight_files
from .architecture import Architecture

if TYPE_CHECKING:
    import torch

Read = Callable[..., "torch.Tensor"]
"""Returns the first tensor that exists under one of the given names, in float32."""

MATRICES = ("qkv", "o", "cross_q", "cross_o", "wi", "wo", "cross_kv", "head")
"""The last parts of the names of tensors that are matrices of linear layers."""


def fused(shape: Architecture, read: Read) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the engine's tensors with their names, one at a time, which saves memory.

    Names are ``encoder.0.qkv``, ``decoder.0.cross_q``, ``embedding`` and so on; matrices are
    ``[out, in]``. Errors: ``ModelError`` for a tensor that is missing or has another size than
    the configuration says.
    """
    import torch

    inner, width = shape.inner, shape.width
    embedding_names = (
        "shared.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "lm_head.weight",
    )
    embedding = read(*embedding_names)
    if embedding.shape[1] != width or embedding.shape[0] < shape.vocabulary:
        raise ModelError(
            f"the embedding has the shape {tuple(embedding.shape)}, and config.json says "
            f"{(shape.vocabulary, width)}"
        )
    yield "embedding", embedding

    def attention(prefix: str, norm: torch.Tensor) -> torch.Tensor:
        parts = [read(f"{prefix}.{name}.weight", rows=inner, columns=width) for name in "qkv"]
        return torch.cat(parts) * norm

    def feed_forward(prefix: str, name: str) -> Iterator[tuple[str, torch.Tensor]]:
        norm = read(f"{prefix}.layer_norm.weight")
        dense, ff = f"{prefix}.DenseReluDense", shape.feed_forward
        names = ("wi_0", "wi_1") if shape.gated else ("wi",)
        parts = [read(f"{dense}.{wi}.weight", rows=ff, columns=width) for wi in names]
        yield f"{name}.wi", torch.cat(parts) * norm
        yield f"{name}.wo", read(f"{dense}.wo.weight", rows=width, columns=ff)

    for stack, layers in (("encoder", shape.encoder_layers), ("decoder", shape.decoder_layers)):
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield f"{stack}.bias", read(bias, rows=shape.buckets, columns=shape.heads)
        for index in range(layers):
            layer, name = f"{stack}.block.{index}.layer", f"{stack}.{index}"
            norm = read(f"{layer}.0.layer_norm.weight")
            yield f"{name}.qkv", attention(f"{layer}.0.SelfAttention", norm)
            out = f"{layer}.0.SelfAttention.o.weight"
            yield f"{name}.o", read(out, rows=width, columns=inner)
            if stack == "decoder":
                norm = read(f"{layer}.1.layer_norm.weight")
                cross = f"{layer}.1.EncDecAttention"
                query = read(f"{cross}.q.weight", rows=inner, columns=width)
                yield f"{name}.cross_q", query * norm
                yield f"{name}.cross_o", read(f"{cross}.o.weight", rows=width, columns=inner)
            last = 1 if stack == "encoder" else 2
            yield from feed_forward(f"{layer}.{last}", name)

    norm = read("encoder.final_layer_norm.weight")
    parts = [
        read(f"decoder.block.{index}.layer.1.EncDecAttention.{name}.weight", rows=inner)
        for index in range(shape.decoder_layers)
        for name in "kv"
    ]
    yield "cross_kv", torch.cat(parts) * norm
    norm = read("decoder.final_layer_norm.weight")
    # Files may leave the head out if it is the embedding.
    head = read("lm_head.weight", *(embedding_names[:3] if shape.tied else ()))
    yield "head", head * (norm * width**-0.5 if shape.scaled_output else norm)


@contextmanager
def opened(folder: Path) -> Iterator[Read]:
    """Open the weights of a checkpoint folder; tensors are memory-mapped until they are read.

    Errors: ``ModelError`` for files that are missing, damaged or not weights.
    """
    with ExitStack() as stack:
        try:
            tensors = _find(folder, stack)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"the weights in {folder} cannot be read: {error}") from error

        def read(*names: str, rows: int | None = None, columns: int | None = None) -> Any:
            name = next((name for name in names if name in tensors), None)
            if name is None:
                raise ModelError(f"the weights in {folder} lack {names[0]}; is it a complete T5?")
            tensor = tensors[name]().float()
            for axis, wanted in enumerate((rows, columns)):
                if wanted is not None and tensor.shape[axis] != wanted:
                    raise ModelError(
                        f"the weights in {folder} have {name} of shape {tuple(tensor.shape)}, and "
                        f"by config.json its axis {axis} is {wanted}"
                    )
            return tensor

        yield read


def _find(folder: Path, stack: ExitStack) -> dict[str, Callable[[], Any]]:
    """Return a function per tensor name that reads the tensor."""
    import torch
    from safetensors import safe_open

    found: dict[str, Callable[[], Any]] = {}
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            file = stack.enter_context(safe_open(str(path), framework="pt"))
            # Defaults bind both names now; they change with the next file.
            found |= {
                name: lambda file=file, name=name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118
            }
        else:
            # Only tensors are loaded: a pickle from elsewhere must not run code. Files from before
            # torch 1.6 are not zip archives, and only those can be mapped.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
            found |= {name: lambda tensor=tensor: tensor for name, tensor in state.items()}
    return found
