"""Groonga: ``query`` of ``/d/select``, in a URL or a form; a query with operators stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .base import Part, QuerySpan, SearchRequest
from .expansion import in_place, or_encoder
from .operators import GROONGA
from .repeats import kept_by
from .search_api import SearchApi, Texts, about, is_form, is_past_first, is_zero, param_span
from .urlencoded import Params, url_encoder

_COLUMN = re.compile(r"[\w.]+")


class GroongaDialect(SearchApi):
    """Finds the text of a ``select`` of Groonga, for every output format."""

    name = "groonga"
    looks_for = ("query", "query")
    writes_by_get = True  # "/d/load?values=", "/d/delete?key="
    paths = ("/d/select", "/d/select.*", "/d/logical_select", "/d/logical_select.*")

    def reads(self, request: SearchRequest) -> bool:
        """Return whether the body is a form."""
        return request.method == "POST" and is_form(request)

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the span of ``query``; none if both the URL and the form have one."""
        form = Params(body)
        paged = any(is_past_first(source.get("offset")) for source in (params, form))
        found = []
        for part, source in ((Part.QUERY_STRING, params), (Part.BODY, form)):
            span = param_span(part, source, "query", paged=paged, syntax=GROONGA)
            if span is not None:
                encode = url_encoder(source.data[span.start : span.stop])
                span.expansion = in_place(span, or_encoder(GROONGA.neutralize, encode))
                found.append(span)
        columns = form.get("match_columns") or params.get("match_columns") or ""
        names = [name for name in _COLUMN.findall(columns) if not name.isdigit()]
        if len(found) == 1 and (not names or any(map(self.fields.of(), names))):
            counts = any(is_zero(source.get("limit")) for source in (params, form))
            yield from about(found, [request.path.partition(".")[0]], counts=counts)
            yield from kept_by((params.get("filter"), form.get("filter")), repeated())
