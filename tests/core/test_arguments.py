"""Arguments of wrong types at public constructors: told, and not by an error from within."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from middleware import (
    Acceptance,
    Admission,
    BodyTimeoutMiddleware,
    Breaker,
    Clients,
    ConfigurationError,
    ConnectionLimits,
    Forwarding,
    Limits,
    LogObserver,
    Memo,
    PaginationMemory,
    PlainDialect,
    Policy,
    RateLimiter,
    ReformulationMiddleware,
    Reformulator,
    RequestLimitMiddleware,
    ReverseProxy,
    SearchRule,
    SlowCallDetector,
    Timeouts,
    TypingAhead,
    UpstreamClient,
    by_address,
    by_header,
    by_tenant,
    load_engine,
    reformulated,
    trusting,
)
from middleware.core.arguments import checked
from middleware.testing import ScriptedEngine


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing."""


def reformulator(**options: Any) -> Reformulator:
    return Reformulator(ScriptedEngine(), **options)


def middleware(**options: Any) -> ReformulationMiddleware:
    return ReformulationMiddleware(app, reformulator(), **{"rules": [SearchRule()], **options})


WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (reformulator, {"policy": "strict"}, "policy must be a Policy or None, not 'strict'"),
    (reformulator, {"memo": {}}, "memo must be a Memo or None"),
    (reformulator, {"budget": "100"}, "budget must be a number, not '100'"),
    (reformulator, {"budget": True}, "budget must be a number"),
    (reformulator, {"mode": 1}, "mode must be a Mode or a text"),
    (reformulator, {"breaker": 5}, "breaker must be"),
    (reformulator, {"limits": {"batch": 1}}, "limits must be"),
    (reformulator, {"observers": 5}, "observers must be a list"),
    (reformulator, {"load_timeout": "1"}, "load_timeout must be a number or None"),
    (reformulator, {"allow_degraded_start": "no"}, "allow_degraded_start must be True or False"),
    (trusting, {"networks": "str"}, "networks must be a list of texts, not 'str'"),
    (trusting, {"networks": "10.0.0.0/8"}, "networks must be a list of texts"),
    (trusting, {"networks": [10]}, "networks must be a list of texts"),
    (trusting, {"networks": None}, "networks must be a list of texts"),
    (PlainDialect, {"params": "q", "pointers": "/query"}, "params must be a list of texts"),
    (PlainDialect, {"pointers": "/query"}, "pointers must be a list of texts, not '/query'"),
    (PlainDialect, {"params": ["q", 5]}, "params must be a list of texts"),
    (PlainDialect, {"pages": b"from"}, "pages must be a list of texts"),
    (SearchRule, {"path": 5}, "path must be a text"),
    (SearchRule, {"methods": 5}, "methods must be a text or a list of texts"),
    (Memo, {"max_entries": "5"}, "max_entries must be a whole number, not '5'"),
    (Memo, {"max_bytes": 1e9}, "max_bytes must be a whole number"),
    (PaginationMemory, {"ttl": "60"}, "ttl must be a number"),
    (RateLimiter, {"rate": "1"}, "rate must be a number"),
    (TypingAhead, {"window": None}, "window must be a number, not None"),
    (Breaker, {"cooldown": "5"}, "cooldown must be a number"),
    (SlowCallDetector, {"factor": "2"}, "factor must be a number"),
    (Admission, {"max_chars": "512"}, "max_chars must be a whole number"),
    (Admission, {"languages": "en"}, "languages must be a list of texts"),
    (Acceptance, {"max_lost": "half"}, "max_lost must be a number"),
    (Policy, {"admission": "strict"}, "admission must be an Admission"),
    (Limits, {"batch": "8"}, "batch must be a whole number"),
    (Timeouts, {"read": "30"}, "read must be a number or None"),
    (ConnectionLimits, {"max_waiting": None}, "max_waiting must be a whole number"),
    (Forwarding, {"forwarded": "yes"}, "forwarded must be True or False"),
    (UpstreamClient, {"upstream": 5}, "upstream must be"),
    (LogObserver, {"sample": "all"}, "sample must be a number"),
    (Clients, {"pages": 100}, "pages must be"),
    (Clients, {"client_key": "X-Client"}, "client_key must be a function or None"),
    (by_header, {"header": 5}, "header must be a text"),
    (by_tenant, {"header": None}, "header must be a text"),
    (by_address, {"header": b"x"}, "header must be a text"),
    (middleware, {"trust_control": "no"}, "trust_control must be True or False or a function"),
    (middleware, {"max_body": "1k"}, "max_body must be a whole number"),
    (middleware, {"prefix": 5}, "prefix must be a text or None"),
    (middleware, {"expose_query": "false"}, "expose_query must be True or False"),
    (middleware, {"rules": "/search"}, "rules must be a list"),
    (middleware, {"clients": "X-Client"}, "clients must be a Clients or None"),
    (ReverseProxy, {"upstream": 5, "rules": ()}, "upstream must be"),
    (RequestLimitMiddleware, {"app": "app", "max_requests": 5}, "app must be a function"),
    (BodyTimeoutMiddleware, {"app": app, "seconds": "5"}, "must be a number"),
    (load_engine, {"wrds": "file"}, "engine t5: there is no option 'wrds'; did you mean words?"),
    (load_engine, {"nothing": 1}, "engine t5: there is no option 'nothing'; it has: "),
    (load_engine, {"threads": "4"}, "threads must be a whole number"),
    (load_engine, {"model": 5}, "model must be"),
    (
        load_engine,
        {"name": "transformers", "wrds": 1},
        "engine transformers: there is no option 'wrds'",
    ),
    (reformulated, {"reformulator": app}, "write @reformulated(reformulator) above a handler"),
]


@pytest.mark.parametrize(("make", "options", "said"), WRONG)
def test_wrong_types_are_told(make: Callable[..., Any], options: dict[str, Any], said: str) -> None:
    """With the name of the argument, and in one line."""
    with pytest.raises(ConfigurationError) as caught:
        make(**options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SearchRule(["/a"] * 1000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


def test_what_annotations_allow_is_taken() -> None:
    """Numbers of other types, any iterable, subclasses, and what cannot be told apart."""

    class Path(str):
        """A text."""

    SearchRule(Path("/a"), iter(["GET"]))
    SearchRule("/a", "GET")
    RateLimiter(Fraction(1, 2))  # type: ignore[arg-type]
    PlainDialect(name for name in ("q", "s"))
    assert reformulator(budget=1, observers=()).budget == 1
    trusting(("10.0.0.0/8",))

    @checked
    def odd(first: NoSuchName, second: int) -> int:  # type: ignore[name-defined]  # noqa: F821
        return second

    assert odd("anything", 5) == 5


def test_missing_and_unknown_arguments_stay_errors_of_python() -> None:
    """These name the argument by themselves."""
    with pytest.raises(TypeError, match="max_entrys"):
        Memo(max_entrys=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="rate"):
        RateLimiter()  # type: ignore[call-arg]
