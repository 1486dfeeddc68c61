"""Runs the encoder and the decoder's steps for a batch.

The decoding loops know the protocols ``Steps`` (a loaded model) and ``Session`` (a batch that is
being decoded) only. ``TorchSteps`` implements them on torch; another runtime, such as ONNX
Runtime, can do the same.
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

_ROUND = 16


def _rounded(length: int) -> int:
    """Return ``length`` rounded up to a multiple of 16, for the places of an attention.

    Attention over 16, 32 or 48 places gives the same bits if the additional places are masked
    (measured with torch's MKL); over 13 and 24 places it does not.
    """
    return -(-length // _ROUND) * _ROUND


class Session(Protocol):
    """A batch of sequences: encoded inputs, and the attention cache of their decoded tokens."""

    def step(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> tuple[list[list[int]], bool]:
        """Run one decoder step over equally many ``tokens`` of each sequence.

        ``positions`` are those of each sequence's first token in its output. Where a sequence has
        fewer tokens, the rest may be any. Return the best next token after each token, and
        whether all scores were finite. Tokens that turn out wrong are overwritten by running
        others at their positions.
        """
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only the sequences at these rows, in this order; rows may repeat."""
        ...


class Steps(Protocol):
    """A loaded model."""

    def begin(self, inputs: Sequence[Sequence[int]]) -> Session:
        """Encode inputs (token ids) and return their session; no input affects another."""
        ...


class TorchSteps:
    """Encoder and decoder step on torch, compiled by tracing.

    ``max_tokens`` is the most tokens of an output, ``max_input`` of an input. ``trace`` compiles
    the step, ``trace_logits`` also the one that returns all logits. Concurrency: owned by one
    thread. All sessions use the same cache, so that a new session ends the one before.
    """

    def __init__(
        self,
        shape: Architecture,
        linears: Mapping[str, Linear],
        tensors: Mapping[str, Tensor],
        *,
        max_tokens: int,
        max_input: int,
        trace: bool = True,
        trace_logits: bool = False,
    ) -> None:
        self.shape = shape
        self.max_tokens = max_tokens
        # Guesses after the last token need places, too.
        self._places = _rounded(max_tokens + BLOCK)
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
        self._step = compiled(decoder, self._examples(), trace=trace)
        self._logits: Any = None

    def begin(self, inputs: Sequence[Sequence[int]]) -> TorchSession:
        """Encode inputs; see ``Steps``."""
        return TorchSession(self, inputs)

    def encode(self, inputs: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Run the encoder for padded inputs.

        Return the keys and values of all cross-attentions, ``[layers, 2, B*H, P, D]``, and the
        mask of the padding, ``[B*H, 1, P]``.
        """
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
        """Return the cache ``[layers, C*2*B, H*D]``; its numbers are stale, but finite."""
        shape = self.shape
        rows = self._places * 2 * batch
        size = shape.decoder_layers * rows * shape.inner
        if self._buffer.numel() < size:
            self._buffer = torch.zeros(size)
        return self._buffer[:size].view(shape.decoder_layers, rows, shape.inner)

    def forget(self) -> None:
        """Drop the cache after a step that computed NaN or infinity, which would stay in it."""
        self._buffer = torch.zeros(0)

    def places(self, count: int, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """Return ``slots``, ``pick`` and ``bias`` for ``count`` tokens; see ``Decoder``."""
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
        """Run a step that returns the best tokens; see ``Decoder``."""
        found: tuple[Tensor, Tensor] = self._step(*arguments)
        return found

    def logits(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        """Run a step that returns all logits; it is compiled at the first call."""
        if self._logits is None:
            decoder = Decoder(self.shape, *self._parts, logits=True)
            self._logits = compiled(decoder, self._examples(), trace=self._trace_logits)
        found: tuple[Tensor, Tensor] = self._logits(*arguments)
        return found

    def _encoder_example(self, batch: int, length: int) -> tuple[Tensor, Tensor]:
        bias = torch.zeros(batch * self.shape.heads, length, length)
        return torch.full((batch, length), self.shape.end), bias

    def _examples(self) -> list[tuple[Tensor, ...]]:
        """Return example arguments for compiling a step; each set has a whole cache."""
        return [self._example(*sizes) for sizes in ((1, 3), (1, 1), (1, 8), (2, 3))]

    def _example(self, batch: int, count: int) -> tuple[Tensor, ...]:
        shape, heads = self.shape, batch * self.shape.heads
        cross = torch.zeros(shape.decoder_layers, 2, heads, 5, shape.kv)
        tokens = torch.full((batch, count), shape.end)
        cache, mask = self.cache(batch).clone(), torch.zeros(heads, 1, 5)
        return tokens, *self.places(count, [1] * batch), cache, cross, mask


class TorchSession:
    """A ``Session`` of ``TorchSteps``."""

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
        """Run a step; return the logits after each token, ``[B, T, vocabulary]``."""
        logits, _ = self._steps.logits(*self._arguments(tokens, positions))
        return logits.view(self._batch, -1, logits.shape[-1])

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some sequences; see ``Session``."""
        size, index = self._batch, torch.tensor(rows)

        def select(tensor: Tensor, axis: int) -> Tensor:
            """Select sequences along ``axis``, which has ``size`` sequences of several rows."""
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
