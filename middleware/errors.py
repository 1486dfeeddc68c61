"""All exceptions of the package.

::

    QueryliftError
    ├── ConfigurationError (ValueError)    a setting, rule or URL is wrong
    ├── MissingExtraError (ImportError)    an optional dependency is not installed
    ├── EngineError                        an engine cannot be made, claimed or started
    │   └── ModelError                     model files are missing, damaged or unsupported
    ├── RequestRefusedError                400, 501 request_refused: unsafe to forward
    ├── BodyTimeoutError                   408 client_timeout: a request's body came too slowly
    ├── ClientGoneError                    internal: a client left during its upload
    ├── MalformedError (ValueError)        internal: a body that a dialect must not edit
    ├── ProbeError                         internal: a probe of the upstream had no answer
    └── UpstreamError
        ├── UpstreamUnreachableError       502 upstream_unreachable: refused, unresolved, TLS, cut
        │   └── StaleConnectionError       a kept-alive connection was closed before the answer
        ├── UpstreamBusyError              503 upstream_busy: every connection is in use
        ├── UpstreamTimeoutError           504 upstream_timeout: connect, write, read, total
        ├── UpstreamProtocolError          502 upstream_protocol: not HTTP, or broken HTTP
        └── SlowReaderError                408 client_timeout: a client did not take its answer

The first four are raised at construction and at start-up. Rewriting raises none of them for a
search: every fault becomes a ``Reason``, and the original query goes on. The others become the
proxy's own answers; their messages may be shown to a client, so they hold no address, no path and
no message of a library. ``UpstreamClient`` raises them to its callers. The internal ones stand in
the modules that raise and catch them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = [
    "BodyTimeoutError",
    "ConfigurationError",
    "EngineError",
    "MissingExtraError",
    "ModelError",
    "QueryliftError",
    "RequestRefusedError",
    "SlowReaderError",
    "StaleConnectionError",
    "TimeoutPhase",
    "UpstreamBusyError",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamTimeoutError",
    "UpstreamUnreachableError",
]

TimeoutPhase = Literal["connect", "write", "read", "total"]
"""The part of an exchange with the upstream that took too long."""

_TIMEOUT_DETAILS: dict[TimeoutPhase, str] = {
    "connect": "the upstream did not accept a connection in time",
    "write": "the upstream did not take the request in time",
    "read": "the upstream did not answer in time",
    "total": "the upstream exchange took longer than allowed",
}


class QueryliftError(Exception):
    """Base of all exceptions that the package raises on purpose."""


class ConfigurationError(QueryliftError, ValueError):
    """A setting is wrong; the message says which, why, and how to mend it."""


class MissingExtraError(QueryliftError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an extra: pip install 'querylift[{extra}]', "
            f"or from a clone pip install '.[{extra}]'"
        )
        self.extra = extra


class EngineError(QueryliftError):
    """An engine cannot be made, claimed or started."""


class ModelError(EngineError):
    """A model's files are missing, damaged or of an unsupported kind."""


class RequestRefusedError(QueryliftError):
    """A client's request is malformed and must not reach the upstream."""

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class BodyTimeoutError(QueryliftError):
    """A client sends its request's body too slowly; an application must let it pass."""


class UpstreamError(QueryliftError):
    """A call of the upstream failed; ``status`` and ``kind`` say how to answer the client."""

    kind: ClassVar[str] = "upstream_unreachable"
    status: ClassVar[int] = 502

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class UpstreamUnreachableError(UpstreamError):
    """No connection could be made, or it was cut before the answer was complete."""


class StaleConnectionError(UpstreamUnreachableError):
    """A kept-alive connection was closed before the first byte of the answer.

    A request that is safe to repeat may be sent again on a new connection.
    """

    def __init__(self) -> None:
        super().__init__("the upstream closed the connection before answering")


class UpstreamBusyError(UpstreamError):
    """Every connection is in use and none became free; ``retry_after`` is in seconds.

    Not a byte of the request was sent, so it may be sent again, whatever its method.
    """

    kind = "upstream_busy"
    status = 503
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("every connection to the upstream is in use")


class UpstreamTimeoutError(UpstreamError):
    """The upstream was too slow; ``phase`` is the part of the exchange that took too long."""

    kind = "upstream_timeout"
    status = 504

    def __init__(self, phase: TimeoutPhase) -> None:
        super().__init__(_TIMEOUT_DETAILS[phase])
        self.phase = phase


class UpstreamProtocolError(UpstreamError):
    """The upstream's answer is not well-formed HTTP/1.1."""

    kind = "upstream_protocol"


class SlowReaderError(UpstreamError):
    """An answer was cut off, because its client took nothing of it while others had to wait."""

    kind = "client_timeout"
    status = 408  # never sent, as the answer has begun

    def __init__(self) -> None:
        super().__init__("the answer was not read while others waited for a connection")
