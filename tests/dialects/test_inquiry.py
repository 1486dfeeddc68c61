"""What is held of rounds of probes, and when the next one is due."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.dialects.detection.schedule import ProbeSchedule, Told, asks_to_wait

GONE = Told()
BOOTS = Told(there=True)
SILENT = Told(there=True, settled=True)
ELASTIC = Told("elasticsearch", "/", there=True, settled=True)


def waits(inquiry: ProbeSchedule, *rounds: Told, at: float = 0.0) -> list[float | None]:
    """Take rounds, each as soon as it is due; give the waits."""
    taken: list[float | None] = []
    for told in rounds:
        wait = inquiry.take(told, at)
        taken.append(wait)
        at += wait or 0.0
    return taken


def test_one_that_tells_is_asked_no_more() -> None:
    inquiry = ProbeSchedule()
    assert waits(inquiry, ELASTIC) == [None]
    assert (inquiry.dialect, inquiry.probe) == ("elasticsearch", "/")


def test_one_that_is_not_there_is_waited_for() -> None:
    """For as long as it takes; at first often."""
    inquiry = ProbeSchedule()
    assert waits(inquiry, *[GONE] * 7) == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert waits(inquiry, *[GONE] * 1000, at=1e5) == [5.0] * 1000
    assert inquiry.dialect is None
    assert waits(inquiry, ELASTIC, at=1e6) == [None]


def test_one_that_boots_is_no_app_for_a_minute() -> None:
    inquiry = ProbeSchedule()
    now, wait = 0.0, 0.0
    while inquiry.dialect is None:
        wait = inquiry.take(BOOTS, now) or 0.0
        before, now = now, now + wait
    assert before == pytest.approx(62.75)
    assert (inquiry.dialect, wait) == ("plain", 30.0)
    assert waits(inquiry, *[BOOTS] * 5, at=now) == [120.0, 600.0, 600.0, 600.0, 600.0]
    assert inquiry.take(ELASTIC, 1e5) is None
    assert inquiry.dialect == "elasticsearch"


def test_one_that_tells_nothing_is_an_app_at_once() -> None:
    """It is looked at again some times, as something may stand before what boots."""
    inquiry = ProbeSchedule()
    assert waits(inquiry, SILENT, SILENT, SILENT, SILENT) == [30.0, 120.0, 600.0, None]
    assert inquiry.dialect == "plain"


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_a_later_look_may_tell(looks: int) -> None:
    inquiry = ProbeSchedule()
    waits(inquiry, SILENT, *[SILENT] * looks)
    assert waits(inquiry, ELASTIC) == [None]
    assert inquiry.dialect == "elasticsearch"


def test_an_app_that_is_gone_for_a_while_stays_one() -> None:
    """No look is spent on it meanwhile."""
    inquiry = ProbeSchedule()
    assert waits(inquiry, SILENT, GONE, GONE, SILENT) == [30.0, 30.0, 30.0, 120.0]
    assert inquiry.dialect == "plain"


@given(st.lists(st.sampled_from([GONE, BOOTS, SILENT, ELASTIC]), min_size=1, max_size=40))
def test_any_row_of_rounds(rounds: list[Told]) -> None:
    """Waits are bounded both ways, what was told stays, and what is in use is never forgotten."""
    inquiry, now = ProbeSchedule(), 0.0
    held: list[str | None] = []
    for told in rounds:
        wait = inquiry.take(told, now)
        held.append(inquiry.dialect)
        if wait is None:
            break
        assert 0.25 <= wait <= 600.0
        now += wait
    assert all(after is not None for before, after in pairwise(held) if before is not None)
    assert (ELASTIC in rounds[: len(held)]) == (inquiry.dialect == "elasticsearch")


def test_statuses_of_what_boots() -> None:
    assert [status for status in range(100, 600) if asks_to_wait(status)] == [
        408, 425, 429, 502, 503, 504,
    ]  # fmt: skip
