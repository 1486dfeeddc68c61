"""Asking an upstream which search API it is, before anything is forwarded to it."""

from __future__ import annotations

import asyncio

from middleware.dialects.probe import PROBES, guess_dialect
from middleware.dialects.registry import dialect_names
from middleware.errors import ConfigurationError
from middleware.upstream.client import UpstreamClient
from middleware.upstream.errors import UpstreamError, UpstreamUnreachableError

__all__ = ["recognized_dialect"]

_PATIENCE = 5.0  # seconds for each question
_ENOUGH = 64 * 1024  # bytes of an answer


def recognized_dialect(upstream: str) -> str:
    """Return the name of the dialect that the API at a URL speaks, by asking it; blocks.

    Errors: :class:`ConfigurationError` where it is not to be reached or does not tell.
    Concurrency: not to be called where an event loop runs.
    """
    return asyncio.run(_recognize(upstream))


async def _recognize(upstream: str) -> str:
    async with UpstreamClient(
        upstream, connect_timeout=_PATIENCE, read_timeout=_PATIENCE, total_timeout=_PATIENCE
    ) as client:
        for probe in PROBES:
            try:
                name = guess_dialect(*await _ask(client, probe))
            except UpstreamUnreachableError as error:
                raise ConfigurationError(
                    f"{upstream} cannot be asked which search API it is: {error.detail}; start it "
                    "first, or name the API with --dialect"
                ) from error
            except UpstreamError:
                continue  # it may have an answer to another question
            if name is not None:
                return name
    raise ConfigurationError(
        f"{upstream} does not tell which search API it is; name it with --dialect: "
        f"{', '.join(dialect_names())}"
    )


async def _ask(client: UpstreamClient, probe: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and the beginning of the body of the answer to a GET."""
    headers = [
        (b"host", client.upstream.authority),
        (b"accept", b"application/json, text/html;q=0.5"),
        (b"accept-encoding", b"identity"),
    ]
    target = client.upstream.base + probe.encode()
    async with client.exchange("GET", target, headers) as response:
        body = b""
        async for chunk in response:
            body += chunk
            if len(body) >= _ENOUGH:
                break
        return response.status, list(response.headers), body
