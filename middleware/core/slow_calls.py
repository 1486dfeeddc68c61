"""Detection of engine calls that are slow or hang, by what calls usually take."""

from __future__ import annotations

import math

from ..errors import ConfigurationError
from .arguments import checked
from .cost_model import CostModel

_KEEP = 0.98
"""Weight that older calls keep, so that the usual time changes over dozens of calls."""
_GROWTH = 1.02
"""Factor by which each slow call raises the limit."""
_HANG_FACTOR = 3.0
"""Multiple of the limit for slow calls after which a call hangs."""
_MIN_HANG = 1.0
"""Seconds before which no call hangs."""
_FIRST_HANG = 10.0
"""Seconds after which a call hangs, before the first one has returned."""


class SlowCallDetector:
    """Tells slow engine calls from usual ones.

    A call is slow if it takes more than ``factor`` times what is usual for its size, and more than
    ``above`` seconds. So an engine that has always been slow is not reported, as it still fills the
    memo, nor is a slower call that is in time.

    Each slow call raises the limit a little, so that an engine that stays slower counts as usual
    after dozens of calls. Concurrency: the owner's lock protects it. Errors:
    ``ConfigurationError`` from the constructor.
    """

    @checked
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
        """Return the seconds after which a call is slow; infinite before the first call."""
        usual = self._usual.predict(tokens)
        return max(self._above, self._factor * self._allowance * usual) if usual else math.inf

    def hangs_after(self, tokens: int) -> float:
        """Return the seconds after which a call that has not returned hangs."""
        slow = self.slow_after(tokens)
        return max(_MIN_HANG, _HANG_FACTOR * slow) if math.isfinite(slow) else _FIRST_HANG

    def observe(self, tokens: int, seconds: float) -> bool:
        """Record a call, and return whether it was slow."""
        slow = seconds > self.slow_after(tokens)
        if slow:
            self._allowance *= _GROWTH
        else:
            self._allowance = max(1.0, self._allowance / _GROWTH)
            self._usual.observe(tokens, seconds)
        return slow
