"""Querylift in front of an app that searches with tantivy (``pip install tantivy``).

Run it with ``uvicorn tantivy_app:app`` from this folder, then ask
``curl -i 'http://127.0.0.1:8000/search?q=please+show+me+wireles+headphones'``.
"""

from __future__ import annotations

import tantivy
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from querylift import ReformulationMiddleware, Reformulator, SearchRule, load_engine

PRODUCTS = ("wireless headphones", "wired headphones", "usb c cable", "running shoes")

builder = tantivy.SchemaBuilder()
builder.add_text_field("name", stored=True, tokenizer_name="en_stem")
index = tantivy.Index(builder.build())
writer = index.writer()
for product in PRODUCTS:
    writer.add_document(tantivy.Document(name=product))
writer.commit()
index.reload()


def search(request: Request) -> JSONResponse:
    """Return the products that hold every word of the query, best first."""
    # What the parser cannot read is left out of the query, and is no error.
    query, _ = index.parse_query_lenient(
        request.query_params["q"], ["name"], conjunction_by_default=True
    )
    searcher = index.searcher()
    found = searcher.search(query, 10).hits
    return JSONResponse({"hits": [searcher.doc(address)["name"][0] for _, address in found]})


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
