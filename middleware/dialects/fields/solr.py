"""Which fields of a Solr collection hold prose, from the answers of its schema API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..jsonspans import JsonValue, MalformedError
from .documents import document
from .schemas import Schema

QUESTIONS = (
    "/schema?wt=json",
    "/schema/fieldtypes?wt=json",
    "/schema/fields?wt=json",
    "/schema/dynamicfields?wt=json",
)
"""What is asked below the path of a collection; an answer to the first says all."""

_KINDS = ("s", "i", "l", "b", "d", "f", "dt", "p")
_SUFFIXES = (*(f"_{kind}{many}" for kind in _KINDS for many in ("", "s")), "_str", "_srpt")


def looks_dynamic(name: str) -> bool:
    """Return whether the default schema gives fields of such a name no analyzed text."""
    return name.endswith(_SUFFIXES)


def schema(answers: Mapping[str, bytes]) -> Schema | None:
    """Return the schema that the answers to ``QUESTIONS`` tell; ``None`` without any; blocks."""
    found = [document(answers[question]) for question in QUESTIONS if question in answers]
    try:
        parts = [part for each in found if each is not None for part in (each, each.get("schema"))]
        types = dict(_types(parts))
        fields = dict(_named(parts, "fields", types))
        patterns = tuple(
            (pattern, holds)
            for pattern, holds in _named(parts, "dynamicFields", types)
            if pattern.startswith("*") or pattern.endswith("*")
        )
    except (MalformedError, RecursionError):
        return None
    return Schema(fields, patterns) if fields or patterns else None


def _types(parts: list[JsonValue]) -> Iterator[tuple[str, bool]]:
    for part in parts:
        for kind in part.get("fieldTypes").items:
            name, java = kind.get("name").text, kind.get("class").text or ""
            if name is not None:
                yield name, java.endswith("TextField") and not _keeps_whole(kind)


def _keeps_whole(kind: JsonValue) -> bool:
    """Return whether a type's analyzer keeps a value, or what blanks part in it, as it is."""
    analyzers = [kind.get("analyzer"), kind.get("queryAnalyzer"), kind.get("indexAnalyzer")]
    present = [each for each in analyzers if each.value is not None]
    return not present or any(map(_is_whole, present))


def _is_whole(analyzer: JsonValue) -> bool:
    tokenizer = analyzer.get("tokenizer")
    name = (tokenizer.get("class").text or tokenizer.get("name").text or "").lower()
    java = (analyzer.get("class").text or "").lower()
    if "keyword" in f"{name}{java}":
        return True
    blanks = "whitespace" in name and not analyzer.get("filters").items
    return blanks or "whitespaceanalyzer" in java


def _named(
    parts: list[JsonValue], key: str, types: Mapping[str, bool]
) -> Iterator[tuple[str, bool]]:
    """Yield the names of fields, and whether their type is one of analyzed text."""
    for part in parts:
        for field in part.get(key).items:
            name, kind = field.get("name").text, field.get("type").text
            if name is not None and kind is not None and kind in types:
                yield name, types[kind]
