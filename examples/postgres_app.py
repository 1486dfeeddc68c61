"""Querylift in front of an app that searches with PostgreSQL (``pip install 'psycopg[binary]'``).

Run it with ``DATABASE_URL=postgresql://… uvicorn postgres_app:app`` from this folder, then ask
``curl -i 'http://127.0.0.1:8000/search?q=please+show+me+wireles+headphones'``.
"""

from __future__ import annotations

import os

import psycopg
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from querylift import ReformulationMiddleware, Reformulator, SearchRule, load_engine

PRODUCTS = ("wireless headphones", "wired headphones", "usb c cable", "running shoes")
URL = os.environ.get("DATABASE_URL", "postgresql:///")

with psycopg.connect(URL) as connection:
    connection.execute("DROP TABLE IF EXISTS querylift_products")
    connection.execute(
        "CREATE TABLE querylift_products (name text, words tsvector"
        " GENERATED ALWAYS AS (to_tsvector('english', name)) STORED)"
    )
    connection.execute("CREATE INDEX ON querylift_products USING gin (words)")
    connection.cursor().executemany(
        "INSERT INTO querylift_products VALUES (%s)", [(name,) for name in PRODUCTS]
    )


def search(request: Request) -> JSONResponse:
    """Return the products that hold every word of the query, best first."""
    with psycopg.connect(URL) as connection:  # an app with many users has a pool
        rows = connection.execute(
            "SELECT name FROM querylift_products, plainto_tsquery('english', %s) AS asked"
            " WHERE words @@ asked ORDER BY ts_rank(words, asked) DESC LIMIT 10",
            [request.query_params["q"]],
        ).fetchall()
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
