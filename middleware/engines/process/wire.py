"""The messages between an engine process and its clients, as JSON.

Each is one message of a ``multiprocessing`` connection. Nothing is ever unpickled from it.

==========  ============================================================================
host        ``{"ready": pid, "engine": identity, "policy": revision or null}`` at first
client      ``{"texts": [...], "modes": [...] or null}`` for each call; with modes, for verdicts
client      ``{"cancel": [indexes]}`` while its call is running
host        ``{"results": [...]}`` in return for a call
host        ``{"error": text, "model": bool}`` in place of either; true for ``ModelError``
==========  ============================================================================
"""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

from ...core.outcome import Reason
from ...core.reformulation import Verdict
from ...errors import EngineError, ModelError
from ..base import Cancelled, Engine, Refusal, Truncated
from ..judging import EngineResult

_REASONS = {reason.value: reason for reason in Reason}
_read = json.JSONDecoder().raw_decode  # ``json.loads`` takes twice the time for short texts
_STOPS: dict[str, EngineResult] = {"cancelled": Cancelled(), "truncated": Truncated()}


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send a message. Errors: ``OSError`` if the other side is gone."""
    connection.send_bytes(json.dumps(message).encode("ascii"))


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for the next message and return it.

    Errors: ``EOFError`` or ``OSError`` if the other side is gone.
    """
    message: dict[str, Any]
    message, _ = _read(connection.recv_bytes().decode("ascii"))
    return message


def identity(engine: Engine) -> str:
    """Return what the engine of a client and that of its process must have in common."""
    return f"{engine.name}:{engine.revision}"


def encode(result: EngineResult) -> Any:
    """Return the JSON value for a result: a rewrite is a string, all else an object."""
    if isinstance(result, str):
        return result
    if isinstance(result, Verdict):
        return {"rewrite": result.rewrite, "reason": result.reason}
    if isinstance(result, Refusal):
        return {"refused": result.reason}
    return {"stopped": "cancelled" if isinstance(result, Cancelled) else "truncated"}


def decode(value: Any) -> EngineResult:
    """Return the result that ``encode`` was given."""
    if isinstance(value, str):
        return value
    if "stopped" in value:
        return _STOPS[value["stopped"]]
    if "refused" in value:
        return Refusal(_REASONS[value["refused"]])
    reason = value["reason"]
    return Verdict(value["rewrite"], None if reason is None else _REASONS[reason])


def error_message(error: Exception) -> dict[str, Any]:
    """Return the message for an error; errors of other classes become ``EngineError``."""
    text = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
    return {"error": text, "model": isinstance(error, ModelError)}


def error_of(message: dict[str, Any]) -> EngineError:
    """Return the error that an error message was made of."""
    return (ModelError if message["model"] else EngineError)(message["error"])
