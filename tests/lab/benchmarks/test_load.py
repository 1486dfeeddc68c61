"""The load benchmark's own parts: what it sends, when, and what it compares with."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from middleware.cli import main
from middleware.lab.benchmarks.load import ideal_lru_hits
from middleware.lab.benchmarks.open_loop import Client
from middleware.lab.benchmarks.slo import missed_objectives
from middleware.lab.benchmarks.workload import arrivals, texts
from tests.upstream.wire import Received, reply, upstream

pytestmark = pytest.mark.anyio


def test_texts_are_distinct_and_the_same_for_a_seed() -> None:
    first = list(texts(1, 5000))
    assert len(set(first)) == 5000
    assert first == list(itertools.islice(texts(1), 5000))
    assert first != list(texts(2, 5000))


def test_arrivals_have_the_rate_and_come_in_bursts() -> None:
    times = list(arrivals(200.0, 50.0, 1))
    assert times == sorted(times)
    assert 9_500 < len(times) < 10_500
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert sum(gap < 0.001 for gap in gaps) > 1000, "a Poisson stream, and no metronome"


def test_the_ideal_lru_lets_the_oldest_go() -> None:
    assert ideal_lru_hits("abacab", 2) == [False, False, True, False, True, False]
    assert sum(ideal_lru_hits("abacab", 3)) == 3


async def test_a_stream_tells_what_became_of_each_request() -> None:
    line = b"Query-Reformulation: fallback;reason=timeout;dur=100.1"
    async with upstream(reply(b"ok", line)) as raw:
        client = Client(raw.port)
        sent = await client.stream([0.0, 0.001, 0.002], iter(["red lamp", "a", "b"]))
        client.close()
        assert [(each.status, each.decision, each.error) for each in sent] == [
            (200, "timeout", "")
        ] * 3
        assert all(each.done > each.sent >= each.due for each in sent)
        assert raw.requests[0].target == b"/search?q=red+lamp"
        assert raw.connections <= 3


async def test_a_server_that_fails_or_is_gone_is_an_error_and_not_an_end() -> None:
    async with upstream(reply(b"no", status=b"500 No")) as raw:
        sent = await Client(raw.port).stream([0.0], iter(["a"]))
        port = raw.port
    assert [each.error for each in sent] == ["500"]
    sent = await Client(port).stream([0.0], iter(["a"]))
    assert [bool(each.error) for each in sent] == [True]


async def test_connections_are_kept_and_a_closed_one_is_no_error() -> None:
    async with upstream() as raw:
        client = Client(raw.port)
        sent = await client.stream([0.0, 0.05, 0.1], itertools.repeat("a"))
        assert raw.connections == 1
        raw.drop_connections()  # as a server that lets an idle one go
        sent += await client.stream([0.0, 0.05], itertools.repeat("a"))
        client.close()
        assert [each.error for each in sent] == [""] * 5
        assert raw.connections == 2


async def test_an_answer_that_is_cut_off_is_an_error_also_on_a_kept_connection() -> None:
    async def cut(request: Received, reader: object, writer: asyncio.StreamWriter) -> None:
        if b"whole" in request.target:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok")
        writer.close()

    async with upstream(cut) as raw:
        sent = await Client(raw.port).stream([0.0, 0.05], iter(["whole", "cut"]))
    assert [each.error for each in sent] == ["", "ValueError"]


async def test_clients_that_leave_are_told_apart() -> None:
    async def silent(*_: object) -> None:
        pass

    async with upstream(silent) as raw:
        client = Client(raw.port)
        draw = random.Random(3)
        stream = client.stream(
            [0.0] * 40, itertools.repeat("a"), disconnects=_Leaving(draw), leave_within=0.01
        )
        sent = await stream
    assert sum(each.disconnected for each in sent) == 40


class _Leaving(random.Random):
    """Makes each client one that leaves: a silent server would keep the others for ever."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw.random())

    def random(self) -> float:
        """Say leave."""
        return 0.9


GOOD = {
    "scenario": "overload2", "budget_ms": 100.0, "errors": 0, "added_p999_ms": 110.0,
    "in_time_share": 0.8, "loop_delay_p99_ms": 5.0, "other_p99_added_ms": 5.0,
    "engine_unwaited_share": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("errors", 1), ("added_p999_ms", 110.1), ("in_time_share", 0.79),
        ("loop_delay_p99_ms", 5.1), ("other_p99_added_ms", 5.1),
        ("engine_unwaited_share", 0.11),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_as_it_must_be_is_named(figure: str, value: float) -> None:
    assert missed_objectives(GOOD) == []
    (told,) = missed_objectives({**GOOD, figure: value})
    assert told.startswith(figure)


def test_each_kind_of_load_has_its_own_bars() -> None:
    disconnects = {
        "scenario": "disconnects", "errors": 0, "queued_left": 0, "upstream_active_left": 0,
        "tasks_left": 0, "files_growth": 0, "threads_growth": 0,
    }  # fmt: skip
    assert missed_objectives(disconnects) == []
    assert missed_objectives({**disconnects, "tasks_left": 1, "files_growth": 2}) == [
        "tasks_left is 0", "files_growth is at most 0"
    ]  # fmt: skip
    zipf = {
        "scenario": "zipf", "errors": 0, "hit_share": 0.9, "ideal_lru_hit_share": 0.91,
        "added_p50_ms": 0.9,
    }  # fmt: skip
    assert missed_objectives(zipf) == []
    assert len(missed_objectives({**zipf, "hit_share": 0.85, "added_p50_ms": 1.1})) == 2
    soak = {
        "scenario": "soak", "errors": 0, "rss_growth": 0.031, "files_growth": 0,
        "threads_growth": 0,
    }  # fmt: skip
    assert missed_objectives(soak) == ["rss_growth is at most 0.03"]


@pytest.mark.parametrize("option", ["--seconds", "--warm", "--rate"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_load_of_nothing_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not taken for the default."""
    assert main(["bench", "load", f"{option}={value}"]) == 1
    assert f"{option} must be above 0" in capsys.readouterr().err
