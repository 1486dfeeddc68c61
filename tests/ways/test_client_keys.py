"""Who asks, told from a request's scope: the client, its person, its address and its tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from middleware import ConfigurationError, by_address, by_browser, by_header, by_tenant

from .driving import http_scope

BROWSER = (b"sec-fetch-site", b"same-origin")
BEHIND = (BROWSER, (b"x-forwarded-for", b"192.0.2.1"))
ME = (*BEHIND, (b"cookie", b"session=a"), (b"user-agent", b"A"))


@pytest.mark.parametrize("key_of", [by_tenant, by_header, by_address, by_browser])
@pytest.mark.parametrize(
    "header", ["Connection", "content-length", "TE", "Upgrade", "Query-Reformulation-Control"]
)
def test_a_header_that_tells_of_no_client_is_refused(
    key_of: Callable[[str], object], header: str
) -> None:
    """All clients, or none, would be the same."""
    with pytest.raises(ConfigurationError, match="not who sent it"):
        key_of(header)


def test_a_header_tells_tenants_apart() -> None:
    """Equal values share, none is a tenant of its own, and no value is kept as it is."""
    tenant_of = by_tenant("X-Tenant")
    scopes = [http_scope(headers=lines) for lines in ([], [(b"x-tenant", b"a" * 9000)])]
    others = http_scope(headers=[(b"x-tenant", b"a"), (b"x-tenant", b"b")])
    none, long = map(tenant_of, scopes)
    assert none == ""
    assert len(long) == 32
    assert len({none, long, tenant_of(others), tenant_of(others)}) == 3
    with pytest.raises(ConfigurationError, match="not the name of a header"):
        by_tenant("a:b")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([(b"user-agent", b"Mozilla/5.0 (X11)"), (b"accept-language", b"en")], True),
        ([(b"user-agent", b"Mozilla/5.0 (X11)")], False),
        ([(b"user-agent", b"python-httpx/0.28"), (b"accept-language", b"en")], False),
        ([BROWSER], True),
    ],
)
def test_browsers_are_known_without_fetch_metadata_too(
    lines: list[tuple[bytes, bytes]], told: bool
) -> None:
    """They send it to secure origins only, and search at every key on others as well."""
    assert (by_browser()(http_scope(headers=lines)) is not None) is told


def test_of_who_types_only_hashes_are_kept() -> None:
    lines = (*ME, (b"authorization", b"Bearer secret"))
    kept = repr(by_browser()(http_scope(headers=lines)))
    assert not any(word in kept for word in ("secret", "session", "192.0.2.1"))
    with pytest.raises(ConfigurationError, match="not the name of a header"):
        by_browser("X Forwarded")


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        ([[(b"authorization", b"Basic %d" % n)] for n in range(3)], ""),
        (
            [[(b"x-forwarded-for", b"10.0.0.%d, 192.0.2.9" % n)] for n in range(3)],
            "X-Forwarded-For",
        ),
        ([[(b"x-user", b"me"), (b"cookie", b"%d" % n)] for n in range(3)], "X-User"),
    ],
)
def test_no_client_makes_itself_another_to_be_allowed_more(lines: Any, header: str) -> None:
    address_of = by_address(header)
    assert len({address_of(http_scope(headers=each)) for each in lines}) == 1
    assert address_of(http_scope(client=("192.0.2.2", 1))) != address_of(
        http_scope(client=("192.0.2.3", 1))
    )
