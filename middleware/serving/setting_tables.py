"""The tables of settings for the memo, the admin endpoints and the log."""

from __future__ import annotations

from dataclasses import dataclass

from .schema import setting as _setting


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoSettings:
    """The table ``[memo]``: rewrites that are kept."""

    max_entries: int = _setting(50_000, "rewrites that are kept in memory", above=0)
    max_mib: float = _setting(64.0, "mebibytes that they may take", above=0)
    ttl: float = _setting(86_400.0, "seconds that a rewrite is kept", above=0)
    snapshot: str = _setting(
        "",
        "file that keeps the rewrites from one run to the next, readable by its owner only; "
        "without one, they are lost at the end",
        metavar="FILE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """The table ``[admin]``: endpoints for whoever runs the proxy."""

    host: str = _setting(
        "127.0.0.1", "address that the admin endpoints listen on", metavar="ADDRESS"
    )
    port: int = _setting(
        8081,
        "port of `/readyz`, `/metrics` and `/memo`; 0 takes any free one, -1 turns them off",
        least=-1,
        most=65_535,
    )
    metrics: bool = _setting(False, "serve `/metrics` for Prometheus (needs the extra `metrics`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The table ``[log]``: what is written to standard error."""

    level: str = _setting(
        "warning",
        "`debug`, `info` (which writes each decision), `warning` or `error`",
        choices=("debug", "info", "warning", "error"),
    )
    queries: bool = _setting(False, "write the texts of queries into the log")
    redact: bool = _setting(True, "replace numbers, addresses and identifiers in them by `…`")
    sample: float = _setting(1.0, "share of the decisions that `info` writes", least=0, most=1)
