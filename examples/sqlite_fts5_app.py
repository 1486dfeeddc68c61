"""Querylift in front of an app that searches with SQLite's full-text index, FTS5.

Run it with ``uvicorn sqlite_fts5_app:app`` from this folder, then ask
``curl -i 'http://127.0.0.1:8000/search?q=please+show+me+wireles+headphones'``.
"""

from __future__ import annotations

import sqlite3

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from querylift import ReformulationMiddleware, Reformulator, SearchRule, load_engine

PRODUCTS = ("wireless headphones", "wired headphones", "usb c cable", "running shoes")

# The handler below runs in the event loop's thread alone, wherever that is.
database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("CREATE VIRTUAL TABLE products USING fts5(name, tokenize='porter')")
database.executemany("INSERT INTO products VALUES (?)", [(name,) for name in PRODUCTS])


async def search(request: Request) -> JSONResponse:
    """Return the products that hold every word of the query, best first."""
    words = request.query_params["q"].split()
    # Quoted, a word is no operator of FTS5's own language.
    match = " ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    rows = database.execute(
        "SELECT name FROM products WHERE products MATCH ? ORDER BY rank LIMIT 10", [match]
    )
    return JSONResponse({"hits": [name for (name,) in rows]})


app = Starlette(
    routes=[Route("/search", search)],
    middleware=[
        Middleware(
            ReformulationMiddleware,
            reformulator=Reformulator(load_engine(), budget=0.100),
            rules=[SearchRule("/search")],
        )
    ],
)
