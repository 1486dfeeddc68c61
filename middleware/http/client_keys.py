"""Functions of a request's scope that identify its client, its user, or its tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from ..core.arguments import checked
from ..errors import ConfigurationError

ClientKey = Callable[[Mapping[str, Any]], Hashable]
"""Returns a key that is equal for all requests of one client, from the scope of a request."""

Key = TypeVar("Key", bound=Callable[..., Any])

# Browsers send it, no page's script can set it, and programs have no reason to (Fetch Metadata).
_FETCH_METADATA = b"sec-fetch-site"
_FORWARDED = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip"))
# Headers of one hop (RFC 9110, 7.6.1), of the framing, and the one that controls rewriting.
_OF_A_MESSAGE = frozenset(
    "connection content-length expect keep-alive proxy-connection query-reformulation-control te "
    "trailer transfer-encoding upgrade".split()
)
_PERSONAL = frozenset((b"accept-language", b"authorization", b"cookie", b"origin", b"user-agent"))


def by_connection(scope: Mapping[str, Any]) -> Hashable:
    """Return the connection's address, and a hash of ``Authorization`` if that is sent."""
    client = scope.get("client")
    credentials = [value for name, value in scope["headers"] if name == b"authorization"]
    address = client[0] if client else ""
    return (address, hash(tuple(credentials))) if credentials else address


@checked
def by_address(header: str = "") -> ClientKey:
    """Return a key function that uses nothing a client can choose freely.

    The key is the connection's address. If a proxy in front sets ``header``, it is the last element
    of that header's last line; clients may have written the elements before it.
    Errors: ``ConfigurationError`` if ``header`` is not a header's name.
    """
    wanted = _header_name(header) if header else b""

    def address_of(scope: Mapping[str, Any]) -> Hashable:
        found = [value for name, value in scope["headers"] if name == wanted]
        client = scope.get("client")
        return found[-1].rpartition(b",")[2].strip() if found else (client[0] if client else "")

    return _reading(address_of, wanted)


@checked
def by_header(header: str) -> ClientKey:
    """Return a key function that uses a header set by a proxy in front.

    Requests without the header get the key of ``by_connection``. Whoever can set the header
    freely can pass for another client, and so find out whether that one searched for a text.
    Errors: ``ConfigurationError`` if ``header`` is not a header's name.
    """
    wanted = _header_name(header)

    def client_key(scope: Mapping[str, Any]) -> Hashable:
        found = [value for name, value in scope["headers"] if name == wanted]
        credentials = [value for name, value in scope["headers"] if name == b"authorization"]
        return (*found, hash(tuple(credentials))) if found else by_connection(scope)

    return _reading(client_key, wanted)


@checked
def by_tenant(header: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function for ``Clients(tenant_of=…)`` that uses a header set by a proxy in front.

    Requests with equal values share rewrites, and so do all requests without the header or with an
    empty one. The key is a hash, so that its length is fixed.
    Errors: ``ConfigurationError`` if ``header`` is not a header's name.
    """
    wanted = _header_name(header)

    def tenant_of(scope: Mapping[str, Any]) -> str:
        return tenant_key([value for name, value in scope["headers"] if name == wanted])

    return _reading(tenant_of, wanted)


def tenant_key(values: Sequence[bytes]) -> str:
    """Return the scope of rewrites for the values of a tenant's header; empty if it has none."""
    joined = b"\n".join(values)
    return hashlib.sha256(joined).hexdigest()[:32] if joined else ""


@checked
def by_browser(header: str = "") -> ClientKey:
    """Return a function that gives a key per typing user, or ``None`` for other requests.

    A request belongs to one user if a browser sent it: it has Fetch Metadata, or a ``User-Agent``
    that begins with Mozilla and an ``Accept-Language``. So does one with ``header``, by which a
    proxy in front identifies clients. Requests of a program, such as an app that searches for all
    of its users, belong to nobody. The key is made of that header, the forwarding headers (or the
    connection, if there are none), cookies, ``Authorization``, and what the browser tells about
    itself and its page. It holds hashes only.
    Errors: ``ConfigurationError`` if ``header`` is not a header's name.
    """
    wanted = _header_name(header) if header else b""

    def typing_key(scope: Mapping[str, Any]) -> Hashable:
        identified = mozilla = language = proxied = False
        parts: list[bytes] = []
        for name, value in scope["headers"]:
            if name in (wanted, _FETCH_METADATA):
                identified = True
            if name == wanted or name in _FORWARDED:
                proxied = True
                parts += (name, value)
            elif name in _PERSONAL:
                parts += (name, value)
                # Fetch Metadata is only sent to secure origins and to this machine.
                mozilla = mozilla or (name == b"user-agent" and value.startswith(b"Mozilla/"))
                language = language or name == b"accept-language"
        if not (identified or (mozilla and language)):
            return None
        client = scope.get("client")
        # A proxy in front may send one browser's requests over any of its connections.
        peer = client and (client[0] if proxied else tuple(client))
        return (peer, hash(tuple(parts)))

    return _reading(typing_key, wanted)


def header_of(function: object) -> str:
    """Return the name of the header that a key function reads, in lower case, or an empty string.

    A function of your own says it with an attribute ``header``.
    """
    return str(getattr(function, "header", "")).lower()


def _reading(function: Key, header: bytes) -> Key:
    vars(function)["header"] = header.decode("ascii")
    return function


def _header_name(header: str) -> bytes:
    if not header.isascii() or not header.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"{header!r} is not the name of a header; write it like X-Forwarded-For"
        )
    if header.lower() in _OF_A_MESSAGE:
        raise ConfigurationError(
            f"{header!r} tells about one message or connection, and not who sent it; name a "
            "header such as X-Forwarded-For"
        )
    return header.lower().encode()
