"""The encoder and one step of the decoder as modules that can be traced.

Letters in shapes: ``B`` sequences, ``T`` tokens of each in a step, ``S`` input tokens, ``P``
places of an attention, ``C`` places in the cache, ``H`` heads of width ``D``. Rows ``[B*T, width]``
are the tokens of all sequences. The decoder's cache holds the keys and values of self-attention
for every token so far; those of cross-attention come from the encoder, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .linear import FloatLinear, Int8Linear

Linear = Int8Linear | FloatLinear

BLOCK = 8
"""The most tokens of one sequence in one step: its last token, and guesses."""


class _Stack(nn.Module):
    """The parts that encoder and decoder share: norm and feed-forward."""

    def __init__(
        self, shape: Architecture, linears: Mapping[str, Linear], names: list[str]
    ) -> None:
        super().__init__()
        self.shape = shape
        self.epsilon = torch.full((), shape.epsilon)
        self.linears = nn.ModuleDict({name.replace(".", "_"): linears[name] for name in names})

    def linear(self, name: str) -> Linear:
        found = self.linears[name.replace(".", "_")]
        assert isinstance(found, Int8Linear | FloatLinear)
        return found

    def factor(self, x: Tensor) -> Tensor:
        """Return the factor by which RMSNorm multiplies each row, ``[rows, 1]``.

        RMSNorm's scale is part of the next matrix.
        """
        squares = (x * x).sum(-1, keepdim=True)
        return torch.add(self.epsilon, squares, alpha=1 / self.shape.width).rsqrt()

    def rows(self, attended: Tensor, batch: int, count: int) -> Tensor:
        """Return the first ``count`` places of ``attended [B*H, P, D]`` as rows."""
        split = attended[:, :count].view(batch, self.shape.heads, count, self.shape.kv)
        return split.transpose(1, 2).reshape(batch * count, self.shape.inner)

    def feed_forward(self, x: Tensor, name: str) -> Tensor:
        """Return the rows ``x`` after a feed-forward block, residual included."""
        h = self.linear(f"{name}.wi").normed(x, self.factor(x))
        gate = h
        if self.shape.gated:
            gate, h = h.chunk(2, -1)
        activation = self.shape.activation
        if activation == "relu":
            gate = gate.relu()
        elif activation == "silu":
            gate = nn.functional.silu(gate)
        else:
            exact = "none" if activation == "gelu" else "tanh"
            gate = nn.functional.gelu(gate, approximate=exact)
        return self.linear(f"{name}.wo").add(gate * h if self.shape.gated else gate, x)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Return the attention of ``q [B*H, T, D]`` over ``k`` and ``v [B*H, S, D]``, unscaled."""
    scores = torch.baddbmm(bias, q, k.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), v)


class Encoder(_Stack):
    """Computes the keys and values of all cross-attentions from the input tokens."""

    def __init__(
        self, shape: Architecture, linears: Mapping[str, Linear], embedding: Tensor
    ) -> None:
        names = [f"encoder.{i}.{n}" for i in range(shape.encoder_layers) for n in _ENCODER]
        super().__init__(shape, linears, [*names, "cross_kv"])
        self.embedding = embedding

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Encode ``tokens [B, S]`` with ``bias [B*H, P, P]`` for positions and padding.

        ``P`` is at least ``S``; the bias masks places after ``S``. Return keys and values,
        ``[decoder layers, 2, B*H, P, D]``.
        """
        shape = self.shape
        batch, length = tokens.shape
        places = bias.shape[-1]
        x = self.embedding[tokens.reshape(-1)].float()
        for index in range(shape.encoder_layers):
            name = f"encoder.{index}"
            qkv = self.linear(f"{name}.qkv").normed(x, self.factor(x))
            heads = qkv.view(batch, length, 3, shape.heads, shape.kv).permute(2, 0, 3, 1, 4)
            heads = heads.reshape(3, batch * shape.heads, length, shape.kv)
            q, k, v = nn.functional.pad(heads, (0, 0, 0, places - length)).unbind(0)
            x = self.linear(f"{name}.o").add(self.rows(_attend(q, k, v, bias), batch, length), x)
            x = self.feed_forward(x, name)
        kv = self.linear("cross_kv").normed(x, self.factor(x))
        kv = kv.view(batch, length, shape.decoder_layers, 2, shape.heads, shape.kv)
        kv = kv.permute(2, 3, 0, 4, 1, 5)
        kv = kv.reshape(shape.decoder_layers, 2, batch * shape.heads, length, shape.kv)
        return nn.functional.pad(kv, (0, 0, 0, places - length))


class Decoder(_Stack):
    """One step over ``T`` tokens of each sequence: the best next tokens, or all logits."""

    def __init__(
        self,
        shape: Architecture,
        linears: Mapping[str, Linear],
        embedding: Tensor,
        *,
        logits: bool = False,
    ) -> None:
        names = [f"decoder.{i}.{n}" for i in range(shape.decoder_layers) for n in _DECODER]
        super().__init__(shape, linears, [*names, "head"])
        self.embedding = embedding
        self.logits = logits

    def forward(
        self,
        tokens: Tensor,
        slots: Tensor,
        pick: Tensor,
        bias: Tensor,
        cache: Tensor,
        cross: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Run a step over ``tokens [B, T]``; it writes their keys and values to the cache.

        ``slots [B*T*2]`` are the rows of ``cache [layers, C*2*B, H*D]`` for the key and the value
        of each token. ``pick [B*BLOCK]`` are the rows that make a block of each sequence: its
        ``T`` own, then repetitions. ``bias [B*H, BLOCK, P]`` has the position biases and masks
        later tokens; ``P`` are the cache's places in use. ``cross [layers, 2, B*H, S, D]`` and
        ``mask [B*H, 1, S]`` are those of the encoder.

        Return the best next token after each row, and its score (with int8 not a logit). With
        ``logits``, return all logits, and the largest of each row.
        """
        shape = self.shape
        batch, count = tokens.shape
        heads, places = batch * shape.heads, bias.shape[-1]
        x = self.embedding[tokens.reshape(-1)].float()
        mask = mask.expand(-1, BLOCK, -1)
        for index in range(shape.decoder_layers):
            name = f"decoder.{index}"
            qkv = self.linear(f"{name}.qkv").normed(x, self.factor(x))
            store = cache[index]
            store.index_copy_(0, slots, qkv[:, shape.inner :].reshape(-1, shape.inner))
            kept = store[: places * 2 * batch].view(places, 2, heads, shape.kv)
            k, v = kept.permute(1, 2, 0, 3).unbind(0)
            q = self._block(qkv[:, : shape.inner], pick, heads)
            seen = self.rows(_attend(q, k, v, bias), batch, count)
            x = self.linear(f"{name}.o").add(seen, x)

            q = self.linear(f"{name}.cross_q").normed(x, self.factor(x))
            k, v = cross[index].unbind(0)
            seen = self.rows(_attend(self._block(q, pick, heads), k, v, mask), batch, count)
            x = self.linear(f"{name}.cross_o").add(seen, x)
            x = self.feed_forward(x, name)
        head = self.linear("head")
        if self.logits:
            logits = head.normed(x, self.factor(x))
            return logits, logits.amax(-1)
        # The norm multiplies a row by a positive number, which does not change its best token.
        score, best = head.direction(x).max(-1)
        # An int8 product is finite even if its input is not; adding the input shows NaN.
        return best, score + 0 * x.sum(-1)

    def _block(self, q: Tensor, pick: Tensor, heads: int) -> Tensor:
        """Return queries of ``BLOCK`` tokens: products of different sizes round differently."""
        split = q.index_select(0, pick).view(-1, BLOCK, self.shape.heads, self.shape.kv)
        return split.transpose(1, 2).reshape(heads, BLOCK, self.shape.kv)


_ENCODER = ("qkv", "o", "wi", "wo")
_DECODER = ("qkv", "o", "cross_q", "cross_o", "wi", "wo")


def position_buckets(shape: Architecture, queries: int, keys: int, *, causal: bool) -> Tensor:
    """Return the bucket of each relative position, ``[queries, keys]`` (T5 paper, section 2.1).

    Half of the buckets hold one distance each, the others ranges of distances that grow
    logarithmically. Without ``causal``, half of all buckets are for keys to the right.
    """
    distance = torch.arange(keys)[None] - torch.arange(queries)[:, None]
    buckets, start = shape.buckets, torch.zeros_like(distance)
    if not causal:
        buckets //= 2
        start = (distance > 0).long() * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp_min(0)
    exact = buckets // 2
    # In float32 as in the reference, so that the borders of buckets are equal.
    far = torch.log(distance.float() / exact) / math.log(shape.max_distance / exact)
    far = exact + (far * (buckets - exact)).clamp(-exact, buckets).long()
    return start + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))
