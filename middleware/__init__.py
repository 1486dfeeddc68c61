"""Querylift: search queries rewritten with a T5 model, inside a latency budget.

Three ways in, one decision path: ``ReformulationMiddleware`` in an ASGI app,
``ReverseProxy`` in front of a search API, ``reformulated`` on a search handler.
Importing the package loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .shim import share_modules

if TYPE_CHECKING:
    from .asgi import ReformulationMiddleware
    from .core.breaker import Breaker
    from .core.memo import Memo
    from .core.outcome import Mode, Outcome, Reason, Source
    from .core.reformulation import Reformulation, Timings
    from .decorator import reformulated
    from .dialects.base import Dialect, Expansion, Part, QuerySpan, SearchRequest
    from .dialects.plain import PlainDialect
    from .engines.base import Answer, Cancelled, Engine, Refusal, Truncated
    from .engines.registry import load_engine
    from .errors import (
        ConfigurationError,
        EngineError,
        MissingExtraError,
        ModelError,
        QueryliftError,
    )
    from .http.clients import Clients
    from .http.matching import SearchRule
    from .policy.acceptance import Acceptance
    from .policy.admission import Admission
    from .proxy import ReverseProxy
    from .runtime.reformulator import Reformulator
    from .runtime.scheduler import Limits
    from .upstream.client import UpstreamClient
    from .upstream.headers import Forwarding
    from .upstream.limits import ConnectionLimits, Timeouts

__all__ = [
    "Acceptance",
    "Admission",
    "Answer",
    "Breaker",
    "Cancelled",
    "Clients",
    "ConfigurationError",
    "ConnectionLimits",
    "Dialect",
    "Engine",
    "EngineError",
    "Expansion",
    "Forwarding",
    "Limits",
    "Memo",
    "MissingExtraError",
    "Mode",
    "ModelError",
    "Outcome",
    "Part",
    "PlainDialect",
    "QuerySpan",
    "QueryliftError",
    "Reason",
    "Reformulation",
    "ReformulationMiddleware",
    "Reformulator",
    "Refusal",
    "ReverseProxy",
    "SearchRequest",
    "SearchRule",
    "Source",
    "Timeouts",
    "Timings",
    "Truncated",
    "UpstreamClient",
    "load_engine",
    "reformulated",
]

# Where each name is; looked up when it is first asked for, so that a program pays only
# for the ways in that it uses.
_HOMES = {
    "Acceptance": "policy.acceptance",
    "Admission": "policy.admission",
    "Breaker": "core.breaker",
    "Clients": "http.clients",
    "Memo": "core.memo",
    "Mode": "core.outcome",
    "Outcome": "core.outcome",
    "Reason": "core.outcome",
    "Source": "core.outcome",
    "Reformulation": "core.reformulation",
    "Timings": "core.reformulation",
    "Dialect": "dialects.base",
    "Expansion": "dialects.base",
    "Part": "dialects.base",
    "QuerySpan": "dialects.base",
    "SearchRequest": "dialects.base",
    "PlainDialect": "dialects.plain",
    "Answer": "engines.base",
    "Cancelled": "engines.base",
    "Engine": "engines.base",
    "Refusal": "engines.base",
    "Truncated": "engines.base",
    "load_engine": "engines.registry",
    "ConfigurationError": "errors",
    "EngineError": "errors",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "QueryliftError": "errors",
    "ReformulationMiddleware": "asgi",
    "ReverseProxy": "proxy",
    "SearchRule": "http.matching",
    "Limits": "runtime.scheduler",
    "Reformulator": "runtime.reformulator",
    "ConnectionLimits": "upstream.limits",
    "Forwarding": "upstream.headers",
    "Timeouts": "upstream.limits",
    "UpstreamClient": "upstream.client",
    "reformulated": "decorator",
}


share_modules(__name__)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
