"""Finds out quickly whether a server accepts connections."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def can_connect(url: str, *, timeout: float) -> bool:
    """Return whether the host of a URL, or the HTTP proxy for it, accepts a connection.

    ``timeout`` is in seconds and includes the resolution of the name. A socket's own timeout does
    not, so this connects in a thread, which is abandoned if it hangs. Nothing is sent.
    """
    target = urlsplit(url)
    proxy = getproxies().get(target.scheme)
    if proxy and target.hostname and not proxy_bypass(target.hostname):
        target = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    host = target.hostname
    port = target.port or (80 if target.scheme == "http" else 443)
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host or "", port), timeout=timeout).close()
        except OSError:
            return
        connected.set()

    thread = threading.Thread(target=connect, name="querylift-connect", daemon=True)
    thread.start()
    thread.join(timeout)
    return connected.is_set()
