"""The T5's shape, and initial weights that already copy the source.

The initial weights contain an induction circuit (Olsson et al. 2022,
https://arxiv.org/abs/2209.11895). Encoder heads give each position the embeddings of its three
left neighbours, decoder heads give the last tokens written, and the cross-attention of the
first decoder layer finds the position where the two agree. Its value and output maps are the
identity on all dimensions without context. Embeddings start as sums of letter features, so that
the pieces of a misspelled word resemble the correct word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the model; ``kv`` is the width of an attention head."""

    vocabulary: int = 6144
    width: int = 192
    feed_forward: int = 640
    heads: int = 3
    kv: int = 64
    encoder_layers: int = 4
    decoder_layers: int = 2


def build_config(shape: Shape) -> Any:
    """Return the transformers configuration: T5 v1.1 with tied embeddings, without dropout."""
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


def build_model(shape: Shape, seed: int, pieces: Sequence[str] = ()) -> Any:
    """Return a model that copies before any training; equal seeds give equal weights.

    ``pieces`` are the vocabulary's pieces in order, for ``initialize_embeddings``.
    """
    import torch
    from transformers import T5ForConditionalGeneration

    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(build_config(shape))
    wire_copying(model, shape, seed)
    initialize_embeddings(model, pieces, seed)
    return model


def letter_features(piece: str) -> Iterator[tuple[str, float]]:
    """Yield a piece's letters, pairs of neighbours, and pairs one letter apart, with weights."""
    letters = piece.replace("▁", "^").lower()
    for index, letter in enumerate(letters):
        yield letter, 1.0
        if index + 1 < len(letters):
            yield letter + letters[index + 1], 1.5
        if index + 2 < len(letters):
            yield letter + "." + letters[index + 2], 0.75


def initialize_embeddings(model: Any, pieces: Sequence[str], seed: int, share: float = 0.6) -> None:
    """Set ``share`` of each embedding's energy by its piece's spelling; the rest stays random."""
    import torch

    generator = torch.Generator().manual_seed(seed + 2)
    weight = model.shared.weight
    vectors: dict[str, Any] = {}
    with torch.no_grad():
        for index, piece in enumerate(pieces):
            if piece.startswith("<") and piece.endswith(">"):
                continue
            total = torch.zeros(weight.shape[1])
            for feature, strength in letter_features(piece):
                if feature not in vectors:
                    vectors[feature] = torch.randn(weight.shape[1], generator=generator)
                total += strength * vectors[feature]
            features = total / total.square().mean().sqrt()
            weight[index] = (1 - share) ** 0.5 * weight[index] + share**0.5 * features


# For each of the last three tokens: the number of compared dimensions, and a match's logit.
_CONTEXT = ((24, 24.0), (16, 14.0), (8, 5.0))
_GAIN = 2.0


def wire_copying(model: Any, shape: Shape, seed: int) -> None:
    """Write the induction circuit into fresh weights, and scale down all other branches.

    It uses up to three heads; a head narrower than 64 compares fewer dimensions.
    """
    import torch

    generator = torch.Generator().manual_seed(seed + 1)

    def random_rotation() -> Any:
        square = torch.randn(shape.width, shape.width, generator=generator)
        return torch.linalg.qr(square).Q

    kv, width = shape.kv, shape.width
    sizes = [size * kv // 64 for size, _ in _CONTEXT[: shape.heads]]
    reading, writing = random_rotation(), random_rotation().T
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    reads = [reading[a : a + n] for a, n in zip(starts, sizes, strict=True)]
    writes = [writing[a : a + n] for a, n in zip(starts, sizes, strict=True)]
    queries, keys = torch.zeros(kv, width), torch.zeros(kv, width)
    for index, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        # The last token written is the decoder's own input and has no gain.
        gain = _GAIN if index == 0 else _GAIN**2
        scale = (_CONTEXT[index][1] / (size * gain)) ** 0.5
        rows = slice(start, start + size)
        queries[rows] = scale * (reads[0] if index == 0 else writes[index])
        keys[rows] = scale * writes[index]
    used = torch.cat(writes)
    content = torch.eye(width) - used.T @ used
    with torch.no_grad():
        for stack in (model.encoder, model.decoder):
            for block in stack.block:
                block.layer[0].SelfAttention.o.weight.mul_(0.2)
                block.layer[-1].DenseReluDense.wo.weight.mul_(0.2)
        for stack, first in ((model.encoder, 0), (model.decoder, 1)):
            attention = stack.block[0].layer[0].SelfAttention
            attention.relative_attention_bias.weight.mul_(0.2)
            for index in range(first, len(sizes)):
                head, size = index - first, sizes[index]
                rows = slice(head * kv, head * kv + size)
                # Bucket n is the n-th neighbour to the left, bucket 0 the position itself.
                attention.relative_attention_bias.weight[index + 1 - first, head] = 6.0
                attention.relative_attention_bias.weight[0, head] = 1.0
                for part in (attention.q, attention.k):
                    part.weight[head * kv : (head + 1) * kv].mul_(0.1)
                attention.v.weight[rows] = _GAIN * reads[index]
                attention.o.weight[:, rows] = writes[index].T
        for index, block in enumerate(model.decoder.block):
            cross = block.layer[1].EncDecAttention
            if index == 0:
                cross.q.weight.copy_(queries.repeat(shape.heads, 1))
                cross.k.weight.copy_(keys.repeat(shape.heads, 1))
            strength = 6.0 if index == 0 else 0.5
            inner = shape.heads * kv
            values = torch.zeros(inner, width)
            values[: min(inner, width)] = torch.eye(min(inner, width), width)
            cross.v.weight.copy_(strength * values @ content)
            cross.o.weight.copy_(values.T)
