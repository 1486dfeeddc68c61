"""The T5's shape and a start from which it already copies.

Copying is wired in before the first step: an encoder head brings each position its left
neighbour's embedding, the first decoder layer's cross-attention looks for the position
whose left neighbour is the token just written (an induction head, Olsson et al. 2022,
https://arxiv.org/abs/2209.11895), and its value and output maps are the identity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the model; attention heads are ``kv`` wide."""

    vocabulary: int = 6144
    width: int = 192
    feed_forward: int = 640
    heads: int = 3
    kv: int = 64
    encoder_layers: int = 4
    decoder_layers: int = 2

    def to_dict(self) -> dict[str, int]:
        """Plain form for a checkpoint."""
        return asdict(self)


def build_config(shape: Shape) -> Any:
    """Make the transformers configuration: T5 v1.1 with tied embeddings, no dropout."""
    from transformers import T5Config

    config: Any = T5Config
    return config(
        vocab_size=shape.vocabulary,
        d_model=shape.width,
        d_kv=shape.kv,
        d_ff=shape.feed_forward,
        num_layers=shape.encoder_layers,
        num_decoder_layers=shape.decoder_layers,
        num_heads=shape.heads,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=64,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )


def build_model(shape: Shape, seed: int) -> Any:
    """Make a model that copies from the start; the same seed gives the same weights."""
    import torch
    from transformers import T5ForConditionalGeneration

    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(build_config(shape))
    wire_copying(model, shape, seed)
    return model


def wire_copying(model: Any, shape: Shape, seed: int) -> None:
    """Write the induction circuit into fresh weights and quieten all other branches."""
    import torch

    generator = torch.Generator().manual_seed(seed + 1)

    def frame() -> Any:
        square = torch.randn(shape.width, shape.width, generator=generator)
        return torch.linalg.qr(square).Q

    kv, width = shape.kv, shape.width
    reading, writing = frame()[:kv], frame()[:, :kv]
    with torch.no_grad():
        for stack in (model.encoder, model.decoder):
            for block in stack.block:
                block.layer[0].SelfAttention.o.weight.mul_(0.2)
                block.layer[-1].DenseReluDense.wo.weight.mul_(0.2)
        first = model.encoder.block[0].layer[0].SelfAttention
        first.relative_attention_bias.weight.mul_(0.2)
        # Bucket 1 is the left neighbour, bucket 0 the position itself (for the first one).
        first.relative_attention_bias.weight[1, 0] = 5.0
        first.relative_attention_bias.weight[0, 0] = 1.0
        for part in (first.q, first.k):
            part.weight[:kv].mul_(0.1)
        first.v.weight[:kv] = reading
        first.o.weight[:, :kv] = writing
        sharpness = (10.0 / kv) ** 0.5
        identity = torch.eye(shape.heads * kv, width)
        for index, block in enumerate(model.decoder.block):
            cross = block.layer[1].EncDecAttention
            if index == 0:
                cross.q.weight.copy_(sharpness * reading.repeat(shape.heads, 1))
                cross.k.weight.copy_(sharpness * writing.T.repeat(shape.heads, 1))
                cross.v.weight.copy_(1.5 * identity)
                cross.o.weight.copy_(identity.T)
            else:
                cross.v.weight.copy_(0.5 * identity)
                cross.o.weight.copy_(0.5 * identity.T)
