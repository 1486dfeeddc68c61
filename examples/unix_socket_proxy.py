"""A reverse proxy in front of a search API that listens on a Unix socket.

Run this with ``SEARCH_SOCKET=/run/search.sock uvicorn unix_socket_proxy:app --no-date-header
--no-server-header --http h11 --ws none``. For tests in one process, take
``httpx.ASGITransport(app=...)`` instead.
"""

import os

import httpx

from querylift import Reformulator, ReverseProxy, SearchRule, load_engine

app = ReverseProxy(
    "http://search",
    rules=[SearchRule("/search")],
    reformulator=Reformulator(load_engine(), budget=0.100),
    transport=httpx.AsyncHTTPTransport(uds=os.environ["SEARCH_SOCKET"]),
)
