"""Holds what has to hold: what a proxy made of a request, by what was sent and what arrived."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from middleware import Part, QuerySpan, SearchRequest, SearchRule
from middleware.http.matching import canonical_path, first_match

from .cases import Case
from .wire import Answered, Record

__all__ = ["RESULT", "wrongs"]

RESULT = b"query-reformulation"
# What is between two neighbours only, or written by the one who sends.
_HOPS = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}
    | {b"transfer-encoding", b"content-length", b"expect", b"query-reformulation-control"}
    | {b"proxy-authenticate", b"proxy-authorization", b"x-drop", b"http2-settings"}
)
_CONDITIONS = frozenset(
    (b"if-match", b"if-modified-since", b"if-none-match", b"if-unmodified-since")
) | {b"if-range", b"range"}
_VALIDATORS = frozenset((b"accept-ranges", b"etag", b"last-modified"))


def wrongs(
    case: Case,
    answer: Answered | None,
    record: Record | None,
    searches: list[SearchRule],
    *,
    expands: bool,
) -> Iterator[str]:
    """Yield what must not be; the proxy that ``expands`` is behind the server of ``serve``."""
    odd_coding = case.coding == b"gzip, chunked" or any(
        name.lower() == b"transfer-encoding" for name, _ in case.headers
    )
    if answer is None:
        if not case.breaks(typed=expands) and not odd_coding:
            yield "no answer"
        return
    if record is None:
        if answer.status >= 500 and not (answer.status == 501 and odd_coding):
            yield f"{answer.status} of the proxy's own"
        elif not case.breaks(typed=expands) and not odd_coding and not _refusable(case):
            yield f"{answer.status} for a request that can be forwarded"
        return
    if answer.status != record.status:
        yield f"{answer.status} for the upstream's {record.status}"
    if answer.body is not None and answer.body != record.answered:
        yield "another body than the upstream's"
    if record.times > 1:
        yield f"sent {record.times} times"
    if record.method != case.method:
        yield f"method {record.method!r}"
    said = [value for name, value in answer.headers if name == RESULT]
    if len(said) > 1:
        yield "two result headers"
    yield from _conditioned(case, answer, record, said)
    free = _CONDITIONS if said else frozenset[bytes]()
    if _end_to_end(case.headers, free) != _end_to_end(record.headers, free):
        yield f"other headers: {_end_to_end(record.headers)!r}"
    target = _origin_form(case.target, bare=expands)
    if b"#" in target:  # a client must not send it, and servers differ in what they make of it
        whole = target.partition(b"#")[0]
        if not record.target.startswith(whole.partition(b"?")[0]):
            yield f"target {record.target!r}"
    elif said and said[0].startswith(b"rewritten"):
        yield from _edited(case, target, record, searches, expands=expands)
    elif record.target != target:
        yield f"target {record.target!r}"
    elif not odd_coding and not record.early and record.body != (case.body or b""):
        yield "another body"


def _conditioned(case: Case, answer: Answered, record: Record, said: list[bytes]) -> Iterator[str]:
    """Yield where conditions go up or validators down beside a text that may be edited.

    Of a search, both do or neither; of a rewritten one neither, and of other requests both.
    """
    sent = {name.lower() for name, _ in case.headers} & _CONDITIONS
    kept = {name.lower() for name, _ in record.headers} & _CONDITIONS
    told = {name for name, _ in answer.headers} & _VALIDATORS
    if kept not in (set(), sent) or told not in (set(), record.validators):
        yield "a part of the conditions or validators"
    if said and said[0].startswith(b"rewritten") and (kept or told):
        yield "conditions or validators of a rewritten search"
    if not said and (kept != sent or told != record.validators):
        yield "no conditions or validators, where there is no search"
    if sent and record.validators and bool(kept) != bool(told):
        yield "conditions without validators, or validators without conditions"


def _edited(
    case: Case, target: bytes, record: Record, searches: list[SearchRule], *, expands: bool
) -> Iterator[str]:
    """Yield what is wrong with a rewritten request: all but the texts has to be as it was."""
    path, mark, query = target.partition(b"?")
    plain = canonical_path({"path": unquote(path.decode("latin-1"), "utf-8"), "root_path": ""})
    method = case.method.decode("latin-1")
    rule = first_match(searches, method, plain)
    if rule is None:
        yield "rewritten where there is no search"
        return
    headers = [(name.lower(), value) for name, value in case.headers]
    spans = rule.dialect.spans(SearchRequest(method, plain, query, headers, case.body))
    if not _around(spans, Part.QUERY_STRING, path + mark, query, expands).fullmatch(record.target):
        yield f"target {record.target!r}"
    if record.early:
        return
    if not _around(spans, Part.BODY, b"", case.body or b"", expands).fullmatch(record.body):
        yield "a body changed outside of its texts"
    lifted = (record.target + record.body).count(b"lifted")
    if not lifted:
        yield "rewritten to something else"
    elif not expands and b"lifted" not in target + (case.body or b"") and not _whole(spans, lifted):
        yield f"{lifted} places changed, which is not all of any texts"


def _whole(spans: Sequence[QuerySpan], changed: int) -> bool:
    """Tell whether so many places can be all places of some texts: each follows, or none does."""
    sums = {0}
    for places in Counter(span.text for span in spans if span.start < span.stop).values():
        sums |= {known + places for known in sums}
    return changed in sums


def _around(spans: Any, part: Part, before: bytes, data: bytes, expands: bool) -> re.Pattern[bytes]:
    """Return the pattern of all that may become of bytes with texts in them."""
    pattern, at = re.escape(before), 0
    # A span of no bytes only says that a text stays.
    wide = [_wide(span, expands) for span in spans if span.part is part and span.start < span.stop]
    for start, stop in sorted(wide):
        pattern += re.escape(data[at:start]) + rb".*"
        at = stop
    return re.compile(pattern + re.escape(data[at:]), re.DOTALL)


def _wide(span: QuerySpan, expands: bool) -> tuple[int, int]:
    expansion = span.expansion if expands else None
    return (span.start, span.stop) if expansion is None else (expansion.start, expansion.stop)


def _end_to_end(
    lines: list[tuple[bytes, bytes]], free: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    drop = _HOPS | free | {b"x-fuzz", b"x-answer"}
    return [(name.lower(), value.strip()) for name, value in lines if name.lower() not in drop]


def _origin_form(target: bytes, *, bare: bool = False) -> bytes:
    """Return the target as it goes to an origin: without an authority, or a ``bare`` mark."""
    target = b"*" if target == b"*?" else target.rstrip(b" ")  # as parsers forgive them
    short = re.sub(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", b"", target) or b"/"
    if short != target:  # what it goes on as is the proxy's own to say
        target = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % byte[0][0], short)
    if not bare and target.endswith(b"?") and target.count(b"?") == 1:
        target = target[:-1]
    return b"/" + target if target[:1] in (b"?", b"") else target


def _refusable(case: Case) -> bool:
    """Tell whether a request can rightly be answered without asking the upstream."""
    target = _origin_form(case.target)
    return (
        not target.startswith(b"/")
        or target.startswith(b"/-/querylift")
        or any(name.lower() == b"expect" for name, _ in case.headers)
        or case.method in (b"CONNECT",)
        # uvicorn with httptools takes no absolute form without a path.
        or re.match(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(?:[?#]|$)", case.target) is not None
    )
