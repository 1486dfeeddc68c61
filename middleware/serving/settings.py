"""The settings of ``querylift serve``, grouped by table, and the list of all of them.

``SETTINGS`` is derived from the dataclasses: the command line's options, the environment variables,
the keys of a TOML file and the reference in the documentation all come from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as _table

from ..core.outcome import Mode
from ..errors import ConfigurationError
from .schema import list_settings
from .schema import setting as _setting
from .setting_tables import AdminSettings, LogSettings, MemoSettings

AUTO = "auto"
"""The value of ``dialect`` that lets the proxy ask the upstream which search API it is."""

_PARAM = ("q",)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """The table ``[upstream]``: the search API, and the connections to it."""

    url: str = _setting(
        "",
        "URL of the search API, `http(s)://host[:port][/base]`; required",
        flat="upstream",
        metavar="URL",
    )
    ca: str = _setting(
        "",
        "PEM file with the certificates that an https upstream is verified against; without one, "
        "the public certificate authorities are used",
        metavar="FILE",
    )
    connect_timeout: float = _setting(5.0, "seconds to connect to the upstream", above=0)
    read_timeout: float = _setting(30.0, "seconds between two parts of a response", above=0)
    total_timeout: float = _setting(
        0.0, "seconds for a whole response; 0 sets no limit, which downloads need", least=0
    )
    max_connections: int = _setting(
        256, "requests that are sent to the upstream at the same time", above=0
    )
    max_waiting: int = _setting(
        1000,
        "further requests that may wait for a connection; all others get 503 with `Retry-After`",
        least=0,
    )
    max_buffered_mib: float = _setting(
        64.0,
        "mebibytes of answers that are buffered for clients that read slowly; a client that reads "
        "nothing of a longer answer is cut off when others wait for a connection",
        least=0,
    )
    pool_timeout: float = _setting(1.0, "seconds that a request may wait for a connection", above=0)
    preserve_host: bool = _setting(False, "send the client's `Host` header to the upstream")
    authorization: str = _setting(
        "",
        "`Authorization` with which the proxy asks which fields hold text, such as `ApiKey …` of "
        "an account that may only read mappings; without one it asks without, and never with a "
        "client's; better set by the environment variable or the file than on the command line",
        metavar="CREDENTIALS",
    )
    forwarded: bool = _setting(False, "append this proxy to `Forwarded` and `X-Forwarded-*`")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The table ``[engine]``: what runs the model."""

    name: str = _setting("t5", "engine that runs the model", flat="engine", metavar="NAME")
    process: bool = _setting(
        True,
        "run the engine in its own process, so that it never delays a request; otherwise in a "
        "thread, which takes less memory",
    )
    socket: str = _setting(
        "",
        "path of a local socket in a folder that only you can write; all `serve` processes with "
        "the same path share one engine process; without one, each has its own",
        metavar="PATH",
    )
    hang_timeout: float = _setting(
        10.0,
        "seconds that an engine process may be silent after nobody waits for its answer any more; "
        "then it is killed and another one is started",
        above=0,
    )
    threads: int = _setting(0, "threads of the engine; 0 takes the CPU quota", least=0, most=256)
    max_queue: int = _setting(24, "texts that may wait for the engine", above=0)
    breaker_cooldown: float = _setting(
        5.0,
        "seconds without calls after the engine failed, hung or became slow; doubled up to a "
        "minute each time it fails again",
        above=0,
        most=60,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, validated.

    Errors: ``ConfigurationError`` from the constructor, which names the setting.
    """

    mode: str = _setting(
        "replace",
        "what is done with a rewrite: `replace`, `expand`, `shadow` or `off`",
        choices=tuple(mode.value for mode in Mode),
    )
    budget_ms: float = _setting(
        100.0, "milliseconds that a rewrite may take, 1 or more", least=0, below=60_000
    )
    model: str = _setting(
        "bundled",
        "`bundled`, a folder, or a Hugging Face hub id, which may end with `@` and a revision",
        metavar="PATH_OR_HUB_ID",
    )
    words: str = _setting(
        "",
        "text file of words that are spelled right, such as brand names; it feeds the hints that "
        "the bundled model gets",
        metavar="FILE",
    )
    dialect: str = _setting(
        AUTO,
        "the search API: `plain`, `elasticsearch`, `opensearch`, `solr`, `meilisearch`, "
        "`typesense`, `algolia`, `groonga`, one that a package adds, or `auto`, which asks the "
        "upstream (but means `plain` if `param` or `json_pointer` is set)",
        metavar="NAME",
    )
    path: tuple[str, ...] = _setting(
        (),
        "globs of the paths that are searches: `*` matches within a segment, `**` across "
        "segments; without any, the dialect's own (`plain`: all paths)",
        metavar="GLOB",
    )
    method: tuple[str, ...] = _setting(
        ("GET", "POST"), "methods of requests that are searches", metavar="METHOD"
    )
    param: tuple[str, ...] = _setting(
        _PARAM, "URL parameters and form fields that hold the query", metavar="NAME"
    )
    json_pointer: tuple[str, ...] = _setting(
        (), "JSON pointers (RFC 6901) to the query in JSON bodies", metavar="POINTER"
    )
    field: tuple[str, ...] = _setting(
        (),
        "globs of fields that hold prose, whatever the upstream and their names say; for all "
        "dialects but `plain`",
        metavar="GLOB",
    )
    not_field: tuple[str, ...] = _setting(
        (),
        "globs of fields that hold exact values, such as part numbers: a text that is searched in "
        "such fields only is left alone; wins over `field`",
        metavar="GLOB",
    )
    host: str = _setting("127.0.0.1", "address to listen on", metavar="ADDRESS")
    port: int = _setting(8080, "port to listen on; 0 takes any free one", least=0, most=65_535)
    workers: int = _setting(
        1,
        "processes that serve; they share the engine process, and each has its own memo and its "
        "own admin port, counted up from `admin.port`; needs a system that can fork",
        least=1,
        most=256,
    )
    prefix: str = _setting(
        "",
        "path such as `/-/querylift` that `/readyz` and `/metrics` are served under on the search "
        "port too; without one, they are not",
        metavar="PATH",
    )
    max_requests: int = _setting(
        2000, "requests in progress, uploads included; further ones get 503 at once", above=0
    )
    head_timeout: float = _setting(
        15.0,
        "seconds that a client may take to send a request's head",
        above=0,
    )
    keepalive_timeout: float = _setting(
        75.0,
        "seconds that a connection may be idle between two requests; keep it above that of a "
        "balancer in front, which may otherwise use a connection that is being closed",
        above=0,
        below=86_400,
    )
    body_timeout: float = _setting(
        30.0,
        "seconds that a client may take to send the next part of a request's body, at 500 bytes a "
        "second or more, and to read the next part of a response",
        above=0,
    )
    max_body_kib: int = _setting(
        256, "kibibytes; in a larger request body, no query is looked for", least=0
    )
    shutdown_grace: float = _setting(
        30.0,
        "seconds that requests in progress have to finish at shutdown; a second signal ends them "
        "at once",
        above=0,
        below=3600,
    )
    client_header: str = _setting(
        "",
        "header that identifies a client behind another proxy, such as `X-Forwarded-For`; "
        "without one, the address and `Authorization` do",
        metavar="NAME",
    )
    tenant_header: str = _setting(
        "",
        "header that says which requests share rewrites, such as a tenant or an access class; a "
        "proxy in front must set it and drop a client's own; without one, all requests share",
        metavar="NAME",
    )
    client_rate: float = _setting(
        0.0,
        "new texts a second that are rewritten for one client, with a burst of twenty; 0 sets no "
        "limit, as many clients may share one address",
        metavar="RATE",
        least=0,
    )
    typing_ms: float = _setting(
        300.0,
        "milliseconds; a text that grows or shrinks faster than this is still being typed, and is "
        "not rewritten; applies to browsers' own requests, and to clients that `client_header` "
        "identifies; 0 turns this off",
        least=0,
        below=60_000,
    )
    trust_control: bool = _setting(
        False, "obey the header `Query-Reformulation-Control` from any client"
    )
    trusted_networks: tuple[str, ...] = _setting(
        (),
        "networks (`10.0.0.0/8`) from which `Query-Reformulation-Control` is obeyed",
        metavar="NETWORK",
    )
    expose_query: bool = _setting(False, "put the rewritten query into the response header")
    server_timing: bool = _setting(True, "append to the response header `Server-Timing`")
    allow_degraded_start: bool = _setting(
        False,
        "if the model cannot be loaded, serve original queries and say so on `/readyz`; "
        "otherwise `serve` ends with the error",
    )
    upstream: UpstreamSettings = _table(default_factory=UpstreamSettings)
    engine: EngineSettings = _table(default_factory=EngineSettings)
    memo: MemoSettings = _table(default_factory=MemoSettings)
    admin: AdminSettings = _table(default_factory=AdminSettings)
    log: LogSettings = _table(default_factory=LogSettings)

    @property
    def named_dialect(self) -> str | None:
        """The dialect's name, or None if the upstream has to be asked.

        A ``param`` or ``json_pointer`` says where the query is, which only ``plain`` needs.
        """
        if self.dialect != AUTO:
            return self.dialect
        return "plain" if self.json_pointer or self.param != _PARAM else None

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            setting.check(setting.get(self))
        for name, value in (("host", self.host), ("admin.host", self.admin.host)):
            if not value.strip():
                raise ConfigurationError(
                    f"setting {name} must not be empty; 0.0.0.0 and :: are all addresses"
                )
        for name, milliseconds in (("budget_ms", self.budget_ms), ("typing_ms", self.typing_ms)):
            if milliseconds < 1 and (milliseconds or name == "budget_ms"):
                raise ConfigurationError(
                    f"setting {name} must be at least 1, not {milliseconds:g}: it is in "
                    "milliseconds, and 100 is a tenth of a second"
                )
        if self.port and self.port == self.admin.port:
            raise ConfigurationError("setting admin.port must be another port than port")
        if not self.method:
            raise ConfigurationError("setting method must not be empty")
        if not (self.param or self.json_pointer):
            raise ConfigurationError("one of the settings param and json_pointer must not be empty")


SETTINGS = tuple(list_settings(Settings))
"""Every setting, in the order of the documentation."""
