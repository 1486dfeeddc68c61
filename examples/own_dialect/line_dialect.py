"""Your own dialect: a search by ``POST /find`` with a line such as ``find red shoes limit 5``.

Install this folder with ``pip install .``; then ``querylift serve --dialect line`` finds it by
the entry point in ``pyproject.toml``.
"""

import re
from collections.abc import Sequence

from querylift import Dialect, Part, QuerySpan, SearchRequest

_LINE = re.compile(rb"find ([ -~]+?)(?: limit \d+)?\n?")


class LineDialect(Dialect):
    """Finds the text between ``find`` and ``limit``, in ASCII."""

    name = "line"
    paths = ("/find",)
    pages = False  # this API has no later pages

    def wants_body(self, request: SearchRequest) -> bool:
        """Return whether the body may hold a text; asked before the body is read."""
        return request.media_type == "text/plain"

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the span of the text, with the function that encodes another text for it."""
        found = _LINE.fullmatch(request.body or b"")
        if found is None or not self.wants_body(request):
            return ()
        text = found[1].decode("ascii")
        return [QuerySpan(Part.BODY, *found.span(1), text, lambda t: t.encode("ascii", "ignore"))]
