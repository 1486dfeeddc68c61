"""An upstream over TLS: its certificate is checked unless configuration says otherwise."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from middleware import UpstreamClient, UpstreamUnreachableError

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl"),
]


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


@pytest.mark.parametrize(
    ("verify", "host", "trusted"),
    [
        ("file", "localhost", True),
        ("file", "127.0.0.1", False),
        (True, "localhost", False),
        (False, "127.0.0.1", True),
    ],
)
async def test_certificates(
    certificate: tuple[Path, Path], verify: str | bool, host: str, trusted: bool
) -> None:
    """A certificate counts for its own name and from a known issuer only."""
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://{host}:{server.sockets[0].getsockname()[1]}"
    async with UpstreamClient(
        url, verify=str(cert) if verify == "file" else bool(verify)
    ) as client:
        for _ in range(2):
            if not trusted:
                with pytest.raises(UpstreamUnreachableError):
                    async with client.exchange("GET", b"/", [(b"host", b"x")]):
                        pass
                continue
            async with client.exchange("GET", b"/", [(b"host", b"x")]) as response:
                assert [chunk async for chunk in response] == [b"ok"]
        assert client.active_connections == 0
    server.close()
    await asyncio.sleep(0.02)
