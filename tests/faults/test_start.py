"""What cannot work is told at the start with a way out, or served around."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from time import perf_counter

import pytest

from middleware.engines.checkpoint import bundled_model

from .running import serving, started, until

# Starting Python and its imports is most of it; a busy machine takes its time.
LIMIT = 15.0


def ended(options: list[str], **variables: str) -> tuple[int, str, float]:
    """Return status, error output and seconds of a start that fails."""
    began = perf_counter()
    process = started(options, **variables)
    try:
        _, told = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("it went on") from None
    return process.returncode, told, perf_counter() - began


def damaged(folder: Path) -> Path:
    """Copy the bundled model with its weights cut short."""
    shutil.copytree(bundled_model(), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    return folder


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        ([], {}, "--upstream"),
        (["--upstream", "ftp://x"], {}, "ftp"),
        (["--upstream", "http://127.0.0.1:1", "--budget-ms", "-5"], {}, "budget_ms"),
        (["--upstream", "http://127.0.0.1:1"], {"QUERYLIFT_BUDGE_MS": "5"}, "budget_ms"),
        (["--upstream", "http://127.0.0.1:1", "--model", "/nowhere/at/all"], {}, "folder"),
        (
            ["--upstream", "http://127.0.0.1:1", "--model", "someone/some-t5"],
            {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HUB_CACHE": "/nowhere/at/all"},
            "check the name and the network",
        ),
        (["--upstream", "http://127.0.0.1:1", "--engine", "none"], {}, "known: "),
    ],
)
def test_what_is_wrong_is_told(options: list[str], variables: dict[str, str], said: str) -> None:
    status, told, seconds = ended(options, **variables)
    assert status == 1
    assert said in told
    assert len(told.strip().splitlines()) == 1, told
    assert seconds < LIMIT


def test_a_damaged_model_is_told(tmp_path: Path) -> None:
    model = damaged(tmp_path / "model")
    status, told, _ = ended(["--upstream", "http://127.0.0.1:1", "--model", str(model)])
    assert (status, "copy it again" in told) == (1, True)


def test_weights_that_turn_out_bad_after_the_start_end_it(behaviour: Path) -> None:
    """The port is open by then; who started it still gets status 1 and the message."""
    behaviour.write_text("broken")
    options = ["--engine", "faulty", "--model", str(behaviour)]
    status, told, _ = ended(["--upstream", "http://127.0.0.1:1", *options])
    assert (status, "querylift: weights are damaged; copy them again" in told) == (1, True)


@pytest.mark.parametrize("fault", ["missing", "broken"])
def test_degraded_it_serves_originals_and_says_so(
    upstream: str, behaviour: Path, fault: str
) -> None:
    behaviour.write_text(fault)
    options = ("--engine", "faulty", "--model", str(behaviour), "--start-degraded")
    with serving(upstream, *options, QUERYLIFT_METRICS="true") as served:
        assert served.search("a red lamp")[::2] == ("skipped", "a red lamp")
        status, body = until(lambda: (r := served.ready())[1]["status"] == "degraded" and r)
        assert status == 200
        assert body["failure"].partition("; ")[2]
        outcome, parameters, query = served.search("a red lamp")
        assert (outcome, parameters["reason"], query) == ("skipped", "not_ready", "a red lamp")
        assert served.metric("querylift_ready") == 0
