"""The load benchmark's own parts: what it sends, when, and what it compares with."""

from __future__ import annotations

import itertools
import random

import pytest

from middleware.benchmarks.load import ideal_lru_hits
from middleware.benchmarks.load_client import Client, arrivals, texts
from tests.upstream.wire import reply, upstream

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
        assert [(each.status, each.word, each.error) for each in sent] == [(200, "timeout", "")] * 3
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


async def test_clients_that_leave_are_told_apart() -> None:
    async def silent(*_: object) -> None:
        pass

    async with upstream(silent) as raw:
        client = Client(raw.port)
        draw = random.Random(3)
        stream = client.stream(
            [0.0] * 40, itertools.repeat("a"), leavers=_Leaving(draw), patience=0.01
        )
        sent = await stream
    assert sum(each.left for each in sent) == 40


class _Leaving(random.Random):
    """Makes each client one that leaves: a silent server would keep the others for ever."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw.random())

    def random(self) -> float:
        """Say leave."""
        return 0.9
