"""Small collections that the demo's tests search."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from middleware.demo.documents import CorpusDocument
from middleware.demo.index import SearchIndex

_TEXTS = {
    "json.decoder.JSONDecoder": "Simple decoder of JSON documents, strings and numbers.",
    "json.dumps": "Serialize an object to a JSON formatted string.",
    "os.path.join": "Join two or more pathname components, inserting a separator as needed.",
    "re.split": "Split the source string by the occurrences of a regular expression.",
    "subprocess.run": "Run a command in a subprocess and wait for it to complete.",
    "distutils.CompileError": "Failure to compile one or more C/C++ source files.",
    "cafe.menu": "Das Café hat ein Menü mit naïve Preisen.",
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def documents() -> tuple[CorpusDocument, ...]:
    """A handful of documents with known words."""
    return tuple(
        CorpusDocument(name, name, "function", text, text, f"{name}.py:1")
        for name, text in _TEXTS.items()
    )


@pytest.fixture(scope="session")
def index(documents: tuple[CorpusDocument, ...]) -> Iterator[SearchIndex]:
    """An index over the handful."""
    with SearchIndex(documents) as built:
        yield built
