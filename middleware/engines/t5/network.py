"""The encoder and one decoding step as modules that can be traced.

Shapes: ``B`` sequences, ``T`` tokens of each in a step, ``S`` input tokens, ``C`` places in
the cache, ``H`` heads of width ``D``. Rows are tokens of all sequences, ``[B*T, width]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .linear import FloatLinear, Int8Linear

__all__ = ["BLOCK", "Decoder", "Encoder", "Linear", "position_buckets"]

Linear = Int8Linear | FloatLinear

BLOCK = 8
"""Most tokens of one sequence in one step."""


class _Part(nn.Module):
    """What both stacks share: norm, attention over given keys, feed-forward."""

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
        """What RMSNorm multiplies each row by; its scale is folded into the next matrix."""
        squares = (x * x).sum(-1, keepdim=True)
        return torch.add(self.epsilon, squares, alpha=1 / self.shape.width).rsqrt()

    def rows(self, attended: Tensor, batch: int, count: int) -> Tensor:
        """Bring the first ``count`` places of ``attended [B*H, P, D]`` into rows."""
        split = attended[:, :count].view(batch, self.shape.heads, count, self.shape.kv)
        return split.transpose(1, 2).reshape(batch * count, self.shape.inner)

    def feed_forward(self, x: Tensor, name: str) -> Tensor:
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
    """Attention of ``q [B*H, T, D]`` over ``k`` and ``v [B*H, S, D]``; T5 does not scale."""
    scores = torch.baddbmm(bias, q, k.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), v)


class Encoder(_Part):
    """Input tokens to the keys and values of all cross-attentions."""

    def __init__(
        self, shape: Architecture, linears: Mapping[str, Linear], embedding: Tensor
    ) -> None:
        names = [f"encoder.{i}.{n}" for i in range(shape.encoder_layers) for n in _ENCODER]
        super().__init__(shape, linears, [*names, "cross_kv"])
        self.embedding = embedding

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Encode ``tokens [B, S]`` with ``bias [B*H, P, P]`` (positions and padding).

        ``P`` is ``S`` or more, places behind ``S`` being as good as none. Returns
        ``[decoder layers, 2, B*H, P, D]``: keys and values.
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


class Decoder(_Part):
    """One step over ``T`` tokens of each sequence: best next tokens, or all logits."""

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
        """Run ``tokens [B, T]``; the cache is written in place.

        ``slots [B*T*2]`` are the rows of ``cache [layers, C*2*B, H*D]`` for each token's new
        key and value; ``pick [B*BLOCK]`` the rows that fill a block of each sequence, its own
        first; ``bias [B*H, BLOCK, P]`` holds positions and what may not be seen, ``P`` being
        the places in use; ``cross [layers, 2, B*H, S, D]`` and ``mask [B*H, 1, S]`` are the
        encoder's. Returns the best next token after each row and its score (not a logit with
        int8), or with ``logits`` all logits and the best of each row.
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
        # The norm multiplies a row by one positive number: its best token stays the best.
        score, best = head.direction(x).max(-1)
        # An int8 product is some number whatever its input is: what is none has to show.
        return best, score + 0 * x.sum(-1)

    def _block(self, q: Tensor, pick: Tensor, heads: int) -> Tensor:
        """Fill up to ``BLOCK`` tokens: products of one size round alike, others do not."""
        split = q.index_select(0, pick).view(-1, BLOCK, self.shape.heads, self.shape.kv)
        return split.transpose(1, 2).reshape(heads, BLOCK, self.shape.kv)


_ENCODER = ("qkv", "o", "wi", "wo")
_DECODER = ("qkv", "o", "cross_q", "cross_o", "wi", "wo")


def position_buckets(shape: Architecture, queries: int, keys: int, *, causal: bool) -> Tensor:
    """Return the bucket ``[queries, keys]`` of each relative position (T5 paper, section 2.1).

    Half the buckets are for one distance each, the others for distances that grow
    logarithmically; without ``causal`` half of all are for keys to the right.
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
    # float32 as in the reference, so that borders of buckets fall alike.
    far = torch.log(distance.float() / exact) / math.log(shape.max_distance / exact)
    far = exact + (far * (buckets - exact)).clamp(-exact, buckets).long()
    return start + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))
