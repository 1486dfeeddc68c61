"""nginx as a process of the test, in front of an upstream."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["nginx", "nginx_program"]

_LIMIT = 30.0  # seconds to start or to end
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # The same sizes as those of the server that it is compared with.
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    proxy_buffer_size 64k;
    proxy_buffers 8 64k;
    proxy_busy_buffers_size 128k;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_pass_header Date;
            proxy_pass_header Server;
        }}
    }}
}}
"""


def nginx_program() -> str:
    """Return the path of nginx; without one the test is skipped, and fails in CI."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is not installed; .ci/run installs it")
        pytest.skip("nginx is not installed")
    return found


@contextmanager
def nginx(program: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run nginx in front of the port of an upstream; give its port."""
    process, port = _started(program, upstream, folder)
    try:
        yield port
    finally:
        process.terminate()
        try:
            process.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started(program: str, upstream: int, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on a free port, once more where another program took the port meanwhile."""
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        file = folder / "nginx.conf"
        file.write_text(_CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + _LIMIT
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                if time.monotonic() > until:
                    process.kill()
                    process.wait()
                    raise
                time.sleep(0.02)
            else:
                return process, port
    raise AssertionError((folder / "error.log").read_text("utf-8", "replace"))
