"""Querylift as ASGI middleware in a FastAPI app of your own.

Run it with ``uvicorn middleware_app:app`` from this folder, then ask
``curl -i 'http://127.0.0.1:8000/search?q=please+show+me+wireles+headphones'``.
"""

from __future__ import annotations

from fastapi import FastAPI

from querylift import ReformulationMiddleware, Reformulator, SearchRule, load_engine

PRODUCTS = ("wireless headphones", "wired headphones", "usb c cable", "running shoes")

app = FastAPI()
app.add_middleware(
    ReformulationMiddleware,
    reformulator=Reformulator(load_engine(), budget=0.100),
    rules=[SearchRule("/search")],
)


@app.get("/search")
def search(q: str) -> dict[str, object]:
    """Return the products that hold every word of the query."""
    words = q.lower().split()
    return {"query": q, "hits": [name for name in PRODUCTS if all(w in name for w in words)]}
