"""The parts of uvicorn that are not its public API and that the server builds on."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

_METHODS = {
    HttpToolsProtocol: (
        "connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing",
        "on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body",
        "on_message_complete", "on_response_complete", "send_400_response", "_start_asgi_task",
        "timeout_keep_alive_handler", "_unset_keepalive_if_required",
    ),
    RequestResponseCycle: ("send",),
    Server: ("handle_exit", "on_tick", "startup", "shutdown", "run"),
}  # fmt: skip
_ATTRIBUTES = {
    HttpToolsProtocol: (
        "cycle", "flow", "headers", "loop", "parser", "pipeline", "root_path", "scope",
        "timeout_keep_alive", "timeout_keep_alive_task", "transport", "url",
    ),
    RequestResponseCycle: (
        "chunked_encoding", "disconnected", "expected_content_length", "message_event",
        "more_body", "response_complete",
    ),
    Server: ("force_exit", "server_state", "should_exit", "started"),
    ServerState: ("connections",),
}  # fmt: skip
_ADVICE = (
    f"uvicorn {uvicorn.__version__} has no {{}}, which middleware/serving builds on: adapt it, or "
    "keep the upper bound of uvicorn in pyproject.toml (docs/adr/0003-server-protocol.md)"
)


@pytest.mark.parametrize("owner", _METHODS)
def test_uvicorn_has_the_methods(owner: type) -> None:
    """Each method that is overridden or called is there; an override of none would never run."""
    for name in _METHODS[owner]:
        assert callable(getattr(owner, name, None)), _ADVICE.format(f"{owner.__name__}.{name}")


@pytest.mark.parametrize("owner", _ATTRIBUTES)
def test_uvicorn_has_the_attributes(owner: type) -> None:
    """Each attribute that is read is assigned somewhere in its class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    assigned = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    for name in _ATTRIBUTES[owner]:
        assert name in assigned, _ADVICE.format(f"{owner.__name__}.{name}")


def test_uvicorn_calls_what_is_overridden() -> None:
    """A private method that uvicorn no longer calls would be dead code here."""
    source = inspect.getsource(HttpToolsProtocol)
    for name in ("_start_asgi_task", "on_response_complete", "send_400_response"):
        calls = source.count(f"self.{name}")
        assert calls, _ADVICE.format(f"call of HttpToolsProtocol.{name}")
