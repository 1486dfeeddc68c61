"""The service level objectives of the load benchmark, and which ones a run misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SLACK_MS = 10.0  # beyond the budget, for requests that are rejected or late
_LOOP_MS = 5.0
_OTHERS_MS = 5.0

Objective = tuple[str, Callable[[Mapping[str, Any]], bool]]
"""A description, and a function that tells whether a run's figures meet the objective."""

_NO_ERROR: Objective = ("errors is 0", lambda f: f["errors"] == 0)
_IN_BUDGET: Objective = (
    "added_p999_ms is at most budget_ms + 10",
    lambda f: f["added_p999_ms"] <= f["budget_ms"] + _SLACK_MS,
)
_OVERLOAD: tuple[Objective, ...] = (
    _NO_ERROR,
    _IN_BUDGET,
    ("in_time_share is at least 0.8", lambda f: f["in_time_share"] >= 0.8),
    # Most of the engine's answers are in time for their client.
    ("engine_unwaited_share is at most 0.1", lambda f: f["engine_unwaited_share"] <= 0.1),
)
_RESPONSIVE: tuple[
    Objective, ...
] = (  # not at overload5: clients and upstream alone fill two cores
    ("loop_delay_p99_ms is at most 5", lambda f: f["loop_delay_p99_ms"] <= _LOOP_MS),
    ("other_p99_added_ms is at most 5", lambda f: f["other_p99_added_ms"] <= _OTHERS_MS),
)
_OBJECTIVES: dict[str, tuple[Objective, ...]] = {
    "overload2": (*_OVERLOAD, *_RESPONSIVE),
    "overload5": _OVERLOAD,
    "zipf": (
        _NO_ERROR,
        (
            "hit_share is at least 0.98 of ideal_lru_hit_share",
            lambda f: f["hit_share"] >= 0.98 * f["ideal_lru_hit_share"],
        ),
        ("added_p50_ms is at most 1", lambda f: f["added_p50_ms"] <= 1.0),
    ),
    "disconnects": (
        _NO_ERROR,
        *(
            (f"{name} is 0", lambda f, name=name: f[name] == 0)
            for name in ("queued_left", "upstream_active_left", "tasks_left")
        ),
        *(
            (f"{name} is at most 0", lambda f, name=name: f[name] <= 0)
            for name in ("files_growth", "threads_growth")
        ),
    ),
    "soak": (
        _NO_ERROR,
        ("rss_growth is at most 0.03", lambda f: f["rss_growth"] <= 0.03),
        ("files_growth is at most 0", lambda f: f["files_growth"] <= 0),
        ("threads_growth is at most 0", lambda f: f["threads_growth"] <= 0),
    ),
}


def missed_objectives(figures: Mapping[str, Any]) -> list[str]:
    """Return the descriptions of the objectives that a scenario's figures miss."""
    objectives = _OBJECTIVES[figures["scenario"]]
    return [description for description, holds in objectives if not holds(figures)]
