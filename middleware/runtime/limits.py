"""The bounds of the queues in front of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.arguments import check_fields
from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the queues in front of the engine and of one engine call, in texts.

    ``late_fill``: a rewrite that comes too late for its lookup still fills the memo.
    """

    foreground: int = 24
    background: int = 16
    batch: int = 8
    background_batch: int = 4
    late_fill: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.foreground, self.batch, self.background_batch) < 1 or self.background < 0:
            raise ConfigurationError(
                f"limits: foreground ({self.foreground}), batch ({self.batch}) and "
                f"background_batch ({self.background_batch}) must be at least 1, background "
                f"({self.background}) at least 0"
            )
