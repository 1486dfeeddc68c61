"""An engine that does what its texts say, for tests of engines in other processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from middleware import Answer, Cancelled, ModelError, Reason, Refusal, Truncated


def never(index: int) -> bool:
    """No text is cancelled."""
    return False


@dataclass
class CommandEngine:
    """Takes texts such as ``die`` and ``wait`` as commands and lifts all others."""

    broken: bool = False
    name: str = "command"
    revision: str = "7"

    def load(self) -> None:
        """Load, or fail."""
        if self.broken:
            raise ModelError("weights are damaged; copy them again")

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> list[Answer]:
        """Do what the texts say."""
        return [self._one(i, text, cancelled) for i, text in enumerate(texts)]

    def _one(self, index: int, text: str, cancelled: Callable[[int], bool]) -> Answer:
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "raise":
            raise ValueError("not this one")
        if text == "raise ModelError":
            raise ModelError("weights went bad")
        if text == "refuse":
            return Refusal(Reason.TOO_LONG)
        if text == "truncate":
            return Truncated()
        pause = threading.Event()
        while text == "wait" and not cancelled(index):
            pause.wait(0.001)
        while text == "hang":
            pause.wait(0.01)
        return Cancelled() if cancelled(index) else f"lifted {text}"
