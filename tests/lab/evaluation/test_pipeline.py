"""The pipeline decides as the middleware does."""

from __future__ import annotations

import pytest

from middleware import Answer, Mode, Outcome, Reason, Reformulator, Refusal, Truncated
from middleware.lab.evaluation.pipeline import Pipeline

from .conftest import Rewriter

_ANSWERS: dict[str, Answer] = {
    "show me drill bits please": "drill bits",
    "wirless headphones": "wireless headphones",
    "garden  hose": "garden hose",
    "bike lamp 12v usb": "bike lamp usb",
    "cheap flights": "cheap flights cheap flights cheap flights",
    "endless": Truncated(),
    "unheard": Refusal(Reason.UNENCODABLE),
}
_TEXTS = (*_ANSWERS, "title:drill AND bits", '"exact phrase"', "", "B07NCQWCQS")


def _engine() -> Rewriter:
    return Rewriter(lambda text: _ANSWERS.get(text, text))


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.EXPAND])
def test_it_decides_as_the_reformulator(mode: Mode) -> None:
    """Query, outcome, reason and added terms are the same for every text."""
    pipeline = Pipeline(_engine())
    with Reformulator(_engine(), budget=30.0) as reformulator:
        for text in _TEXTS:
            measured = pipeline.decide(text, mode)
            served = reformulator.reformulate_sync(text, mode=mode)
            assert (measured.query, measured.outcome, measured.reason, measured.added) == (
                served.query,
                served.outcome,
                served.reason,
                served.added,
            )


def test_outcomes_are_told_apart() -> None:
    """A table that could not be right if nothing were ever rewritten or refused."""
    pipeline = Pipeline(_engine())
    found = {text: pipeline.decide(text, Mode.REPLACE) for text in _TEXTS}
    assert found["show me drill bits please"].query == "drill bits"
    assert found["garden  hose"].outcome is Outcome.UNCHANGED
    assert found["bike lamp 12v usb"].reason is Reason.REJECTED_LOST_TERM
    assert found["endless"].reason is Reason.REJECTED_TRUNCATED
    assert found["unheard"].reason is Reason.UNENCODABLE
    assert found["title:drill AND bits"].reason is Reason.SYNTAX


def test_the_engine_runs_once_for_both_modes_and_is_charged_to_each() -> None:
    """Two seconds of engine and one of judging are three seconds, the second time too."""
    engine = _engine()
    ticks = iter(range(100))
    pipeline = Pipeline(engine, clock=lambda: float(next(ticks)))
    first = pipeline.decide("wirless headphones", Mode.REPLACE)
    second = pipeline.decide("wirless headphones", Mode.EXPAND)
    assert engine.calls == 1
    assert first.timings.engine == second.timings.engine == 1.0
    assert first.timings.total == second.timings.total == 3.0
