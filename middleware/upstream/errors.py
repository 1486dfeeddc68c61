"""What can go wrong between the proxy and its upstream, and how it is answered.

::

    QueryliftError
    ├── RequestRefusedError            the client's request can't be forwarded safely (4xx, 501)
    └── UpstreamError                  the upstream call failed
        ├── UpstreamUnreachableError   502 upstream_unreachable: refused, unresolved, TLS, cut off
        ├── UpstreamBusyError          503 upstream_busy: every connection is in use
        ├── UpstreamTimeoutError       504 upstream_timeout: connect, write, read, total
        └── UpstreamProtocolError      502 upstream_protocol: not HTTP, or broken HTTP

Every message here may be shown to a client: it names the phase that failed, never an address,
a path or an exception of a library.
"""

from __future__ import annotations

import json
from typing import ClassVar, Literal

from ..errors import QueryliftError

__all__ = [
    "RequestRefusedError",
    "TimeoutPhase",
    "UpstreamBusyError",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamTimeoutError",
    "UpstreamUnreachableError",
    "error_body",
]

TimeoutPhase = Literal["connect", "write", "read", "total"]

_TIMEOUT_DETAILS: dict[TimeoutPhase, str] = {
    "connect": "the upstream did not accept a connection in time",
    "write": "the upstream did not take the request in time",
    "read": "the upstream did not answer in time",
    "total": "the upstream exchange took longer than allowed",
}


class RequestRefusedError(QueryliftError):
    """The client's request is malformed in a way that must not reach the upstream."""

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class UpstreamError(QueryliftError):
    """The upstream call failed; ``status`` and ``kind`` say how to answer the client."""

    kind: ClassVar[str] = "upstream_unreachable"
    status: ClassVar[int] = 502

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class UpstreamUnreachableError(UpstreamError):
    """No connection could be made, or it was cut before a whole answer came."""


class UpstreamBusyError(UpstreamError):
    """Every connection is in use and none became free; ``retry_after`` is in seconds.

    Not a byte of the request was sent, so that it may be sent again whatever its method.
    """

    kind = "upstream_busy"
    status = 503
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("every connection to the upstream is in use")


class UpstreamTimeoutError(UpstreamError):
    """The upstream was too slow; ``phase`` tells in which part of the exchange."""

    kind = "upstream_timeout"
    status = 504

    def __init__(self, phase: TimeoutPhase) -> None:
        super().__init__(_TIMEOUT_DETAILS[phase])
        self.phase = phase


class UpstreamProtocolError(UpstreamError):
    """The upstream answered with something that is not well-formed HTTP/1.1."""

    kind = "upstream_protocol"


def error_body(status: int, kind: str, detail: str, *, phase: str = "") -> bytes:
    """Return the JSON that an error is answered with, in a shape that every API's clients read.

    Elasticsearch's and OpenSearch's look for ``error.type``, ``error.reason`` and
    ``error.root_cause``, Solr's for ``error.msg``, Meilisearch's for ``message`` and ``code``,
    Typesense's and Algolia's for ``message``. ``phase`` says in which a timeout ran out.
    """
    cause = {"type": kind, "reason": detail}
    error = {**cause, "msg": detail, "code": status, "root_cause": [cause]}
    if phase:
        error["phase"] = phase
    body = {"error": error, "status": status, "code": kind, "message": detail}
    return json.dumps(body).encode("ascii")
