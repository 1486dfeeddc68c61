"""Time limits and bounds of the connections to an upstream."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..core.arguments import check_fields
from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that parts of an exchange may take; ``None`` means no limit.

    ``connect`` is for a new connection with its TLS handshake, ``read`` and ``write`` for the next
    bytes, ``total`` for the whole exchange up to the last byte of the response, ``pool`` for a free
    connection. Errors: ``ConfigurationError``.
    """

    connect: float | None = 5.0
    read: float | None = 30.0
    write: float | None = 30.0
    total: float | None = None
    pool: float | None = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not value > 0:
                raise ConfigurationError(
                    f"{each.name} timeout is {value!r}; give seconds above 0, or None for no limit"
                )


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections to an upstream.

    At most ``max_connections`` requests are sent at a time; ``max_waiting`` more wait for a free
    connection, and others are rejected at once. ``keepalive_expiry`` is how many seconds an idle
    connection may be reused; it should be below the upstream's own limit. ``max_buffered`` is how
    many bytes of answers are buffered for clients that read slowly, beside 256 KiB of each answer
    that is being received.
    Errors: ``ConfigurationError``.
    """

    max_connections: int = 100
    max_waiting: int = 1000
    keepalive_expiry: float = 4.0
    max_buffered: int = 64 * 2**20

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_connections < 1:
            raise ConfigurationError(
                f"max_connections is {self.max_connections!r}; it must be 1 or more"
            )
        if self.max_waiting < 0:
            raise ConfigurationError(f"max_waiting is {self.max_waiting!r}; it must be 0 or more")
        if self.max_buffered < 0:
            raise ConfigurationError(f"max_buffered is {self.max_buffered!r}; it must be 0 or more")
