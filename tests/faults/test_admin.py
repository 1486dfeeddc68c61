"""What whoever runs the proxy may ask it, on a port that no searcher reaches."""

from __future__ import annotations

import json
import socket
from functools import partial
from pathlib import Path

import pytest

from .running import Served, ended, fresh, serving, until


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("engine") / "behaviour"
    file.write_text("well")
    return file


def rewritten(served: Served, text: str) -> bool:
    return served.search(text)[0] == "rewritten"


def options(behaviour: Path) -> tuple[str, ...]:
    return ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")


def test_it_is_off_the_public_side(upstream: str, well: Path) -> None:
    """There every path is the upstream's, whatever a request says of where it goes."""
    with serving(upstream, *options(well), QUERYLIFT_ADMIN_METRICS="true") as served:
        assert served.ready()[0] in (200, 503)
        assert served.admin.get("/metrics").text.count("# HELP querylift_") > 5
        port = served.admin.base_url.port
        for path in ("/readyz", "/metrics", "/memo", "/-/querylift/readyz"):
            assert served.client.get(path).status_code == 404
            for host in (f"127.0.0.1:{port}", "admin"):
                answer = served.client.get(path, headers={"Host": host})
                assert answer.text == "Not Found", "the upstream's own"
        whole = f"GET http://127.0.0.1:{port}/readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        with socket.create_connection(("127.0.0.1", served.port), 10) as raw:
            raw.sendall(f"{whole}Connection: close\r\n\r\n".encode())
            assert raw.recv(12) == b"HTTP/1.1 404"
        # And the other way round: no search goes through the admin port.
        assert served.admin.get("/search?q=red+lamp").status_code == 404
        for method, path in (("POST", "/readyz"), ("PUT", "/memo"), ("DELETE", "/metrics")):
            refused = served.admin.request(method, path)
            assert refused.status_code == 405
            assert refused.json()["code"] == "method_not_allowed"
            assert "GET" in refused.headers["allow"]
        assert "DELETE" in served.admin.put("/memo").headers["allow"]
        assert served.admin.head("/readyz").content == b""


def test_the_memo_is_told_and_purged(upstream: str, well: Path) -> None:
    with serving(upstream, *options(well)) as served:
        texts = [fresh() for _ in range(3)]
        for text in texts:
            until(partial(rewritten, served, text))
        told = served.admin.get("/memo").json()
        assert told["entries"] == 3
        assert told["bytes"] > 0
        assert served.search(texts[0])[1]["src"] == "memo"
        assert served.admin.get("/memo").json()["hits"] == told["hits"] + 1
        assert not any(word in served.admin.get("/memo").text for word in texts[0].split())

        one = {"text": f"  {texts[0]} "}
        assert served.admin.delete("/memo", params=one).json() == {"purged": 1}
        assert served.search(texts[0])[1]["src"] == "engine"
        assert served.admin.delete("/memo", params={"scope": "other"}).status_code == 404
        assert served.admin.delete("/memo", params={"txet": "a"}).status_code == 400
        web = {"Origin": "http://evil.test"}
        assert served.admin.delete("/memo", headers=web).status_code == 403
        assert served.admin.get("/memo").json()["entries"] == 3
        assert served.admin.delete("/memo").json() == {"purged": 3}
        assert served.admin.get("/memo").json()["entries"] == 0


def test_what_was_purged_does_not_come_back(upstream: str, well: Path, tmp_path: Path) -> None:
    """Not even where the process is killed before it could write its snapshot at the end."""
    file = tmp_path / "memo"
    with serving(upstream, *options(well), "--memo-snapshot", str(file)) as served:
        texts = [f"café {fresh()}", fresh()]
        for text in texts:
            until(partial(rewritten, served, text))
        # As curl sends it, which encodes nothing.
        head = f"DELETE /memo?text={texts[0].replace(' ', '+')} HTTP/1.1\r\nHost: a\r\n"
        with socket.create_connection(("127.0.0.1", served.admin.base_url.port or 0), 10) as raw:
            raw.sendall(f"{head}Connection: close\r\n\r\n".encode())
            assert b'{"purged":1}' in b"".join(iter(lambda: raw.recv(999), b""))
        kept = file.read_text("utf-8")
        assert texts[1] in kept
        assert r"caf\u00e9" not in kept


def test_a_prefix_puts_it_among_the_searches(upstream: str, well: Path) -> None:
    variables = {"QUERYLIFT_PREFIX": "/-/own", "QUERYLIFT_ADMIN_PORT": "0"}
    with serving(upstream, *options(well), **variables) as served:
        answer = served.client.get("/-/own/readyz")
        assert json.loads(answer.text).keys() == {"status"}
        assert served.client.get("/-/own/memo").status_code == 404, "no purge on that side"


def test_there_may_be_none(upstream: str, well: Path) -> None:
    with serving(upstream, *options(well), "--admin-port", "-1") as served:
        assert served.search()[2]


def test_a_port_that_is_taken_is_told(well: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, told, _ = ended(
            ["--upstream", "http://127.0.0.1:1", *options(well), "--admin-port", str(port)]
        )
    assert (status, "--admin-port" in told) == (1, True)
