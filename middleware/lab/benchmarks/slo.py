"""What must hold under load, and which figures of a run do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["misses"]

_SLACK_MS = 10.0  # beside the budget, for whoever is turned away or served late
_LOOP_MS = 5.0
_OTHERS_MS = 5.0

Bar = tuple[str, Callable[[Mapping[str, Any]], bool]]
"""What must hold, in words, and whether it does."""

_NO_ERROR: Bar = ("errors is 0", lambda f: f["errors"] == 0)
_IN_BUDGET: Bar = (
    "added_p999_ms is at most budget_ms + 10",
    lambda f: f["added_p999_ms"] <= f["budget_ms"] + _SLACK_MS,
)
_OVERLOAD: tuple[Bar, ...] = (
    _NO_ERROR,
    _IN_BUDGET,
    ("in_time_share is at least 0.8", lambda f: f["in_time_share"] >= 0.8),
    # The engine's work is for somebody who waits.
    ("engine_unwaited_share is at most 0.1", lambda f: f["engine_unwaited_share"] <= 0.1),
)
_FULL: tuple[Bar, ...] = (  # at five times, clients and upstream fill two cores by themselves
    ("loop_delay_p99_ms is at most 5", lambda f: f["loop_delay_p99_ms"] <= _LOOP_MS),
    ("other_p99_added_ms is at most 5", lambda f: f["other_p99_added_ms"] <= _OTHERS_MS),
)
_BARS: dict[str, tuple[Bar, ...]] = {
    "overload2": (*_OVERLOAD, *_FULL),
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


def misses(figures: Mapping[str, Any]) -> list[str]:
    """Return what must hold of a scenario's figures and does not, in words."""
    return [words for words, holds in _BARS[figures["scenario"]] if not holds(figures)]
