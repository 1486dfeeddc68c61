"""An engine, offered as another package would, that behaves as a file says at each call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from middleware import EngineError, ModelError


class FaultyEngine:
    """``model`` is a file with one of ``well``, ``raise``, ``slow``, ``hang`` or ``broken``.

    ``hang once`` hangs in one call for good, and lets other processes do well. ``load slowly``
    loads until the file says otherwise; the file beside it with the suffix ``.loading`` tells.
    """

    name = "faulty"
    revision = "1"

    def __init__(self, model: str, *, threads: int = 1) -> None:
        self._file = Path(model)
        self._pause = threading.Event()
        if self._behaviour() == "missing":
            raise ModelError("model folder is not there; name another one")

    def _behaviour(self) -> str:
        return self._file.read_text("utf-8").strip()

    def load(self) -> None:
        """Fail where the file says ``broken``, a moment after the start as a download would."""
        if self._behaviour() == "broken":
            self._pause.wait(0.2)
            raise ModelError("weights are damaged; copy them again")
        while self._behaviour() == "load slowly":
            self._file.with_suffix(".loading").touch()
            self._pause.wait(0.05)

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> list[str]:
        """Put ``lifted`` before each text, in 10 ms, or do what the file says."""
        behaviour = self._behaviour()
        if behaviour == "raise":
            raise EngineError("the model computed what is no number")
        if behaviour == "hang once":
            self._file.write_text("well", "utf-8")
            self._pause.wait()
        if behaviour == "hang":
            while self._behaviour() == "hang":
                self._pause.wait(0.02)
        self._pause.wait(0.6 if behaviour == "slow" else 0.01)
        return [f"lifted {text}" for text in texts]
