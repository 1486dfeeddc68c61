"""Which fields of Elasticsearch and OpenSearch indices hold prose, from the API's own answers.

A field holds prose if it is analyzed text in all indices. A text field with a ``keyword`` field of
the default mapping was mapped by nobody: every string is mapped so. It tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..jsonspans import JsonValue, MalformedError
from .documents import document
from .schemas import Schema, condensed

QUESTIONS = (
    "/_field_caps?fields=*&filter_path=fields.*.*.type",
    "/_mapping?filter_path=*.mappings",
    "/_settings?filter_path=*.settings.index.analysis",
)
"""What is asked below the path of an index, in this order."""

_PROSE_TYPES = frozenset(
    {"text", "match_only_text", "semantic_text", "search_as_you_type", "annotated_text"}
)
_WHOLE = frozenset({"keyword", "whitespace"})  # analyzers and tokenizers that keep values whole
_NAMED_WHOLE = re.compile(r"(?:^|[_\W])(?:keyword|whitespace)(?:$|[_\W])")

Told = dict[str, bool | None]
"""Whether a field holds prose, by name; ``None`` where the mapping does not tell."""


def schema(answers: Mapping[str, bytes]) -> Schema | None:
    """Return the schema that the answers to ``QUESTIONS`` tell; ``None`` without any; blocks."""
    capabilities, mapping, settings = (
        document(answers[question]) if question in answers else None for question in QUESTIONS
    )
    try:
        types = {} if capabilities is None else _types(capabilities)
        mapped: Told = {} if mapping is None else _mapped(mapping, settings)
    except (MalformedError, RecursionError):
        return None
    if not types and not mapped:
        return None
    told: Told = {}
    for name in types.keys() | mapped.keys():
        if not types.get(name, True):
            told[name] = False
        elif name in mapped:
            told[name] = mapped[name]
        else:
            told[name] = None if f"{name}.keyword" in types else True
    return Schema(condensed((name, holds) for name, holds in told.items() if holds is not None))


def _types(capabilities: JsonValue) -> dict[str, bool]:
    """Return for each field whether its type is one of text in all indices."""
    return {
        name: all(kind in _PROSE_TYPES for kind, _ in kinds.named())
        for name, kinds in capabilities.get("fields").named()
        if kinds.members
    }


def _mapped(mapping: JsonValue, settings: JsonValue | None) -> Told:
    """Return what the mappings of all indices tell about each field."""
    told: Told = {}
    for index, inside in mapping.named():
        analysis = JsonValue(0, 0, None)
        if settings is not None:
            analysis = settings.get(index).get("settings").get("index").get("analysis")
        mine: Told = {}
        mappings = inside.get("mappings")
        for each in (mappings, *(by_type for _, by_type in mappings.named())):
            for name, holds in _properties(each, "", _Analyzers(analysis)):
                mine[name] = holds
        for name, holds in mine.items():
            before = told.get(name, True)
            told[name] = False if False in (before, holds) else before and holds
    return told


def _properties(
    parent: JsonValue, prefix: str, analyzers: _Analyzers
) -> Iterator[tuple[str, bool | None]]:
    for name, field in parent.get("properties").named():
        full = f"{prefix}{name}"
        kind = field.get("type").text
        yield from _properties(field, f"{full}.", analyzers)
        # Only the field capabilities tell what an alias stands for.
        if kind is not None and kind not in ("alias", "object", "nested"):
            yield full, _holds_prose(kind, field, analyzers)
        for inner, copy in field.get("fields").named():
            yield f"{full}.{inner}", _holds_prose(copy.get("type").text or "", copy, analyzers)
    for name, _ in parent.get("runtime").named():
        yield f"{prefix}{name}", False


def _holds_prose(kind: str, field: JsonValue, analyzers: _Analyzers) -> bool | None:
    if kind not in _PROSE_TYPES:
        return False
    names = [field.get("analyzer").text, field.get("search_analyzer").text]
    named = [name for name in names if name is not None] or list(analyzers.defaults)
    if any(map(analyzers.keeps_whole, named)):
        return False
    copy = field.get("fields").get("keyword")
    unchosen = copy.get("type").text == "keyword" and copy.get("ignore_above").value == 256
    return None if unchosen and len(field.members) == 2 and kind == "text" else True


class _Analyzers:
    """The analyzers that an index defines."""

    def __init__(self, analysis: JsonValue) -> None:
        self._defined = dict(analysis.get("analyzer").members)
        self.defaults: Iterable[str] = [
            name for name in ("default", "default_search") if name in self._defined
        ]

    def keeps_whole(self, name: str) -> bool:
        """Return whether an analyzer keeps a value, or what blanks part in it, as it is."""
        defined = self._defined.get(name)
        if defined is None:
            return bool(_NAMED_WHOLE.search(name.lower()))
        if defined.get("type").text in _WHOLE:
            return True
        tokenizer, filters = defined.get("tokenizer").text, defined.get("filter")
        return tokenizer == "keyword" or (
            tokenizer == "whitespace" and not (filters.items or filters.text)
        )
