"""The seam between the decoding loop and what computes a step, and its form on torch.

The loop knows ``Steps`` and ``Session`` only; another runtime's step (ONNX Runtime,
say) takes torch's place by offering the same two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .architecture import Architecture
from .network import BLOCK, Decoder, Encoder, Linear, position_buckets
from .tracing import compiled

__all__ = ["BLOCK", "Session", "Steps", "TorchSteps"]

_ROUND = 16


def _rounded(length: int) -> int:
    """Return the places for an input of ``length`` tokens: sums over more of them round alike.

    Attention over 16, 32, 48 places gives the same bits where the further ones are masked
    (measured with torch's MKL); over 13 and 24 it does not.
    """
    return -(-length // _ROUND) * _ROUND


class Session(Protocol):
    """Encoded inputs and what was decoded for them so far."""

    def step(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> tuple[list[list[int]], bool]:
        """Run as many ``tokens`` for each sequence, the first at its position.

        Tokens after a sequence's last real one may be anything. Returns the best next token
        after each, and whether all scores were finite.
        """
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Make the given rows the session's sequences, in that order; rows may repeat."""
        ...


class Steps(Protocol):
    """A model ready to run."""

    def begin(self, inputs: Sequence[Sequence[int]]) -> Session:
        """Encode the inputs, padded as needed; their results do not depend on each other."""
        ...


class TorchSteps:
    """Encoder and step on torch, traced; one cache that sessions take in turn.

    ``places`` is the most tokens of an output. Concurrency: owned by one thread, and a new
    session ends the one before.
    """

    def __init__(
        self,
        shape: Architecture,
        linears: Mapping[str, Linear],
        tensors: Mapping[str, Tensor],
        *,
        places: int,
        max_input: int,
        trace: bool = True,
        trace_logits: bool = False,
    ) -> None:
        self.shape = shape
        self.most_tokens = places
        # Guesses behind the last token have places, too; as many as steps look at in any company.
        self._places = _rounded(places + BLOCK)
        self._trace_logits = trace and trace_logits
        self._parts = (linears, tensors["embedding"])
        longest = _rounded(max_input)
        buckets = position_buckets(shape, longest, longest, causal=False)
        self._encoder_bias = tensors["encoder.bias"].float()[buckets].permute(2, 0, 1).contiguous()
        buckets = position_buckets(shape, self._places, self._places, causal=True)
        bias = tensors["decoder.bias"].float()[buckets].permute(2, 0, 1)
        unseen = torch.ones(self._places, self._places, dtype=torch.bool).triu(1)
        self._decoder_bias = bias.masked_fill(unseen, float("-inf")).contiguous()
        self._slots = torch.arange(2 * self._places)
        picks = torch.arange(BLOCK).expand(BLOCK, -1)
        self._picks = picks.where(picks <= torch.arange(BLOCK)[:, None], 0)
        self._buffer = torch.zeros(0)
        encoder, decoder = Encoder(shape, *self._parts), Decoder(shape, *self._parts)
        examples = [self._encoder_example(*sizes) for sizes in ((1, 5), (1, 9), (2, 7))]
        self._encode = compiled(encoder, examples, trace=trace)
        self._best = compiled(decoder, self._examples(), trace=trace)
        self._logits: Any = None

    def begin(self, inputs: Sequence[Sequence[int]]) -> TorchSession:
        """Encode; see ``Steps``."""
        return TorchSession(self, inputs)

    def encode(self, inputs: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return cross keys and values ``[layers, 2, B*H, P, D]``, and mask ``[B*H, 1, P]``."""
        heads, batch, longest = self.shape.heads, len(inputs), max(map(len, inputs))
        pad, places = self.shape.pad, _rounded(longest)
        tokens = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in inputs])
        lengths = torch.tensor([len(row) for row in inputs])
        unseen = torch.arange(places)[None] >= lengths[:, None]
        mask = torch.zeros(unseen.shape).masked_fill_(unseen, float("-inf"))
        mask = mask[:, None, None].expand(-1, heads, -1, -1).reshape(-1, 1, places)
        bias = self._encoder_bias[:, :places, :places]
        return self._encode(tokens, bias.repeat(batch, 1, 1) + mask), mask

    def cache(self, batch: int) -> Tensor:
        """Return the cache ``[layers, C*2*B, H*D]``; what it holds is stale, but finite."""
        shape = self.shape
        rows = self._places * 2 * batch
        size = shape.decoder_layers * rows * shape.inner
        if self._buffer.numel() < size:
            self._buffer = torch.zeros(size)
        return self._buffer[:size].view(shape.decoder_layers, rows, shape.inner)

    def forget(self) -> None:
        """Drop the cache, as it holds numbers that are not finite."""
        self._buffer = torch.zeros(0)

    def places(self, count: int, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """Return a step's ``slots``, ``pick`` and ``bias``; see ``Decoder``."""
        used, batch = min(_rounded(max(positions) + count), self._places), len(positions)
        if batch == 1:
            first = positions[0]
            slots = self._slots[2 * first : 2 * (first + count)]
            bias = self._decoder_bias[:, first : first + BLOCK, :used]
            return slots, self._picks[count - 1], bias
        heads, where = self.shape.heads, torch.tensor(positions)[:, None] + torch.arange(BLOCK)
        rows = torch.arange(batch)[:, None, None]
        slots = (2 * where[:, :count, None] + torch.arange(2)) * batch + rows
        pick = self._picks[count - 1] + torch.arange(0, batch * count, count)[:, None]
        bias = self._decoder_bias[:, :, :used][:, where].transpose(0, 1)
        return slots.view(-1), pick.view(-1), bias.reshape(batch * heads, BLOCK, used)

    def best(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        """Run a step; see ``Decoder``."""
        found: tuple[Tensor, Tensor] = self._best(*arguments)
        return found

    def logits(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        """Run a step for all logits; made when first asked for."""
        if self._logits is None:
            decoder = Decoder(self.shape, *self._parts, logits=True)
            self._logits = compiled(decoder, self._examples(), trace=self._trace_logits)
        found: tuple[Tensor, Tensor] = self._logits(*arguments)
        return found

    def _encoder_example(self, batch: int, length: int) -> tuple[Tensor, Tensor]:
        bias = torch.zeros(batch * self.shape.heads, length, length)
        return torch.full((batch, length), self.shape.end), bias

    def _examples(self) -> list[tuple[Tensor, ...]]:
        """Arguments of a step; each set has a cache, and they are not kept for its size."""
        return [self._example(*sizes) for sizes in ((1, 3), (1, 1), (1, 8), (2, 3))]

    def _example(self, batch: int, count: int) -> tuple[Tensor, ...]:
        shape, heads = self.shape, batch * self.shape.heads
        cross = torch.zeros(shape.decoder_layers, 2, heads, 5, shape.kv)
        tokens = torch.full((batch, count), shape.end)
        cache, mask = self.cache(batch).clone(), torch.zeros(heads, 1, 5)
        return tokens, *self.places(count, [1] * batch), cache, cross, mask


class TorchSession:
    """Sequences that are being decoded; see ``Session``."""

    def __init__(self, steps: TorchSteps, inputs: Sequence[Sequence[int]]) -> None:
        self._steps = steps
        self._batch = len(inputs)
        self._cross, self._mask = steps.encode(inputs)
        self._cache = steps.cache(self._batch)

    def step(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> tuple[list[list[int]], bool]:
        """Run a step; see ``Session``."""
        best, score = self._steps.best(*self._arguments(tokens, positions))
        finite = all(map(math.isfinite, score.tolist()))
        if not finite:
            self._steps.forget()
        found: list[list[int]] = best.view(self._batch, -1).tolist()
        return found, finite

    def logits(self, tokens: Sequence[Sequence[int]], positions: Sequence[int]) -> Tensor:
        """Run a step and return all logits ``[B, T, vocabulary]``."""
        logits, _ = self._steps.logits(*self._arguments(tokens, positions))
        return logits.view(self._batch, -1, logits.shape[-1])

    def keep(self, rows: Sequence[int]) -> None:
        """Select rows; see ``Session``."""
        size, index = self._batch, torch.tensor(rows)

        def select(tensor: Tensor, axis: int) -> Tensor:
            """Select along ``axis``, which holds sequences and what there is of each."""
            before, after = tensor.shape[:axis], tensor.shape[axis + 1 :]
            parts = tensor.view(*before, size, -1, *after).index_select(axis, index)
            return parts.flatten(axis, axis + 1)

        layers, _, inner = self._cache.shape
        cache = self._cache.view(layers, -1, size, inner).index_select(2, index)
        self._cache = cache.flatten(1, 2)
        self._cross, self._mask = select(self._cross, 2), select(self._mask, 0)
        self._batch = len(rows)

    def _arguments(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> tuple[Tensor, ...]:
        places = self._steps.places(len(tokens[0]), positions)
        return torch.tensor(tokens), *places, self._cache, self._cross, self._mask
