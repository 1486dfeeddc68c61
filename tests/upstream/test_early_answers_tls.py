"""An upstream over TLS that answers before it has read the body, and resets the connection."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from middleware import ReverseProxy, UpstreamClient, UpstreamError
from middleware.serving.protocol import BoundedProtocol
from tests.upstream.wire import front, split

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl"),
]

ANSWERS = {
    "413": b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge",
    "401, close": b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge",
    "307": b"HTTP/1.1 307 Moved\r\nLocation: /a\r\nContent-Length: 5\r\n\r\nlarge",
    "503, chunked": b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nlarge\r\n0\r\n\r\n",
    "200 after 100": b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlarge",
    "413, 30 kB": b"HTTP/1.1 413 No\r\nContent-Length: 30000\r\n\r\n" + b"large" * 6_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


class _Upstream:
    """Answers after some bytes of the body; how it ends the connection is up to ``ends``."""

    def __init__(self, message: bytes, reads: int, ends: str) -> None:
        self.connections = 0
        self._message, self._reads, self._ends = message, reads, ends

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(self._reads)
            writer.write(self._message)
            await writer.drain()
            if self._ends == "abort":
                writer.transport.abort()
            else:
                writer.close()
        except (asyncio.IncompleteReadError, OSError):
            pass


@pytest.fixture
def contexts(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, Path]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context, certificate[0]


@pytest.mark.parametrize("ends", ["abort", "close"])
@pytest.mark.parametrize("reads", [0, 50_000, 200_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answer_is_relayed(
    contexts: tuple[ssl.SSLContext, Path], name: str, framing: str, reads: int, ends: str
) -> None:
    context, ca = contexts
    message = ANSWERS[name]
    raw = _Upstream(message, reads, ends)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    client = UpstreamClient(url, verify=str(ca))
    async with server, front(ReverseProxy(client, rules=[]), BoundedProtocol) as port:
        for _ in range(3):
            status, content = await _upload(port, 3_000_000, framing)
            assert str(status) == name[:3]
            assert content.count(b"large") == message.count(b"large")
        assert raw.connections == 3  # none was used again
        assert client.active_connections == 0


async def _upload(port: int, size: int, framing: str) -> tuple[int, bytes]:
    """Send a large body, and return the status and the content of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = b"Content-Length: %d" % size if framing == "length" else b"Transfer-Encoding: chunked"
    part = b"x" * 10_000

    async def send() -> None:
        writer.write(b"POST /up HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n")
        for _ in range(size // len(part)):
            writer.write(part if framing == "length" else b"2710\r\n" + part + b"\r\n")
            await writer.drain()
        if framing == "chunked":
            writer.write(b"0\r\n\r\n")

    sending = asyncio.ensure_future(send())
    try:
        async with asyncio.timeout(30):
            status, found, _ = split(await reader.readuntil(b"\r\n\r\n"))
            lengths = [int(value) for key, value in found if key == b"content-length"]
            if lengths:
                return status, await reader.readexactly(lengths[0])
            return status, await reader.readuntil(b"\r\n0\r\n\r\n")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


@pytest.mark.parametrize("reads", [0, 100_000])
async def test_a_connection_cut_without_an_answer_is_an_error(
    contexts: tuple[ssl.SSLContext, Path], reads: int
) -> None:
    """Nothing is made up of what is left on the connection."""
    context, ca = contexts
    server = await asyncio.start_server(
        _Upstream(b"HTTP/1.1 413 Too", reads, "abort").serve, "127.0.0.1", 0, ssl=context
    )

    async def content() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 10_000

    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    lines = [(b"host", b"a"), (b"content-length", b"3000000")]
    async with server, UpstreamClient(url, verify=str(ca)) as client:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                async with client.exchange("POST", b"/", lines, content()):
                    pass
        assert client.active_connections == 0
