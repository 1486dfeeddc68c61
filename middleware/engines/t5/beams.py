"""Beam search for one input: slower than greedy decoding, sometimes better."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...errors import EngineError
from .decoding import Stats
from .steps import TorchSteps


def beam_search(
    steps: TorchSteps,
    tokens: Sequence[int],
    limit: int,
    cancelled: Callable[[], bool],
    *,
    beams: int,
    start: int,
    end: int,
    stats: Stats,
) -> list[int] | None:
    """Return the output with the highest mean log probability per token, without its end token.

    The rules are those of transformers with its defaults (length penalty 1, no early
    stopping): the search ends when the current score of no open beam beats the worst of
    ``beams`` finished ones. Return ``None`` if it was cancelled, or if the best beam has no
    end after ``limit`` tokens.
    """
    began = time.perf_counter()
    session = steps.begin([tokens])
    stats.encode_s += time.perf_counter() - began
    finished: list[tuple[float, list[int]]] = []
    outputs: list[list[int]] = [[]]
    scores = torch.zeros(1)
    for length in range(1, limit + 1):
        if cancelled():
            return None
        last = [[output[-1] if output else start] for output in outputs]
        logits = session.logits(last, [length - 1] * len(outputs))[:, 0]
        if not bool(logits.isfinite().all()):
            steps.forget()
            raise EngineError("the model computed NaN or infinity; its weights may be damaged")
        stats.steps += 1
        stats.rows += 1
        stats.tokens += 1
        total = scores[:, None] + logits.log_softmax(-1)
        outputs, scores, parents = _best(total, outputs, finished, beams, end, length)
        worst = min(finished)[0] if len(finished) == beams else float("-inf")
        if float(scores[0]) / length <= worst:
            break
        session.keep(parents)
    # At the limit an open beam may still be the best: then the output is truncated.
    cut = float(scores[0]) / length if length == limit else float("-inf")
    best = max(finished, default=None, key=lambda pair: pair[0])
    return None if best is None or best[0] < cut else best[1]


def _best(
    total: Tensor,
    outputs: list[list[int]],
    finished: list[tuple[float, list[int]]],
    beams: int,
    end: int,
    length: int,
) -> tuple[list[list[int]], Tensor, list[int]]:
    """Return the next open beams, their scores and their parents; extend ``finished``.

    ``total`` are the log probabilities ``[open beams, vocabulary]`` of the beams with each token.
    """
    vocabulary = total.shape[1]
    values, places = total.view(-1).topk(min(2 * beams, total.numel()))
    following: list[list[int]] = []
    scores: list[float] = []
    parents: list[int] = []
    for rank, (value, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
        parent, token = divmod(place, vocabulary)
        if token == end:
            # A beam that ends counts as finished only among the ``beams`` best ones.
            if rank < beams:
                finished.append((value / length, outputs[parent]))
                finished.sort(key=lambda pair: -pair[0])
                del finished[beams:]
        elif len(following) < beams:
            following.append([*outputs[parent], token])
            scores.append(value)
            parents.append(parent)
    return following, torch.tensor(scores), parents
