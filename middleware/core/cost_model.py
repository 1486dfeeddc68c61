"""Predicted duration of engine calls, learned from earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

_KEEP_AT_RECOVERY = 0.1


def text_cost(text: str) -> int:
    """Return an estimate of a text's tokens that needs no tokenizer."""
    return 1 + len(text) // 4


@dataclass(slots=True)
class CostModel:
    """Predicts seconds a call as ``fixed + slope * tokens`` by least squares with forgetting.

    ``keep`` is the weight that older calls keep at each new one: .8 follows a change of the
    machine's speed within a few calls. A call in less than half the expected time resets the model
    almost wholly, because chance makes calls slower but not that much faster.

    Concurrency: the owner's lock protects it.
    """

    keep: float = 0.8
    weight: float = 0.0
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_xx: float = 0.0
    sum_xy: float = 0.0

    def observe(self, tokens: int, seconds: float) -> None:
        """Record a call over ``tokens`` tokens that took ``seconds``."""
        keep = _KEEP_AT_RECOVERY if 2 * seconds < self.predict(tokens) else self.keep
        self.weight = keep * self.weight + 1.0
        self.sum_x = keep * self.sum_x + tokens
        self.sum_y = keep * self.sum_y + seconds
        self.sum_xx = keep * self.sum_xx + tokens * tokens
        self.sum_xy = keep * self.sum_xy + tokens * seconds

    def predict(self, tokens: int) -> float:
        """Return the expected seconds of a call over ``tokens`` tokens; 0 before the first call."""
        if self.weight == 0.0:
            return 0.0
        mean_x, mean_y = self.sum_x / self.weight, self.sum_y / self.weight
        spread = self.sum_xx / self.weight - mean_x * mean_x
        slope = 0.0
        if spread > 1e-9 * max(1.0, mean_x * mean_x):
            slope = max(0.0, (self.sum_xy / self.weight - mean_x * mean_y) / spread)
        # A call without tokens must not be predicted to take less than no time.
        slope = min(slope, mean_y / mean_x) if mean_x > 0 else slope
        return max(0.0, mean_y + slope * (tokens - mean_x))
