"""The request header by which a trusted caller steers one request, and who is one."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.outcome import Mode
from ..errors import ConfigurationError

__all__ = ["DEFAULT_CONTROL", "Control", "Trust", "parse_control", "trusting"]

Trust = Callable[[Mapping[str, Any]], bool]
"""Tells by the scope of a request whether its client is obeyed."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a request asks for; ``None`` leaves the reformulator's own setting.

    ``budget`` is in seconds; ``cached`` and ``stored`` tell whether the memo is asked and filled.
    """

    mode: Mode | None = None
    budget: float | None = None
    cached: bool = True
    stored: bool = True


DEFAULT_CONTROL = Control()


def parse_control(value: str, *, max_budget: float) -> Control:
    """Read a comma list of ``off``, ``no-cache``, ``no-store``, ``budget=<ms>``, ``mode=<mode>``.

    A budget is bounded by ``max_budget`` seconds. What is not understood is passed over,
    as a search must get through; of entries that contradict each other the last one counts.
    """
    mode: Mode | None = None
    budget: float | None = None
    cached = stored = True
    for entry in value.lower().split(","):
        name, _, argument = (part.strip() for part in entry.partition("="))
        if name == "off":
            mode = Mode.OFF
        elif name == "no-cache":
            cached = False
        elif name == "no-store":
            stored = False
        elif name == "mode" and argument in set(Mode):
            mode = Mode(argument)
        elif name == "budget":
            wanted = _seconds(argument, max_budget)
            budget = budget if wanted is None else wanted
    return Control(mode, budget, cached, stored)


def trusting(networks: Iterable[str]) -> Trust:
    """Return what trusts the clients whose connection comes from one of the networks.

    Networks are in CIDR notation, or single addresses; headers play no part. An IPv4 address
    that a socket tells in IPv6 (``::ffff:10.0.0.1``) is taken as what it is.
    Errors: ``ConfigurationError`` for what is no network.
    """
    trusted: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for network in networks:
        try:
            trusted.append(ipaddress.ip_network(network))
        except ValueError as error:
            raise ConfigurationError(
                f"{network!r} is no network such as 10.0.0.0/8: {error}"
            ) from None

    def trusts(scope: Mapping[str, Any]) -> bool:
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(client[0] if client else "")
        except ValueError:  # a local socket, or what a test client calls itself
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in trusted)

    return trusts


def _seconds(milliseconds: str, most: float) -> float | None:
    try:
        seconds = float(milliseconds) / 1000
    except ValueError:
        return None
    return min(seconds, most) if math.isfinite(seconds) and seconds >= 0 else None
