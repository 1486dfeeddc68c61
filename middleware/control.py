"""The request header by which a trusted caller steers one request."""

from __future__ import annotations

import math
from dataclasses import dataclass

from middleware.core.outcome import Mode

__all__ = ["DEFAULT_CONTROL", "Control", "parse_control"]


@dataclass(frozen=True, slots=True)
class Control:
    """What a request asks for; ``None`` leaves the reformulator's own setting.

    ``budget`` is in seconds; ``cached`` and ``stored`` tell whether the memo is asked and filled.
    """

    mode: Mode | None = None
    budget: float | None = None
    cached: bool = True
    stored: bool = True


DEFAULT_CONTROL = Control()


def parse_control(value: str, *, max_budget: float) -> Control:
    """Read a comma list of ``off``, ``no-cache``, ``no-store``, ``budget=<ms>``, ``mode=<mode>``.

    A budget is bounded by ``max_budget`` seconds. What is not understood is passed over,
    as a search must get through; of entries that contradict each other the last one counts.
    """
    mode: Mode | None = None
    budget: float | None = None
    cached = stored = True
    for entry in value.lower().split(","):
        name, _, argument = (part.strip() for part in entry.partition("="))
        if name == "off":
            mode = Mode.OFF
        elif name == "no-cache":
            cached = False
        elif name == "no-store":
            stored = False
        elif name == "mode" and argument in set(Mode):
            mode = Mode(argument)
        elif name == "budget":
            wanted = _seconds(argument, max_budget)
            budget = budget if wanted is None else wanted
    return Control(mode, budget, cached, stored)


def _seconds(milliseconds: str, most: float) -> float | None:
    try:
        seconds = float(milliseconds) / 1000
    except ValueError:
        return None
    return min(seconds, most) if math.isfinite(seconds) and seconds >= 0 else None
