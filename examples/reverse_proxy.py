"""Querylift as a reverse proxy, set up in Python.

The same without code: ``querylift serve --upstream http://127.0.0.1:9200 --path /search --param q
--json-pointer /query``.
Run this with ``python reverse_proxy.py http://127.0.0.1:9200``.
"""

from __future__ import annotations

import sys

import uvicorn

from querylift import PlainDialect, Reformulator, ReverseProxy, SearchRule, load_engine


def build(upstream: str) -> ReverseProxy:
    """Return a proxy that rewrites ``?q=`` and the ``query`` of JSON bodies under ``/search``."""
    return ReverseProxy(
        upstream,
        reformulator=Reformulator(load_engine(), budget=0.100),
        rules=[SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))],
    )


if __name__ == "__main__":
    uvicorn.run(
        build(sys.argv[1]),
        port=8080,
        date_header=False,  # the upstream's own Date and Server go through
        server_header=False,
        http="h11",  # with httptools, uvicorn loses the body of a request that offers an upgrade
        ws="none",  # the same for one that offers WebSocket
    )
