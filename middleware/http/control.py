"""The request header that controls the rewriting of one request, and which callers may send it."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.arguments import checked
from ..core.outcome import Mode
from ..errors import ConfigurationError

Trust = Callable[[Mapping[str, Any]], bool]
"""Returns whether the client of a request may control its rewriting, from the request's scope."""


@dataclass(frozen=True, slots=True)
class Control:
    """What one request asks for; ``None`` stands for the reformulator's own setting.

    ``budget`` is in seconds. ``cached`` and ``stored``: the memo may be asked and filled.
    """

    mode: Mode | None = None
    budget: float | None = None
    cached: bool = True
    stored: bool = True


DEFAULT_CONTROL = Control()
_MOST_ENTRIES = 32


def parse_control(value: str, *, max_budget: float) -> Control:
    """Parse a comma list of ``off``, ``no-cache``, ``no-store``, ``budget=<ms>``, ``mode=<mode>``.

    A budget is cut to ``max_budget`` seconds. Unknown entries are ignored, as a search must get
    through, and so are those after the first 32. If entries contradict each other, the last one
    wins.
    """
    mode: Mode | None = None
    budget: float | None = None
    cached = stored = True
    for entry in value.lower().split(",", _MOST_ENTRIES)[:_MOST_ENTRIES]:
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


@checked
def trusting(networks: Iterable[str]) -> Trust:
    """Return a function that trusts connections from the given networks, whatever their headers.

    Networks are in CIDR notation, or single addresses. An IPv4 address in IPv6 notation
    (``::ffff:10.0.0.1``) counts as IPv4. Errors: ``ConfigurationError``.
    """
    trusted: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for network in networks:
        try:
            trusted.append(ipaddress.ip_network(network))
        except ValueError as error:
            raise ConfigurationError(
                f"{network!r} is not a network such as 10.0.0.0/8: {error}"
            ) from None

    def trusts(scope: Mapping[str, Any]) -> bool:
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(client[0] if client else "")
        except ValueError:  # a Unix socket, or a test client's name
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in trusted)

    return trusts


def _seconds(milliseconds: str, limit: float) -> float | None:
    try:
        seconds = float(milliseconds) / 1000
    except ValueError:
        return None
    return min(seconds, limit) if math.isfinite(seconds) and seconds >= 0 else None
