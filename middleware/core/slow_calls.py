"""What engine calls usually take, to tell one that is slow or that hangs."""

from __future__ import annotations

import math

from ..errors import ConfigurationError
from .cost_model import CostModel

__all__ = ["SlowCallDetector"]

_KEEP = 0.98
"""Weight that older calls keep: what is usual changes over dozens of calls, not within a few."""
_CREEP = 1.02
"""Each slow call lets the next take so much longer."""
_HANGS = 3.0
"""A call that takes so many times what is slow already is taken for one that hangs."""
_SOONEST = 1.0
"""Seconds before which no call is said to hang."""
_UNKNOWN = 10.0
"""Seconds after which a call hangs where none has come back yet."""


class SlowCallDetector:
    """Tells slow engine calls from usual ones.

    A call is slow when it takes more than ``factor`` times what is usual for its size, and
    more than ``above`` seconds: an engine that has always been slow is not, as it still fills
    the memo, nor is one that is in time all the same.

    Each slow call makes it a little more patient, so that what stays slower is taken for usual
    in the end, after dozens of calls. Concurrency: owned by one lock of its user.
    """

    def __init__(self, *, factor: float = 12.0, above: float = 0.1) -> None:
        if not factor > 1 or not above > 0:
            raise ConfigurationError(
                f"slow calls: the factor ({factor}) must be above 1, the seconds ({above}) above 0"
            )
        self._factor = factor
        self._above = above
        self._allowance = 1.0
        self._usual = CostModel(keep=_KEEP)

    def slow_after(self, tokens: int) -> float:
        """Return the seconds after which a call is slow; infinite before any was seen."""
        usual = self._usual.predict(tokens)
        return max(self._above, self._factor * self._allowance * usual) if usual else math.inf

    def hangs_after(self, tokens: int) -> float:
        """Return the seconds after which a call that has not come back is taken to hang."""
        slow = self.slow_after(tokens)
        return max(_SOONEST, _HANGS * slow) if math.isfinite(slow) else _UNKNOWN

    def observe(self, tokens: int, seconds: float) -> bool:
        """Take note of a call, and tell whether it was slow."""
        slow = seconds > self.slow_after(tokens)
        if slow:
            self._allowance *= _CREEP
        else:
            self._allowance = max(1.0, self._allowance / _CREEP)
            self._usual.observe(tokens, seconds)
        return slow
