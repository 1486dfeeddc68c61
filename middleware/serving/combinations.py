"""Settings that do nothing beside another one, which whoever gave them has to know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ..dialects.detection.probes import GUESSABLE
from ..errors import ConfigurationError
from .schema import Setting

if TYPE_CHECKING:
    from .settings import Settings

_Holds = Callable[["Settings"], object]

# Flat names of settings, when they do nothing, and what to do.
_IDLE: list[tuple[tuple[str, ...], _Holds, str]] = [
    (
        ("param", "json_pointer"),
        lambda s: s.named_dialect not in (None, "plain"),
        "only the dialect plain reads it, and dialect is {s.dialect}",
    ),
    (
        ("field", "not_field", "upstream_authorization"),
        lambda s: s.named_dialect is not None and s.named_dialect not in GUESSABLE,
        "the dialect {s.named_dialect} has no fields",
    ),
    (
        ("field",),
        lambda s: set(s.field) <= set(s.not_field),
        "not_field names the same, and wins",
    ),
    (
        ("json_pointer",),
        lambda s: s.max_body_kib == 0,
        "max_body_kib is 0, so that no body is looked at",
    ),
    (
        ("engine_process",),
        lambda s: not s.engine.process and s.engine.socket,
        "engine.socket is that of an engine process; give one of both",
    ),
    (
        ("engine_hang_timeout",),
        lambda s: not (s.engine.process or s.engine.socket),
        "engine.process is off, and a thread cannot be ended",
    ),
    (("admin_host",), lambda s: s.admin.port == -1, "admin.port is -1, which turns it off"),
    (
        ("admin_metrics",),
        lambda s: s.admin.port == -1 and not s.prefix,
        "nothing serves them: admin.port is -1, and there is no prefix",
    ),
    (
        ("log_queries", "log_sample"),
        lambda s: s.log.level not in ("info", "debug"),
        "decisions are written where log.level is info or debug, and it is {s.log.level}",
    ),
    (
        ("log_redact",),
        lambda s: not s.log.queries,
        "log.queries is off, so that no text is written",
    ),
    (
        ("trusted_networks",),
        lambda s: s.trust_control,
        "trust_control trusts all networks; give one of both",
    ),
    (
        ("upstream_ca",),
        lambda s: s.upstream.url.lower().startswith("http:"),
        "the upstream is not https",
    ),
    (
        ("upstream_pool_timeout",),
        lambda s: s.upstream.max_waiting == 0,
        "upstream.max_waiting is 0, so that no request waits",
    ),
    (
        ("upstream_read_timeout",),
        lambda s: 0 < s.upstream.total_timeout < s.upstream.read_timeout,
        "upstream.total_timeout ends a response before",
    ),
    (
        ("upstream_connect_timeout",),
        lambda s: 0 < s.upstream.total_timeout < s.upstream.connect_timeout,
        "upstream.total_timeout ends an attempt before",
    ),
]


def check_combinations(
    settings: Settings, given: Collection[str], known: Collection[Setting]
) -> None:
    """Raise ``ConfigurationError`` for the first setting of ``given`` that does nothing.

    ``given`` are the flat names that some source has; one with the value of its default asks for
    nothing, but for names and pointers of a query. ``known`` are all settings.
    """
    for names, is_idle, why in _IDLE:
        if not is_idle(settings):
            continue
        for setting in known:
            if setting.flat not in names or setting.flat not in given:
                continue
            if setting.get(settings) != setting.default or setting.flat == "param":
                reason = why.format(s=settings)
                raise ConfigurationError(f"setting {setting.name} does nothing here: {reason}")
