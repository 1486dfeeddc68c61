"""Querylift: search queries rewritten with a T5 model, inside a latency budget.

Three ways in, one decision path: ``ReformulationMiddleware`` in an ASGI app, ``ReverseProxy`` in
front of a search API, ``reformulated`` on a search handler. Importing the package loads neither
torch nor transformers; each name's module is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    BodyTimeoutError,
    ConfigurationError,
    EngineError,
    MissingExtraError,
    ModelError,
    QueryliftError,
    RequestRefusedError,
    SlowReaderError,
    StaleConnectionError,
    TimeoutPhase,
    UpstreamBusyError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from .shim import share_modules

if TYPE_CHECKING:
    from .asgi import MiddlewareOptions, ReformulationMiddleware
    from .core.breaker import Breaker, BreakerState
    from .core.deadline import Deadline
    from .core.memo import Memo, MemoKey, MemoStats
    from .core.outcome import Mode, Outcome, Reason, Source
    from .core.pagination import PaginationKey, PaginationMemory, SentQuery
    from .core.rate_limit import RateLimiter
    from .core.reformulation import Reformulation, Timings, Verdict
    from .core.slow_calls import SlowCallDetector
    from .core.typing_ahead import TypingAhead
    from .decorator import reformulated
    from .dialects.base import Dialect, Expansion, Part, QuerySpan, SearchRequest
    from .dialects.plain import PlainDialect
    from .engines.base import Answer, Cancelled, Engine, Loadable, Refusal, Truncated
    from .engines.registry import load_engine
    from .http.client_keys import (
        ClientKey,
        by_address,
        by_browser,
        by_connection,
        by_header,
        by_tenant,
    )
    from .http.clients import Clients
    from .http.control import Trust, trusting
    from .http.limits import BodyTimeoutMiddleware, OnError, RequestLimitMiddleware
    from .http.matching import SearchRule
    from .instrumentation.logs import LogObserver
    from .instrumentation.metrics import Metrics, StatsSource
    from .instrumentation.record import Observer, Record
    from .policy.acceptance import Acceptance
    from .policy.admission import Admission
    from .policy.policy import Policy
    from .proxy import BackgroundService, ReverseProxy
    from .runtime.clock import Clock, Timer
    from .runtime.limits import Limits
    from .runtime.pending import PendingLookup
    from .runtime.reformulator import Reformulator
    from .runtime.stats import Stats
    from .upstream.client import UpstreamClient
    from .upstream.headers import Forwarding
    from .upstream.limits import ConnectionLimits, Timeouts
    from .upstream.request_head import HeaderLines
    from .upstream.response import UpstreamResponse
    from .upstream.target import Upstream

__all__ = [
    "Acceptance",
    "Admission",
    "Answer",
    "BackgroundService",
    "BodyTimeoutError",
    "BodyTimeoutMiddleware",
    "Breaker",
    "BreakerState",
    "Cancelled",
    "ClientKey",
    "Clients",
    "Clock",
    "ConfigurationError",
    "ConnectionLimits",
    "Deadline",
    "Dialect",
    "Engine",
    "EngineError",
    "Expansion",
    "Forwarding",
    "HeaderLines",
    "Limits",
    "Loadable",
    "LogObserver",
    "Memo",
    "MemoKey",
    "MemoStats",
    "Metrics",
    "MiddlewareOptions",
    "MissingExtraError",
    "Mode",
    "ModelError",
    "Observer",
    "OnError",
    "Outcome",
    "PaginationKey",
    "PaginationMemory",
    "Part",
    "PendingLookup",
    "PlainDialect",
    "Policy",
    "QuerySpan",
    "QueryliftError",
    "RateLimiter",
    "Reason",
    "Record",
    "Reformulation",
    "ReformulationMiddleware",
    "Reformulator",
    "Refusal",
    "RequestLimitMiddleware",
    "RequestRefusedError",
    "ReverseProxy",
    "SearchRequest",
    "SearchRule",
    "SentQuery",
    "SlowCallDetector",
    "SlowReaderError",
    "Source",
    "StaleConnectionError",
    "Stats",
    "StatsSource",
    "TimeoutPhase",
    "Timeouts",
    "Timer",
    "Timings",
    "Truncated",
    "Trust",
    "TypingAhead",
    "Upstream",
    "UpstreamBusyError",
    "UpstreamClient",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamResponse",
    "UpstreamTimeoutError",
    "UpstreamUnreachableError",
    "Verdict",
    "by_address",
    "by_browser",
    "by_connection",
    "by_header",
    "by_tenant",
    "load_engine",
    "reformulated",
    "trusting",
]

_EXPORTS = {
    "asgi": ("MiddlewareOptions", "ReformulationMiddleware"),
    "core.breaker": ("Breaker", "BreakerState"),
    "core.deadline": ("Deadline",),
    "core.memo": ("Memo", "MemoKey", "MemoStats"),
    "core.outcome": ("Mode", "Outcome", "Reason", "Source"),
    "core.pagination": ("PaginationKey", "PaginationMemory", "SentQuery"),
    "core.rate_limit": ("RateLimiter",),
    "core.reformulation": ("Reformulation", "Timings", "Verdict"),
    "core.slow_calls": ("SlowCallDetector",),
    "core.typing_ahead": ("TypingAhead",),
    "decorator": ("reformulated",),
    "dialects.base": ("Dialect", "Expansion", "Part", "QuerySpan", "SearchRequest"),
    "dialects.plain": ("PlainDialect",),
    "engines.base": ("Answer", "Cancelled", "Engine", "Loadable", "Refusal", "Truncated"),
    "engines.registry": ("load_engine",),
    "http.client_keys": (
        "ClientKey",
        "by_address",
        "by_browser",
        "by_connection",
        "by_header",
        "by_tenant",
    ),
    "http.clients": ("Clients",),
    "http.control": ("Trust", "trusting"),
    "http.limits": ("BodyTimeoutMiddleware", "OnError", "RequestLimitMiddleware"),
    "http.matching": ("SearchRule",),
    "instrumentation.logs": ("LogObserver",),
    "instrumentation.metrics": ("Metrics", "StatsSource"),
    "instrumentation.record": ("Observer", "Record"),
    "policy.acceptance": ("Acceptance",),
    "policy.admission": ("Admission",),
    "policy.policy": ("Policy",),
    "proxy": ("BackgroundService", "ReverseProxy"),
    "runtime.clock": ("Clock", "Timer"),
    "runtime.pending": ("PendingLookup",),
    "runtime.reformulator": ("Reformulator",),
    "runtime.limits": ("Limits",),
    "runtime.stats": ("Stats",),
    "upstream.client": ("UpstreamClient",),
    "upstream.headers": ("Forwarding",),
    "upstream.limits": ("ConnectionLimits", "Timeouts"),
    "upstream.request_head": ("HeaderLines",),
    "upstream.response": ("UpstreamResponse",),
    "upstream.target": ("Upstream",),
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}

share_modules(__name__)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
