"""Answers that are the proxy's own and not the upstream's."""

from __future__ import annotations

from starlette.types import Send

from .errors import error_body
from .headers import HeaderLines

__all__ = ["answer"]


async def answer(
    send: Send,
    status: int,
    error: str,
    detail: str,
    *,
    phase: str = "",
    retry_after: int | None = None,
    close: bool = False,
) -> None:
    """Send an error of the proxy's own: a word, a sentence, and for a timeout its phase.

    ``close`` has the server end the connection after it, as more of the request may come.
    """
    body = error_body(status, error, detail, phase=phase)
    headers: HeaderLines = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if retry_after is not None:
        headers = [*headers, (b"retry-after", b"%d" % retry_after)]
    if close:
        headers = [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
