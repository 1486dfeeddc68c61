"""A header that a proxy in front sets keeps the rewrites of one tenant from another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import ended, fresh, serving, until


def test_what_a_tenant_asked_is_new_to_others(behaviour: Path, upstream: str) -> None:
    """Each has a memo of its own, and so have those who are no tenant."""
    engine = ("--engine", "faulty", "--model", str(behaviour), "--budget-ms", "5000")
    with serving(upstream, *engine, QUERYLIFT_TENANT_HEADER="X-Tenant") as served:
        until(lambda: served.ready()[0] == 200)
        text = fresh()

        def source(**headers: str) -> str:
            answer = served.client.get("/search", params={"q": text}, headers=headers)
            return answer.headers["query-reformulation"].split(";")[1].removeprefix("src=")

        assert source(**{"X-Tenant": "a"}) == "engine"
        assert source(**{"X-Tenant": "b"}) == "engine"
        assert source() == "engine"
        assert source(**{"X-Tenant": "a"}) == "memo"
        assert source() == "memo"


@pytest.mark.parametrize("name", ["X Tenant", "a:b"])
def test_a_name_of_no_header_fails_the_start(name: str, upstream: str) -> None:
    status, error, _ = ended(["--upstream", upstream], QUERYLIFT_TENANT_HEADER=name)
    assert status != 0
    assert "not the name of a header" in error
