"""What the admin port tells and forgets of one text or one tenant, asked with raw bytes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from middleware.serving.server import served_in_thread

from .conftest import app
from .running import Served, fresh, serving, until

TENANTS = [
    b"acme", b"Acme", b"a b", b"a+b", b"a&b=c", b"caf\xc3\xa9", b"caf\xe9", b"50%", b"\x80\xff",
    b"a,b", b"a;q=1", b'"quoted"', b"x" * 5000, b"0" * 32,
]  # fmt: skip
"""Values of the header, as they may stand on the wire."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with a header that names tenants."""
    file = tmp_path_factory.mktemp("engine") / "behaviour"
    file.write_text("well")
    options = ("--engine", "faulty", "--model", str(file), "--budget-ms", "9000")
    with (
        served_in_thread(app()) as upstream,
        serving(upstream, *options, "--tenant-header", "X-Tenant") as running,
    ):
        until(lambda: running.ready()[0] == 200)
        yield running


def asked(port: int, method: str, target: bytes, *lines: bytes) -> tuple[int, bytes, str]:
    """Send one request, and return status, body and the decision."""
    head = b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", b"Host: a", *lines])
    with socket.create_connection(("127.0.0.1", port), 30) as raw:
        raw.sendall(head + b"\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    start, _, body = answer.partition(b"\r\n\r\n")
    result = start.partition(b"query-reformulation: ")[2].partition(b"\r\n")[0]
    return int(start.split()[1]), body, result.decode()


def searched(served: Served, text: str, *tenants: bytes) -> str:
    lines = [b"X-Tenant: " + tenant for tenant in tenants]
    target = b"/search?q=" + quote_from_bytes(text.encode()).encode()
    status, _, result = asked(served.port, "GET", target, *lines)
    assert status == 200
    return result.partition("src=")[2].partition(";")[0]


def memo(served: Served, method: str, query: bytes) -> tuple[int, Any]:
    port = served.admin.base_url.port
    assert port
    status, body, _ = asked(port, method, b"/memo?" + query)
    return status, json.loads(body)


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda value: str(value)[:20])
def test_a_tenant_is_forgotten_by_the_value_of_its_header(served: Served, tenant: bytes) -> None:
    """And nobody else is."""
    texts = [fresh(), fresh()]
    for text in texts:
        for other in ((tenant,), (b"other",), ()):
            assert searched(served, text, *other) == "engine"
    scope = b"scope=" + quote_from_bytes(tenant).encode()
    text_of = b"text=" + quote_from_bytes(texts[0].encode()).encode()
    assert memo(served, "GET", scope)[1]["entries"] == 2
    assert memo(served, "GET", scope + b"&" + text_of)[1]["entries"] == 1
    assert memo(served, "DELETE", scope) == (200, {"purged": 2})
    assert memo(served, "GET", scope)[1]["entries"] == 0
    status, told = memo(served, "DELETE", scope)
    assert (status, told["code"]) == (404, "nothing_matched")
    for text in texts:
        assert searched(served, text, tenant) == "engine"
        assert searched(served, text, b"other") == "memo"
        assert searched(served, text) == "memo"


def test_requests_of_no_tenant_have_the_empty_scope(served: Served) -> None:
    """So have those with an empty header: both are named by an empty value."""
    text = fresh()
    target = b"text=" + quote_from_bytes(text.encode()).encode()
    assert [searched(served, text), searched(served, text, b"")] == ["engine", "memo"]
    assert searched(served, text, b"me") == "engine"
    assert memo(served, "GET", target)[1]["entries"] == 2
    assert memo(served, "DELETE", b"scope=&" + target) == (200, {"purged": 1})
    assert searched(served, text, b"me") == "memo"


def test_a_header_on_several_lines_is_one_tenant(served: Served) -> None:
    """Its lines are joined by a newline."""
    text = fresh()
    assert searched(served, text, b"one", b"two") == "engine"
    assert memo(served, "DELETE", b"scope=one%0Atwo") == (200, {"purged": 1})
    assert searched(served, text, b"one", b"two") == "engine"


@pytest.mark.parametrize(
    "other",
    [b"nobody", b"2bb80d537b1da3e38bd30361aa855686", b"%61cme2", b"+", b"%00", b"scope", b"*"],
)
def test_a_scope_that_nobody_has_is_told(served: Served, other: bytes) -> None:
    """Neither is a hash a name, nor are there patterns."""
    searched(served, fresh(), b"acme")
    assert memo(served, "DELETE", b"scope=" + other)[0] == 404
    assert memo(served, "GET", b"scope=" + other) == (200, {"entries": 0, "bytes": 0})


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"txet=a", 400), (b"text=a&x=1", 400), (b"SCOPE=a", 400), (b"", 200), (b"text=", 200),
        (b"text=nobody+asked+this", 200),
    ],
)  # fmt: skip
def test_parameters_of_both_methods_are_the_same(served: Served, query: bytes, status: int) -> None:
    """A typo is told, by reading as by forgetting."""
    assert memo(served, "GET", query)[0] == status
    if status == 400:
        assert memo(served, "DELETE", query)[0] == status


def test_one_text_is_told_however_it_is_spaced(served: Served) -> None:
    """By bytes and entries, and never by the text itself."""
    text = f"café {fresh()}"
    searched(served, text, b"a")
    searched(served, text, b"b")
    spaced = quote_from_bytes(text.replace("lamp", " lamp ").encode()).encode()
    told = memo(served, "GET", b"text=" + spaced)[1]
    assert told.keys() == {"entries", "bytes"}
    assert told["entries"] == 2
    assert told["bytes"] > 0
    decomposed = text.replace("é", "e\N{COMBINING ACUTE ACCENT}").encode()
    assert memo(served, "DELETE", b"text=" + quote_from_bytes(decomposed).encode())[1] == {
        "purged": 2
    }


def test_without_the_header_in_the_settings_scopes_are_what_they_are(
    upstream: str, behaviour: Path
) -> None:
    """All requests share the empty scope; an empty memo may be purged as a whole."""
    options = ("--engine", "faulty", "--model", str(behaviour), "--budget-ms", "9000")
    with serving(upstream, *options) as served:
        until(lambda: served.ready()[0] == 200)
        assert memo(served, "DELETE", b"") == (200, {"purged": 0})
        text = fresh()
        assert searched(served, text, b"a") == "engine"
        assert searched(served, text, b"b") == "memo"
        assert memo(served, "DELETE", b"scope=a")[0] == 404
        assert memo(served, "DELETE", b"scope=") == (200, {"purged": 1})
