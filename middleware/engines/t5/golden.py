"""Whether quantized weights still are the model: checked at preparation and at each start.

The float32 model's own answers to a few texts, with some of its logits, are kept beside the
prepared weights. The engine reproduces them before it serves its first query.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import ModelError
from .decoding import Stats, greedy
from .steps import BLOCK, TorchSteps
from .tokenizer import Tokenizer

__all__ = ["LEAST_COSINE", "TOKENS", "inputs_of", "record", "verify"]

TEXTS = (
    "red leather sofa",
    "how do i change the battery of a 12v bike lamp",
    "can you show me waterproof boots without laces",
    "effects of vitamin d on bone density in older women",
)
LEAST_COSINE = 0.98
"""Least cosine of a position's logits to float32's; int8 T5 of several sizes reached .998."""

TOKENS = 15
"""Tokens of a golden answer at most."""
_SAMPLE = 2048


def inputs_of(tokenizer: Tokenizer, vocabulary: int, longest: int) -> list[list[int]]:
    """Return the tokens of the texts, or some of all over a vocabulary that cannot spell them."""
    encoded = [tokens for text in TEXTS if (tokens := tokenizer.encode(text)) is not None]
    if not encoded:
        encoded = [[(seed * place * 7919) % vocabulary for place in range(1, 9)] for seed in (1, 2)]
    return [tokens[:longest] for tokens in encoded]


def record(steps: TorchSteps, inputs: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Return what float32 ``steps`` answer to ``inputs``, under names of their own.

    Answers are cut at 15 tokens. Of the vocabulary every ``n``-th logit is kept, about
    2,000 of them.
    """
    shape = steps.shape
    count = min(TOKENS, steps.most_tokens)
    answers: list[list[int]] = []
    for tokens in inputs:
        found = greedy(
            steps, [tokens], [count], lambda index: False,
            start=shape.start, end=shape.end, history=None, stats=Stats(), keep_unfinished=True,
        )[0]  # fmt: skip
        answers.append([shape.start, *(found or ())][:count])
    logits = [_logits(steps, *pair) for pair in zip(inputs, answers, strict=True)]
    return {
        "golden.inputs": _padded(inputs),
        "golden.answers": _padded(answers),
        "golden.logits": torch.cat(logits)[:, :: _every(shape.vocabulary)].contiguous(),
    }


def verify(steps: TorchSteps, golden: dict[str, Tensor]) -> float:
    """Return the least cosine of a position's logits to the recorded ones.

    Errors: ``ModelError`` when it is below ``LEAST_COSINE``, or the traced step
    finds other tokens than the logits say.
    """
    inputs, answers = (
        [[token for token in row if token >= 0] for row in golden[name].tolist()]
        for name in ("golden.inputs", "golden.answers")
    )
    every = _every(steps.shape.vocabulary)
    found = [_logits(steps, *pair) for pair in zip(inputs, answers, strict=True)]
    least = float(
        torch.cosine_similarity(torch.cat(found)[:, ::every], golden["golden.logits"]).min()
    )
    if not least >= LEAST_COSINE:  # also where it is no number
        raise ModelError(
            f"the model's quantized weights do not reproduce it (cosine of logits {least:.3f} "
            f"where {LEAST_COSINE} is the least); use weights='bf16' or 'fp32'"
        )
    for tokens, answer, logits in zip(inputs, answers, found, strict=True):
        session = steps.begin([tokens])
        for place in range(0, len(answer), BLOCK):
            best, _ = session.step([answer[place : place + BLOCK]], [place])
            for row, token in enumerate(best[0]):
                scores = logits[place + row]
                if float(scores.max() - scores[token]) > 1e-3 * float(scores.abs().max()):
                    raise ModelError(
                        "the compiled step computes something else than the model; "
                        "use trace=False, and please report this"
                    )
    return least


def _logits(steps: TorchSteps, tokens: Sequence[int], answer: Sequence[int]) -> Tensor:
    session = steps.begin([tokens])
    blocks = [
        session.logits([answer[place : place + BLOCK]], [place])[0]
        for place in range(0, len(answer), BLOCK)
    ]
    return torch.cat(blocks)


def _every(vocabulary: int) -> int:
    return max(1, vocabulary // _SAMPLE)


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows])
