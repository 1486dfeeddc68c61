"""The proxy's benchmark: what it counts, what it says of it, and that peers may be missing."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
from typing import Any

import pytest

from middleware import ConfigurationError, MissingExtraError
from middleware.lab.benchmarks import proxy
from middleware.lab.benchmarks import upstream as origin
from middleware.lab.benchmarks.closed_loop import Sample, closed_loop, first_answer, streamed


def options(*arguments: str) -> argparse.Namespace:
    """Return the options that a command line gives."""
    parser = argparse.ArgumentParser()
    proxy.add_arguments(parser)
    return parser.parse_args(arguments)


def test_a_run_gives_a_row_for_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    """Names, connections and figures, as the issue of it says."""
    pytest.importorskip("aiohttp")
    pytest.importorskip("fastapi_proxy_lib")
    assert (
        proxy.run(options("--only", "upstream,aiohttp", "--rounds=1", "--seconds=.1", "--json"))
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    cases = [(row["name"], row["connections"]) for row in report["rows"]]
    assert cases == [(name, many) for many in (16, 64) for name in ("upstream", "aiohttp")]
    for row in report["rows"]:
        assert row["rps"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]


@pytest.fixture(scope="module")
def upstream() -> Any:
    """Run the benchmark's upstream."""
    with origin.running_upstream() as port:
        yield port


def test_the_load_is_answered_and_looked_at(upstream: int) -> None:
    right = asyncio.run(closed_loop(upstream, "/search?q=a", 2, 0.05, expected=b"Document 7"))
    assert right.count == len(right.latencies) > 0
    assert right.wrong == 0
    wrong = asyncio.run(closed_loop(upstream, "/search?q=a", 2, 0.05, expected=b"src=memo"))
    assert wrong.wrong == wrong.count > 0


def test_an_answer_is_two_kilobytes(upstream: int) -> None:
    head = asyncio.run(first_answer(upstream, "/search"))
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert 1900 <= length <= 2100


def test_a_stream_begins_before_it_ends(upstream: int) -> None:
    seen = iter(range(1, 10**9))
    first, last, most = asyncio.run(
        streamed(
            upstream,
            origin.STREAM_PATH,
            origin.STREAM_SIZE,
            watch=lambda: next(seen),
        )
    )
    assert first < last
    assert most > 1


def test_ratios_are_of_the_rates() -> None:
    rows = [
        {"name": "querylift", "connections": 16, "rps": 80.0},
        {"name": "querylift", "connections": 64, "rps": 40.0},
        {"name": "aiohttp", "connections": 16, "rps": 100.0},
        {"name": "fastapi-proxy-lib", "connections": 16, "rps": 8.0},
    ]
    assert proxy.rate_ratios(rows) == {
        "to_fastapi_proxy_lib": 10.0,
        "to_aiohttp": 0.8,
        "at_64_to_16": 0.5,
    }
    assert set(proxy.MINIMUM_RATIOS) <= set(proxy.rate_ratios(rows))


def test_a_row_is_of_all_rounds() -> None:
    samples = [Sample(10, 1.0, [0.001] * 10, 0.5, 0), Sample(30, 1.0, [0.003] * 30, 0.1, 0)]
    row = proxy.row_of("x", 16, samples)
    assert (row["rps"], row["p50_ms"], row["client_core_share"]) == (30.0, 3.0, 0.3)


def test_a_missing_peer_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"fastapi-proxy-lib.*querylift\[bench\]"):
        proxy.run(options())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nginx"), "nginx"),
        (("--only", ","), "known: upstream"),
        (("--only", "upstream", "--rounds", "0"), "--rounds"),
        (("--only", "upstream", "--seconds", "0"), "--seconds"),
    ],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        proxy.run(options(*arguments))
