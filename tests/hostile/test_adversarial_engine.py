"""Whatever the model says, it stays a text in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from middleware import (
    Mode,
    Policy,
    ReformulationMiddleware,
    Reformulator,
    SearchRequest,
    SearchRule,
)
from middleware.dialects.registry import load_dialect
from middleware.testing import ScriptedEngine
from tests.dialects.requests import OPTIONS, SAMPLES, TEXTS, Sample
from tests.dialects.structure import outline

from .adversary import NASTY, Credulous

_ANSWERS = st.sampled_from(NASTY) | TEXTS
_FEW = settings(max_examples=30, deadline=None)


class Through:
    """A request's way through the middleware, with an engine that answers as it is told."""

    def __init__(self) -> None:
        self.answer = ""
        engine = ScriptedEngine(lambda text: self.answer)
        self.reformulator = Reformulator(engine, budget=30.0, policy=Policy(acceptance=Credulous()))
        self.reformulator.__enter__()

    def send(self, name: str, request: SearchRequest, mode: Mode) -> tuple[Any, list[Any]]:
        """Return the scope and body that the application gets, and the response's headers."""
        seen: list[Any] = []
        headers: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            seen.append((scope, body))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def receive() -> Any:
            return {"type": "http.request", "body": request.body or b"", "more_body": False}

        async def send(message: Any) -> None:
            headers.extend(message.get("headers", []))

        dialect = load_dialect(name, **OPTIONS.get(name, {}))
        wrapped = ReformulationMiddleware(
            app,
            self.reformulator,
            rules=[SearchRule("/**", (request.method,), dialect)],
            expose_query=True,
            trust_control=True,
        )
        control = f"no-cache, no-store, mode={mode}".encode()
        length = b"%d" % len(request.body or b"")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": request.path,
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": request.query_string,
            "headers": [
                *request.headers,
                (b"content-length", length),
                (b"query-reformulation-control", control),
            ],
        }
        asyncio.run(wrapped(scope, receive, send))
        return seen[0], headers


@pytest.fixture(scope="module")
def through() -> Iterator[Through]:
    made = Through()
    yield made
    made.reformulator.close()


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.EXPAND])
@pytest.mark.parametrize("name", sorted(SAMPLES))
class TestWhateverTheModelSays:
    @_FEW
    @given(data=st.data())
    def test_what_is_around_the_text_stays(
        self, name: str, mode: Mode, through: Through, data: st.DataObject
    ) -> None:
        """Parameters, members, lines, filters and index names are those that came."""
        sample: Sample = data.draw(SAMPLES[name]())
        through.answer = data.draw(_ANSWERS)
        request = sample.request
        (scope, body), headers = through.send(name, request, mode)
        assert (scope["path"], scope["raw_path"]) == (request.path, request.path.encode())
        assert scope["method"] == request.method
        lines = dict(scope["headers"])
        assert int(lines[b"content-length"]) == len(body)
        for _, value in headers:
            assert not set(value) & {0, 10, 13}
            assert value.isascii()
        assert all(byte > 32 and byte != 127 for byte in scope["query_string"])
        if mode is Mode.EXPAND:
            return  # what it may add around a text is held by the dialects' own tests
        dialect = load_dialect(name, **OPTIONS.get(name, {}))
        after = SearchRequest(
            request.method,
            request.path,
            scope["query_string"],
            request.headers,
            body if request.body is not None else None,
        )
        spans = dialect.spans(after)
        assert len(spans) == len(dialect.spans(request))
        old = frozenset(span.text for span in dialect.spans(request))
        new = frozenset(span.text for span in spans)
        # A text that stands elsewhere too, by chance, would be marked there as well.
        assume(not any(len(text) < 3 or text in ("null", "a=b") for text in new))
        assert outline(after.query_string, body, new | old) == outline(
            request.query_string, request.body or b"", new | old
        )
