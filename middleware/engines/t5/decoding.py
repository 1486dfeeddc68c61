"""Greedy decoding of a batch, with drafts.

A step takes, for each sequence, its last token and the guesses of a draft for the next tokens. It
returns the best token after each of them. The first best token is certain. If it equals the
first guess, the second best token is certain too, and so on (Leviathan et al. 2023,
https://arxiv.org/abs/2211.17192, for greedy decoding). A step thus yields one token more than it
accepts guesses, and the output is the same as without drafts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...errors import EngineError
from ..repetition import ends_in_repetition
from .drafting import Drafts, Guesses
from .network import BLOCK
from .steps import Session, Steps


@dataclass(slots=True)
class Stats:
    """What a call of the engine did: counts over all its texts, times in seconds.

    ``tokens`` were written. ``drafted`` were guessed, and ``accepted`` of those were right.
    ``rows`` is the sum over all steps of the sequences in a step, so that ``tokens / rows`` is
    the mean number of tokens that a sequence gets from a step.
    """

    texts: int = 0
    tokens: int = 0
    steps: int = 0
    rows: int = 0
    drafted: int = 0
    accepted: int = 0
    encode_s: float = 0.0


@dataclass(slots=True)
class _Row:
    """A sequence that is being decoded: a row of the batch.

    ``index`` is that of its input. ``source`` are the input's tokens, ``None`` if repetitions are
    not to be found. ``draft`` guesses its next tokens.
    """

    index: int
    limit: int
    source: Sequence[int] | None
    draft: Guesses | None
    output: list[int] = field(default_factory=list)


def greedy(
    steps: Steps,
    inputs: Sequence[Sequence[int]],
    limits: Sequence[int],
    cancelled: Callable[[int], bool],
    *,
    start: int,
    end: int,
    history: Drafts | None,
    stats: Stats,
    block: int = BLOCK,
    keep_unfinished: bool = False,
) -> list[list[int] | None]:
    """Return the greedy output for each input, without its end token.

    ``inputs`` and outputs are token ids. ``limits`` are the most tokens of each output, with its
    end token. ``start`` and ``end`` are the ids of the start and end tokens. With a ``history``,
    each step verifies up to ``block - 1`` guesses per sequence, which changes the time taken and
    nothing else. ``cancelled`` is asked about each unfinished input before each step.

    An output is ``None`` if it was cancelled, or had no end at its limit. An output that repeats
    itself ends there. With ``keep_unfinished``, outputs are returned as they are at their limit,
    and repetitions go on.

    Errors: ``EngineError`` if the model computes NaN or infinity.
    """
    outputs: list[list[int] | None] = [None] * len(inputs)
    began = time.perf_counter()
    session = steps.begin(inputs)
    stats.encode_s += time.perf_counter() - began
    rows: list[_Row | None] = [
        _Row(
            index,
            limit,
            None if keep_unfinished else tokens,
            None if history is None else history.begin(tokens),
        )
        for index, (tokens, limit) in enumerate(zip(inputs, limits, strict=True))
    ]
    while True:
        for place, row in enumerate(rows):
            if row is not None and cancelled(row.index):
                rows[place] = None
        rows = _without_finished(session, rows)
        if not rows:
            break
        guesses = [_guess(row, block) for row in rows]
        width = 1 + max(map(len, guesses))
        # Sequences with fewer guesses are filled up: those places are computed and ignored.
        tokens, positions = [], []
        for row, guess in zip(rows, guesses, strict=True):
            output = row.output if row is not None else []
            block_tokens = [output[-1] if output else start, *guess]
            tokens.append(block_tokens + [end] * (width - len(block_tokens)))
            positions.append(len(output))
        best, finite = session.step(tokens, positions)
        if not finite:
            raise EngineError("the model computed NaN or infinity; its weights may be damaged")
        stats.steps += 1
        for place, row in enumerate(rows):
            if row is None:
                continue
            stats.rows += 1
            before = len(row.output)
            if _accept(row, guesses[place], best[place], end, outputs):
                rows[place] = None
                if keep_unfinished and outputs[row.index] is None:
                    outputs[row.index] = row.output
            stats.tokens += len(row.output) - before
            stats.drafted += len(guesses[place])
            stats.accepted += len(row.output) - before - 1
            if rows[place] is None and history is not None and outputs[row.index] is not None:
                history.learn(row.output)
    return outputs


def _guess(row: _Row | None, block: int) -> list[int]:
    """Return the guesses to verify in the next step, within the row's limit."""
    if row is None or row.draft is None:
        return []
    return row.draft.guess(row.output, min(block, row.limit - len(row.output)) - 1)


def _accept(
    row: _Row, guess: list[int], best: list[int], end: int, outputs: list[list[int] | None]
) -> bool:
    """Append the tokens that a step made certain; return whether the row is finished.

    ``best`` are the best tokens after the last token and after each token of ``guess``.
    """
    for place, token in enumerate(best[: len(guess) + 1]):
        row.output.append(token)
        if token == end:
            outputs[row.index] = row.output[:-1]
            return True
        if row.source is not None and ends_in_repetition(row.output, row.source):
            outputs[row.index] = row.output[:]
            return True
        if len(row.output) >= row.limit:
            return True
        if place < len(guess) and guess[place] != token:
            return False
    return False


def _without_finished(session: Session, rows: list[_Row | None]) -> list[_Row | None]:
    """Remove finished rows (``None``) once they are half of all, as moving the rest costs time."""
    left = [place for place, row in enumerate(rows) if row is not None]
    if left and len(left) * 2 > len(rows):
        return rows
    if left:
        session.keep(left)
    return [rows[place] for place in left]
