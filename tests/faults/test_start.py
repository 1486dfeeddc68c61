"""What cannot work is told at the start with a way out, or served around."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from middleware.engines.checkpoint import bundled_model
from tests.upstream.wire import silent_address

from .running import ended, serving, until

# Seconds of processor time, as other work on the machine makes a start wait. Here a start takes .7
# to .9, on a busy machine 1.1, and 2.4 if it loads torch, which none of these must do.
LIMIT = 1.6


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
        (["--upstream", "http://127.0.0.1:1"], {"QUERYLIFT_BUDGE_MS": "5"}, "QUERYLIFT_BUDGET_MS"),
        (["--upstream", "http://127.0.0.1:1", "--model", "/nowhere/at/all"], {}, "folder"),
        (
            ["--upstream", "http://127.0.0.1:1", "--model", "someone/some-t5"],
            {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HUB_CACHE": "/nowhere/at/all"},
            "check the name and the network",
        ),
        (["--upstream", "http://127.0.0.1:1", "--engine", "none"], {}, "known engines: "),
        (
            [
                "--upstream",
                "http://127.0.0.1:1",
                "--dialect",
                "plain",
                "--workers",
                "2",
                "--port",
                "19301",
                "--admin-port",
                "19300",
            ],
            {},
            "19300 to 19301",
        ),
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
    status, told, seconds = ended(["--upstream", "http://127.0.0.1:1", "--model", str(model)])
    assert (status, "copy it again" in told) == (1, True)
    assert seconds < LIMIT


def test_a_hub_that_does_not_answer_is_told_soon() -> None:
    """It takes no connection; nobody waits as long as a download would."""
    with silent_address() as hub:
        variables = {"HF_ENDPOINT": hub, "HF_HUB_CACHE": "/nowhere/at/all"}
        status, told, seconds = ended(
            ["--upstream", "http://127.0.0.1:1", "--model", "someone/some-t5"], **variables
        )
    assert (status, "check the name and the network" in told) == (1, True)
    assert seconds < LIMIT


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
    options = ("--engine", "faulty", "--model", str(behaviour), "--allow-degraded-start")
    with serving(upstream, *options, QUERYLIFT_ADMIN_METRICS="true") as served:
        assert served.search("a red lamp")[::2] == ("skipped", "a red lamp")
        status, body = until(lambda: (r := served.ready())[1]["status"] == "degraded" and r)
        assert status == 200
        assert body["failure"].partition("; ")[2]
        outcome, parameters, query = served.search("a red lamp")
        assert (outcome, parameters["reason"], query) == ("skipped", "not_ready", "a red lamp")
        assert served.metric("querylift_ready") == 0
