"""Checks quantized weights against the float32 model on a golden set of texts.

When the weights are quantized, the float32 model's answers to a few texts and a sample of its
logits are recorded beside them. Whenever the engine loads, it must reproduce the record.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import ModelError
from .decoding import Stats, greedy
from .network import BLOCK
from .steps import TorchSteps
from .tokenizer import Tokenizer

TEXTS = (
    "red leather sofa",
    "how do i change the battery of a 12v bike lamp",
    "can you show me waterproof boots without laces",
    "effects of vitamin d on bone density in older women",
)
MIN_COSINE = 0.98
"""The least cosine between a position's logits and those of float32.

T5 of several sizes reached .998 in int8.
"""

MAX_TOKENS = 15
"""The most tokens of a recorded answer."""
_SAMPLE = 2048  # logits of a position that are recorded, about


def golden_inputs(tokenizer: Tokenizer, vocabulary: int, longest: int) -> list[list[int]]:
    """Return the tokens of the golden set, at most ``longest`` of each text.

    For a vocabulary that cannot encode the texts, return arbitrary tokens in their place.
    """
    encoded = [tokens for text in TEXTS if (tokens := tokenizer.encode(text)) is not None]
    if not encoded:
        encoded = [[(seed * place * 7919) % vocabulary for place in range(1, 9)] for seed in (1, 2)]
    return [tokens[:longest] for tokens in encoded]


def record(steps: TorchSteps, inputs: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Return the record: tensors with the answers of float32 ``steps`` to ``inputs``.

    Answers have at most ``MAX_TOKENS`` tokens. Every ``n``-th logit of a position is recorded,
    about 2,000 in all.
    """
    shape = steps.shape
    count = min(MAX_TOKENS, steps.max_tokens)
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
    """Return the least cosine between a position's logits and the recorded ones.

    Errors: ``ModelError`` if it is below ``MIN_COSINE``, or if the compiled step finds other
    tokens than those with the largest logits.
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
    if not least >= MIN_COSINE:  # also for NaN
        raise ModelError(
            f"the quantized weights do not reproduce the model (cosine of logits {least:.3f}, "
            f"below {MIN_COSINE}); use weights='bf16' or 'fp32'"
        )
    for tokens, answer, logits in zip(inputs, answers, found, strict=True):
        session = steps.begin([tokens])
        for place in range(0, len(answer), BLOCK):
            best, _ = session.step([answer[place : place + BLOCK]], [place])
            for row, token in enumerate(best[0]):
                scores = logits[place + row]
                if float(scores.max() - scores[token]) > 1e-3 * float(scores.abs().max()):
                    raise ModelError(
                        "the compiled step does not compute what the model does; "
                        "use trace=False, and please report this"
                    )
    return least


def _logits(steps: TorchSteps, tokens: Sequence[int], answer: Sequence[int]) -> Tensor:
    """Return the logits ``[len(answer), vocabulary]`` after each token of a forced answer."""
    session = steps.begin([tokens])
    blocks = [
        session.logits([answer[place : place + BLOCK]], [place])[0]
        for place in range(0, len(answer), BLOCK)
    ]
    return torch.cat(blocks)


def _every(vocabulary: int) -> int:
    """Return ``n`` such that every ``n``-th logit is recorded."""
    return max(1, vocabulary // _SAMPLE)


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows])
