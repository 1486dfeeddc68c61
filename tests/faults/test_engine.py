"""An engine that raises, hangs or slows down: originals flow, and it comes back by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import perf_counter

import pytest

from middleware import EngineError
from middleware.engines.t5 import T5Engine

from .running import Served, fresh, serving, until

# A search may lose this to a busy machine, in milliseconds.
ROOM = 250.0


def rewritten(served: Served) -> bool:
    return served.search()[0] == "rewritten"


@pytest.mark.parametrize("fault", ["raise", "slow", "hang"])
def test_the_breaker_opens_and_a_probe_closes_it(
    upstream: str, behaviour: Path, fault: str
) -> None:
    options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
    variables = {"QUERYLIFT_ADMIN_METRICS": "true", "QUERYLIFT_ENGINE_BREAKER_COOLDOWN": "0.5"}
    with serving(upstream, *options, **variables) as served:
        until(lambda: rewritten(served))
        for _ in range(5):  # what is usual of this engine is known then
            served.search()
        assert served.ready()[1]["breaker"] == "closed"
        assert served.metric("querylift_breaker_open") == 0

        behaviour.write_text(fault)
        until(lambda: served.search()[1].get("reason") == "breaker_open")
        assert served.metric("querylift_breaker_open") == 1
        status, body = served.ready()
        assert (status, body["breaker"] in ("open", "half_open")) == (200, True)
        spent = []
        for _ in range(30):
            text = fresh()
            began = perf_counter()
            outcome, parameters, query = served.search(text)
            spent.append(1000 * (perf_counter() - began))
            assert (outcome, query) == ("fallback", text)
            # Probes find the engine as it is, and cost one caller the budget each.
            assert parameters["reason"] in (
                "breaker_open", "engine_error", "timeout", "predicted_late"
            )  # fmt: skip
        assert sorted(spent)[15] < ROOM / 5, "most do not wait"
        assert max(spent) < 100 + ROOM

        behaviour.write_text("well")
        until(lambda: rewritten(served))
        until(lambda: served.metric("querylift_breaker_open") == 0)
        assert served.ready()[1]["breaker"] == "closed"


def test_numbers_that_are_none_are_a_failure_of_the_engine() -> None:
    """A model whose weights went bad in memory raises, so that the breaker hears of it."""
    import torch

    engine = T5Engine(trace=False, weights="fp32")
    engine.load()
    texts = ["please show me wireless headphones"]
    assert engine.generate(texts, lambda index: False)[0]
    steps = engine._steps
    poisoned = [value for value in vars(steps).values() if isinstance(value, torch.Tensor)]
    assert poisoned
    with torch.inference_mode():
        for tensor in poisoned:
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))
    with pytest.raises(EngineError, match="NaN"):
        engine.generate(texts, lambda index: False)


def test_an_engine_that_is_killed_is_started_again(upstream: str, behaviour: Path) -> None:
    """As the kernel does when memory runs out; requests go on all the while."""
    options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
    with serving(upstream, *options) as served:
        until(lambda: rewritten(served))
        (first,) = engines_of(served)
        os.kill(first, signal.SIGKILL)
        began = perf_counter()
        until(lambda: first not in engines_of(served))
        for _ in range(5):
            text = fresh()
            outcome, parameters, query = served.search(text)
            lifted = query == f"lifted {text}"
            assert (outcome == "rewritten") is lifted
            assert lifted or query == text, parameters
        assert perf_counter() - began < 5
        until(lambda: rewritten(served))
        (second,) = engines_of(served)
        assert second != first
        served.stop()
        served.process.wait(10)
        until(lambda: not Path(f"/proc/{second}").exists())


def engines_of(served: Served) -> list[int]:
    """Return the process ids of children that run an engine (not of helpers of Python's own)."""
    found = []
    for listed in Path(f"/proc/{served.process.pid}/task").glob("*/children"):
        for child in map(int, listed.read_text("ascii").split()):
            line = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"spawn_main" in line:
                found.append(child)
    return found
