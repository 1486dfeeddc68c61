"""Which dialect is in use after each round of probes, and when the next round is due."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.dialects.detection.schedule import ProbeResult, ProbeSchedule

GONE = ProbeResult()
BOOTS = ProbeResult(reachable=True)
SILENT = ProbeResult(reachable=True, conclusive=True)
ELASTIC = ProbeResult("elasticsearch", "/", reachable=True, conclusive=True)


def waits(schedule: ProbeSchedule, *rounds: ProbeResult, at: float = 0.0) -> list[float | None]:
    """Record rounds, each as soon as it is due; return the waits."""
    taken: list[float | None] = []
    for result in rounds:
        wait = schedule.take(result, at)
        taken.append(wait)
        at += wait or 0.0
    return taken


def test_an_identified_dialect_ends_the_probes() -> None:
    schedule = ProbeSchedule()
    assert waits(schedule, ELASTIC) == [None]
    assert (schedule.dialect, schedule.probe) == ("elasticsearch", "/")


def test_an_unreachable_upstream_is_probed_for_ever() -> None:
    schedule = ProbeSchedule()
    assert waits(schedule, *[GONE] * 7) == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert waits(schedule, *[GONE] * 1000, at=1e5) == [5.0] * 1000
    assert schedule.dialect is None
    assert waits(schedule, ELASTIC, at=1e6) == [None]


def test_one_that_boots_is_taken_for_an_app_after_a_minute() -> None:
    schedule = ProbeSchedule()
    now, wait = 0.0, 0.0
    while schedule.dialect is None:
        wait = schedule.take(BOOTS, now) or 0.0
        before, now = now, now + wait
    assert before == pytest.approx(62.75)
    assert (schedule.dialect, wait) == ("plain", 30.0)
    assert waits(schedule, *[BOOTS] * 5, at=now) == [120.0, 600.0, 600.0, 600.0, 600.0]
    assert schedule.take(ELASTIC, 1e5) is None
    assert schedule.dialect == "elasticsearch"


def test_one_that_is_not_identified_is_an_app_at_once() -> None:
    """It is probed again some times: it may be a load balancer before a server that boots."""
    schedule = ProbeSchedule()
    assert waits(schedule, SILENT, SILENT, SILENT, SILENT) == [30.0, 120.0, 600.0, None]
    assert schedule.dialect == "plain"


@pytest.mark.parametrize("rechecks", [0, 1, 2])
def test_a_later_round_may_identify_it(rechecks: int) -> None:
    schedule = ProbeSchedule()
    waits(schedule, SILENT, *[SILENT] * rechecks)
    assert waits(schedule, ELASTIC) == [None]
    assert schedule.dialect == "elasticsearch"


def test_an_app_that_is_gone_for_a_while_stays_one() -> None:
    """No recheck is used up meanwhile."""
    schedule = ProbeSchedule()
    assert waits(schedule, SILENT, GONE, GONE, SILENT) == [30.0, 30.0, 30.0, 120.0]
    assert schedule.dialect == "plain"


@given(st.lists(st.sampled_from([GONE, BOOTS, SILENT, ELASTIC]), min_size=1, max_size=40))
def test_any_sequence_of_rounds(rounds: list[ProbeResult]) -> None:
    """Waits have bounds, an identified dialect stays, and there is always one from the first on."""
    schedule, now = ProbeSchedule(), 0.0
    held: list[str | None] = []
    for result in rounds:
        wait = schedule.take(result, now)
        held.append(schedule.dialect)
        if wait is None:
            break
        assert 0.25 <= wait <= 600.0
        now += wait
    assert all(after is not None for before, after in pairwise(held) if before is not None)
    assert (ELASTIC in rounds[: len(held)]) == (schedule.dialect == "elasticsearch")
