"""Groonga: ``query`` of ``/d/select``, in a URL or a form; operators of its syntax stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .base import Part, QuerySpan, SearchRequest
from .expansion import either, respelled
from .operators import GROONGA
from .search_api import SearchApi, is_form, is_later, param_slot
from .urlencoded import Params

__all__ = ["GroongaDialect"]


class GroongaDialect(SearchApi):
    """Finds the text of a ``select`` of Groonga, whatever format the answer is asked in."""

    name = "groonga"
    writes_by_get = True  # "/d/load?values=", "/d/delete?key="
    paths = ("/d/select", "/d/select.*", "/d/logical_select", "/d/logical_select.*")

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether a body is a form."""
        return request.method == "POST" and is_form(request)

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slot of ``query``; none where it is said in the URL and in the form."""
        form = Params(body)
        later = any(is_later(source.get("offset")) for source in (params, form))
        found = []
        for part, source in ((Part.QUERY_STRING, params), (Part.BODY, form)):
            span = param_slot(part, source, "query", later=later, language=GROONGA)
            plain = param_slot(part, source, "query", language=None)
            if span is not None and plain is not None:
                write = either(GROONGA.words, plain.encode)
                found.append(replace(span, expansion=respelled(span, write)))
        if len(found) == 1:
            yield found[0]
