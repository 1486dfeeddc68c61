"""What ``/readyz`` says."""

from __future__ import annotations

from typing import Any

from ..runtime.reformulator import Reformulator

__all__ = ["readiness"]


def readiness(reformulator: Reformulator, *, degraded: bool) -> tuple[int, dict[str, Any]]:
    """Return the status and what is told: 200 once texts are rewritten, 503 before.

    With ``degraded`` it is 200 as well where the model cannot be loaded, as requests pass all the
    same. The worker is started: who waits for this before sending requests would otherwise wait
    for ever.
    """
    reformulator.start()
    stats = reformulator.stats()
    engine = reformulator.engine
    failed = "degraded" if degraded else "failed"
    body = {
        "status": "ready" if stats.ready else failed if stats.failure else "loading",
        "engine": engine.name,
        "revision": engine.revision,
        "breaker": stats.breaker.value,
    }
    if stats.failure:
        body["failure"] = stats.failure
    serves = stats.ready or (degraded and stats.failure is not None)
    return (200 if serves else 503), body
