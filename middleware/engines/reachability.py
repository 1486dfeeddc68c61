"""Whether a server takes connections, found out sooner than a library's own patience ends."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["reachable"]


def reachable(url: str, *, within: float) -> bool:
    """Tell whether the host of a URL, or the proxy on the way to it, takes a connection.

    ``within`` is in seconds and covers the name's resolution too, which no timeout of a socket
    does: that runs in a thread of its own, left to itself where it hangs. Nothing is sent.
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
            socket.create_connection((host or "", port), timeout=within).close()
        except OSError:
            return
        connected.set()

    thread = threading.Thread(target=connect, name="querylift-reach", daemon=True)
    thread.start()
    thread.join(within)
    return connected.is_set()
