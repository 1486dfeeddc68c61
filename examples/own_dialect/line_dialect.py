"""A dialect of your own: a search by ``POST /find`` with a line such as ``find red shoes limit 5``.

Installed (``pip install .`` in this folder), it is there for ``querylift serve --dialect line``:
the entry point in ``pyproject.toml`` names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from middleware.dialects.base import Part, QuerySpan, SearchRequest

_LINE = re.compile(rb"find ([ -~]+?)(?: limit \d+)?\n?")


class LineDialect:
    """Finds the text between ``find`` and ``limit``, in ASCII."""

    name = "line"
    paths = ("/find",)
    pages = False  # no request asks for a later page, so none has to be remembered

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell that texts are in plain bodies."""
        return request.media_type == "text/plain"

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the bytes of the text, and how another text is written there."""
        found = _LINE.fullmatch(request.body or b"")
        if found is None or not self.wants_body(request):
            return ()
        text = found[1].decode("ascii")
        return (
            QuerySpan(Part.BODY, *found.span(1), text, lambda said: said.encode("ascii", "ignore")),
        )
