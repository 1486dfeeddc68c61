"""Greedy decoding of a batch, several tokens a step where drafts come true."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...errors import EngineError
from ..loops import loops
from .drafting import Drafts, Guesses
from .steps import BLOCK, Session, Steps

__all__ = ["Stats", "greedy"]


@dataclass(slots=True)
class Stats:
    """What a call of the engine did: counts over all its texts, times in seconds.

    ``tokens`` were written, ``drafted`` were guessed and ``accepted`` of those came true;
    ``rows`` counts the sequences of each step, so that ``tokens / rows`` is the tokens a
    sequence got from a step.
    """

    texts: int = 0
    tokens: int = 0
    steps: int = 0
    rows: int = 0
    drafted: int = 0
    accepted: int = 0
    encode_s: float = 0.0
    decode_s: float = 0.0


@dataclass(slots=True)
class _Row:
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
    """Return the best tokens for each input without its end, ``None`` where there is none.

    ``limits`` bounds each output, its end included. With a ``history``, each step verifies
    up to ``block - 1`` guesses, which changes the time taken and nothing else.
    ``cancelled`` is asked for each unfinished input before each step. An output that reached
    its limit without an end is ``None`` unless ``keep_unfinished``; without that, one that
    loops ends there (``loops``).
    Errors: ``EngineError`` when the model computes what is no number.
    """
    outputs: list[list[int] | None] = [None] * len(inputs)
    began = time.perf_counter()
    session = steps.begin(inputs)
    stats.encode_s += (encoded := time.perf_counter()) - began
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
        rows = _compacted(session, rows)
        if not rows:
            break
        guesses = [_guess(row, block) for row in rows]
        width = 1 + max(map(len, guesses))
        tokens, positions = [], []
        for row, guess in zip(rows, guesses, strict=True):
            output = row.output if row is not None else []
            block_tokens = [output[-1] if output else start, *guess]
            tokens.append(block_tokens + [end] * (width - len(block_tokens)))
            positions.append(len(output))
        best, finite = session.step(tokens, positions)
        if not finite:
            raise EngineError("the model computed what is no number; its weights may be damaged")
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
    stats.decode_s += time.perf_counter() - encoded
    return outputs


def _guess(row: _Row | None, block: int) -> list[int]:
    if row is None or row.draft is None:
        return []
    return row.draft.guess(row.output, min(block, row.limit - len(row.output)) - 1)


def _accept(
    row: _Row, guess: list[int], best: list[int], end: int, outputs: list[list[int] | None]
) -> bool:
    """Append what is certain by now; tell whether the row is finished."""
    for place, token in enumerate(best[: len(guess) + 1]):
        row.output.append(token)
        if token == end:
            outputs[row.index] = row.output[:-1]
            return True
        if row.source is not None and loops(row.output, row.source):
            outputs[row.index] = row.output[:]
            return True
        if len(row.output) >= row.limit:
            return True
        if place < len(guess) and guess[place] != token:
            return False
    return False


def _compacted(session: Session, rows: list[_Row | None]) -> list[_Row | None]:
    """Drop finished rows once they are half of all: moving the rest has its price."""
    left = [place for place, row in enumerate(rows) if row is not None]
    if left and len(left) * 2 > len(rows):
        return rows
    if left:
        session.keep(left)
    return [rows[place] for place in left]
