"""The settings of ``querylift serve``: a TOML file, the environment and options, in one table.

Later ones win: defaults, file, ``QUERYLIFT_*`` variables, options of the command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.outcome import Mode
from ..errors import ConfigurationError

__all__ = ["AUTO", "ENVIRONMENT_PREFIX", "Settings", "describe", "load_settings"]

ENVIRONMENT_PREFIX = "QUERYLIFT_"
AUTO = "auto"
"""The dialect that stands for asking the upstream, which is what happens when none is named."""

_PARAM = ("q",)
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_LOG_LEVELS = ("debug", "info", "warning", "error")


def _setting(default: Any, description: str) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Validated settings; every field has a sentence that the README shows.

    Errors: ``ConfigurationError`` from the constructor, naming the setting.
    """

    upstream: str = _setting("", "URL of the search API, `http(s)://host[:port][/base]`; required")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8080, "port to listen on; 0 takes any free one")
    admin_host: str = _setting("127.0.0.1", "address on which the admin endpoints listen")
    admin_port: int = _setting(
        8081,
        "port where `/readyz`, `/metrics` and `/memo` answer, apart from the searches; 0 takes any "
        "free one, -1 has none",
    )
    dialect: str = _setting(
        AUTO,
        "the search API: `plain`, `elasticsearch`, `opensearch`, `solr`, `meilisearch`, "
        "`typesense`, `algolia`, `groonga`, one that a package adds, or `auto`, which asks the "
        "upstream (where `param` or `json_pointer` say where the text is: `plain`)",
    )
    path: tuple[str, ...] = _setting(
        (),
        "globs of the paths that are searches: `*` within a segment, `**` across; "
        "without any, those of the dialect (`plain`: all)",
    )
    method: tuple[str, ...] = _setting(("GET", "POST"), "methods of requests that are searches")
    param: tuple[str, ...] = _setting(
        _PARAM, "URL parameters and form fields that hold the query's text"
    )
    json_pointer: tuple[str, ...] = _setting(
        (), "JSON pointers (RFC 6901) to the query's text in JSON bodies"
    )
    budget_ms: float = _setting(100.0, "milliseconds that a rewrite may take")
    mode: str = _setting("replace", "`replace`, `expand`, `shadow` or `off`")
    engine: str = _setting("t5", "the engine that runs the model")
    model: str = _setting("bundled", "`bundled`, a folder, or a Hugging Face hub id")
    words: str = _setting(
        "",
        "a text file of words that are spelled right here, such as names of brands, for the "
        "hints that the bundled model gets",
    )
    engine_process: bool = _setting(
        True,
        "run the engine in a process of its own, so that it never holds up a request; "
        "otherwise in a thread, which takes less memory",
    )
    workers: int = _setting(
        1,
        "processes that serve, each with a memo of its own, and with an admin port of its own from "
        "`admin_port` upwards; they share the engine's process; needs a system that can fork",
    )
    engine_socket: str = _setting(
        "",
        "path of a local socket in a folder of your own: further `serve` processes that name it "
        "share the engine's process too; none unless given",
    )
    threads: int = _setting(0, "threads of the engine; 0 takes the CPU quota")
    queue: int = _setting(24, "rewrites that may wait for the engine")
    breaker_rest: float = _setting(
        5.0,
        "seconds that an engine which failed, hangs or became slow is left alone before it is "
        "tried again; doubled up to a minute while it stays so",
    )
    memo_entries: int = _setting(50_000, "rewrites that are remembered")
    memo_mib: float = _setting(64.0, "mebibytes that they may take")
    memo_ttl: float = _setting(86_400.0, "seconds that a rewrite is remembered")
    memo_snapshot: str = _setting(
        "",
        "file that the rewrites are kept in from one run to the next, readable by its owner only; "
        "none unless given",
    )
    client_header: str = _setting(
        "",
        "header by which a proxy in front tells clients apart, such as `X-Forwarded-For`; "
        "without one, their address and `Authorization` do",
    )
    tenant_header: str = _setting(
        "",
        "header, set by a proxy in front and never passed on from clients, that names who shares "
        "rewrites with whom, such as a tenant or an access class; without one, all requests share",
    )
    client_rate: float = _setting(
        0.0,
        "new texts a second that one client may have rewritten, with twenty at once; 0 sets no "
        "bound, as clients behind one address would share it",
    )
    typing_ms: float = _setting(
        300.0,
        "milliseconds within which a growing or shrinking text counts as still being typed and is "
        "left alone, where requests are a browser's own or `client_header` tells clients apart; "
        "0 takes each for finished",
    )
    trust_control: bool = _setting(False, "obey `Query-Reformulation-Control` of any client")
    control_from: tuple[str, ...] = _setting(
        (), "networks (`10.0.0.0/8`) whose clients' `Query-Reformulation-Control` is obeyed"
    )
    expose_query: bool = _setting(False, "put the effective query into the response header")
    server_timing: bool = _setting(True, "append `Server-Timing`")
    prefix: str = _setting(
        "",
        "path such as `/-/querylift` below which `/readyz` and `/metrics` answer among the "
        "searches too; none unless given",
    )
    metrics: bool = _setting(False, "serve `/metrics` for Prometheus (extra `metrics`)")
    max_body_kib: int = _setting(256, "kibibytes of a body in which a query is looked for")
    preserve_host: bool = _setting(False, "send the client's `Host` upstream")
    forwarded: bool = _setting(False, "append this hop to `Forwarded` and `X-Forwarded-*`")
    upstream_ca: str = _setting(
        "",
        "PEM file of the certificates that vouch for an https upstream, such as that of a search "
        "server which made its own; without one, the public ones do",
    )
    connect_timeout: float = _setting(5.0, "seconds to connect to the upstream")
    read_timeout: float = _setting(30.0, "seconds between bytes of the upstream's answer")
    total_timeout: float = _setting(
        0.0, "seconds for the upstream's whole answer; 0 sets no limit, for downloads"
    )
    connections: int = _setting(256, "requests that are sent to the upstream at a time")
    waiting: int = _setting(
        1000, "further ones that may wait for their turn; the others get 503 with `Retry-After`"
    )
    wait_timeout: float = _setting(1.0, "seconds that they may wait")
    max_requests: int = _setting(
        2000, "requests under way in all, uploads and rewrites too; further ones get 503 at once"
    )
    start_degraded: bool = _setting(
        False,
        "where the model cannot be had or loaded, go on without rewrites and say so on `/readyz`; "
        "otherwise `serve` ends with what is wrong",
    )
    head_timeout: float = _setting(
        15.0, "seconds that a client may take for the head of a request, or be silent before it"
    )
    body_timeout: float = _setting(
        30.0,
        "seconds that a client may take for the next part of a request's body, of which 500 bytes "
        "a second have to come, or to take the next part of its answer",
    )
    shutdown_grace: float = _setting(
        30.0,
        "seconds that requests under way have at the end; a second signal ends them at once",
    )
    log_level: str = _setting("warning", "`debug`, `info` (each decision), `warning` or `error`")
    log_queries: bool = _setting(False, "write the texts of queries into the log")
    log_redact: bool = _setting(
        True, "write `…` for numbers, addresses and identifiers in those texts"
    )
    log_sample: float = _setting(1.0, "share of the decisions that `info` writes, 0 to 1")

    @property
    def named_dialect(self) -> str | None:
        """The dialect that was named, or ``None`` where the upstream is to be asked.

        Who says where the text is means that place, which is what ``plain`` is for.
        """
        if self.dialect != AUTO:
            return self.dialect
        return "plain" if self.json_pointer or self.param != _PARAM else None

    def __post_init__(self) -> None:
        Mode.parse(self.mode)
        _require(self.log_level in _LOG_LEVELS, "log_level", f"one of {', '.join(_LOG_LEVELS)}")
        _require(0 <= self.port <= 65_535, "port", "within 0 and 65535")
        _require(-1 <= self.admin_port <= 65_535, "admin_port", "within -1 and 65535")
        _require(
            self.port == 0 or self.port != self.admin_port, "admin_port", "another one than port"
        )
        _require(0 < self.budget_ms < 60_000, "budget_ms", "above 0 and below 60000")
        _require(self.threads >= 0, "threads", "at least 0")
        _require(1 <= self.workers <= 256, "workers", "within 1 and 256")
        for name in (
            "queue", "memo_entries", "memo_mib", "memo_ttl", "connect_timeout", "read_timeout",
            "connections", "wait_timeout", "max_requests", "head_timeout",
            "body_timeout",
        ):  # fmt: skip
            _require(getattr(self, name) > 0, name, "above 0")
        _require(self.total_timeout >= 0, "total_timeout", "at least 0")
        _require(self.waiting >= 0, "waiting", "at least 0")
        _require(0 <= self.log_sample <= 1, "log_sample", "within 0 and 1")
        _require(self.client_rate >= 0, "client_rate", "at least 0")
        _require(0 <= self.typing_ms < 60_000, "typing_ms", "at least 0 and below 60000")
        _require(0 < self.breaker_rest <= 60, "breaker_rest", "above 0 and at most 60")
        _require(0 < self.shutdown_grace < 3600, "shutdown_grace", "above 0 and below 3600")
        _require(self.max_body_kib >= 0, "max_body_kib", "at least 0")
        _require(bool(self.method), "method", "not empty")
        _require(bool(self.param or self.json_pointer), "param or json_pointer", "not empty")


def describe() -> list[tuple[str, str, str]]:
    """Return name, default and description of every setting, in order."""
    return [
        (f.name, _shown(f.default), f.metadata["description"]) for f in dataclasses.fields(Settings)
    ]


def load_settings(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a file, the environment and the options given (``None``: not given).

    Errors: ``ConfigurationError`` with the place, the name and what is right.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_read_file(file))
    known = {f.name: f for f in dataclasses.fields(Settings)}
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            if name not in known:
                raise _unknown(variable, name, known)
            values[name] = _from_text(variable, text, known[name].default)
    values.update({k: v for k, v in (options or {}).items() if v is not None})
    return Settings(**values)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"settings file {file}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"settings file {file} is no TOML: {error}") from None
    known = {f.name: f for f in dataclasses.fields(Settings)}
    values = {}
    for raw, value in table.items():
        name = raw.replace("-", "_")
        if name not in known:
            raise _unknown(f"settings file {file}: {raw}", name, known)
        values[name] = _typed(f"settings file {file}: {raw}", value, known[name].default)
    return values


def _typed(place: str, value: Any, default: Any) -> Any:
    """Return a value of TOML as the type that the default has."""
    if isinstance(default, tuple):
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(items)
        raise ConfigurationError(f"{place} must be a text or a list of texts")
    if isinstance(default, bool) or isinstance(value, bool):
        right = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        right, value = isinstance(value, int | float), value
    else:
        right = isinstance(value, type(default))
    if not right:
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise ConfigurationError(f"{place} must be {kinds[type(default)]}, and is {value!r}")
    return value


def _from_text(place: str, text: str, default: Any) -> Any:
    """Return what a text of the environment says, as the type that the default has."""
    try:
        if isinstance(default, bool):
            if text.lower() in (*_TRUE, *_FALSE):
                return text.lower() in _TRUE
            raise ValueError(f"one of {', '.join((*_TRUE, *_FALSE))}")
        if isinstance(default, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return type(default)(text)
    except ValueError as error:
        raise ConfigurationError(f"{place}={text!r} is not right: {error}") from None


def _unknown(place: str, name: str, known: Mapping[str, Any]) -> ConfigurationError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return ConfigurationError(f"{place} is no setting; {hint}")


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise ConfigurationError(f"setting {name} must be {what}")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)
