"""Refuses an upstream that is this service itself."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..errors import ConfigurationError
from ..upstream.target import Upstream


def refuse_own_address(url: str, bound: Sequence[socket.socket]) -> None:
    """Raise ``ConfigurationError`` if an upstream's URL leads to one of these bound sockets.

    A name that cannot be resolved now, or that leads here through another proxy, is not noticed;
    such a request is recognized when it comes back (``Forwarding.loop_id``).
    """
    upstream = Upstream.parse(url)
    own = [address for each in bound if (address := each.getsockname())[1] == upstream.port]
    if not own:
        return
    try:
        found = socket.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
    except OSError:
        return
    for host, *_ in own:
        if any(_leads_to(_ip(str(address[0])), _ip(host)) for *_, address in found):
            raise ConfigurationError(
                f"upstream {url!r} leads back to this proxy, which listens on {host} port "
                f"{upstream.port}; name the address of the search backend, or listen on another "
                "--port"
            )


def _ip(address: str) -> IPv4Address | IPv6Address:
    found = ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _leads_to(target: IPv4Address | IPv6Address, own: IPv4Address | IPv6Address) -> bool:
    """Return whether a connection to ``target`` reaches a listener on ``own``."""
    if target == own or (target.is_unspecified and own.is_loopback):
        return True  # a connection to 0.0.0.0 goes to the loopback address
    return own.is_unspecified and (target.is_unspecified or _is_local(target))


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is one of this machine: only those can be bound."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
