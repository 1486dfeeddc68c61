"""Split text, Markdown, reStructuredText and HTML files into documents of readable size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser

from .documents import CorpusDocument, clean, summary_of

_PART_LIMIT = 2_000  # characters, about a screen of text
_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*\s*$")
_UNDERLINE = re.compile(r"(?P<mark>[=\-~^\"'`#*+.:_])(?P=mark){2,}\s*$")
_FENCE = re.compile(r"\s*(```|~~~)")


@dataclass(slots=True)
class _Section:
    title: str
    line: int
    paragraphs: list[str] = field(default_factory=list)


def documents_in_prose(text: str, source: str, fallback_title: str) -> list[CorpusDocument]:
    """Return the documents of a text with Markdown, underlined or no headings.

    A short file is one document. A long one is split at its headings, and a long section between
    paragraphs. ``source`` is the file name to show.
    """
    return _documents(list(_sections(clean(text))), source, fallback_title)


def documents_in_html(markup: str, source: str, fallback_title: str) -> list[CorpusDocument]:
    """Return the documents of an HTML page's visible text, split as in ``documents_in_prose``."""
    reader = _PageText()
    # The parser raises AssertionError on some broken declarations. The text before is used.
    with suppress(AssertionError):
        reader.feed(clean(markup))
    reader.finish()
    return _documents(reader.sections, source, reader.title or fallback_title)


def _documents(sections: list[_Section], source: str, fallback_title: str) -> list[CorpusDocument]:
    filled = [section for section in sections if section.paragraphs]
    if not filled:
        return []
    name = next((section.title for section in sections if section.title), fallback_title)
    if sum(_length(section) for section in filled) <= _PART_LIMIT:
        whole = "\n\n".join(
            text for s in filled for text in ([s.title] if s.title else []) + s.paragraphs
        )
        lead = summary_of(filled[0].paragraphs[0])
        return [CorpusDocument(source, name, "text", lead, whole, f"{source}:{filled[0].line}")]
    found: list[CorpusDocument] = []
    for section in filled:
        title = section.title or name
        if section.title and section.title != name:
            title = f"{section.title} ({name})"
        for part in _parts(section.paragraphs):
            identity = f"{source}#{len(found) + 1}"
            where = f"{source}:{section.line}"
            found.append(CorpusDocument(identity, title, "text", summary_of(part), part, where))
    return found


def _length(section: _Section) -> int:
    return sum(len(paragraph) for paragraph in section.paragraphs)


def _parts(paragraphs: list[str]) -> Iterator[str]:
    """Group paragraphs up to the limit; a longer paragraph is split between words."""
    group: list[str] = []
    size = 0
    for paragraph in paragraphs:
        for piece in _pieces(paragraph):
            if group and size + len(piece) > _PART_LIMIT:
                yield "\n\n".join(group)
                group, size = [], 0
            group.append(piece)
            size += len(piece)
    if group:
        yield "\n\n".join(group)


def _pieces(paragraph: str) -> Iterator[str]:
    while len(paragraph) > _PART_LIMIT:
        cut = paragraph.rfind(" ", _PART_LIMIT // 2, _PART_LIMIT)
        cut = cut if cut > 0 else _PART_LIMIT
        yield paragraph[:cut]
        paragraph = paragraph[cut:].lstrip()
    if paragraph:
        yield paragraph


def _sections(text: str) -> Iterator[_Section]:
    section = _Section("", 1)
    paragraph: list[str] = []
    fenced = False

    def close_paragraph() -> None:
        if paragraph:
            section.paragraphs.append("\n".join(paragraph))
            paragraph.clear()

    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        underline = not fenced and _underlines(line, paragraph)
        if not underline and _FENCE.match(line):  # reStructuredText underlines with ~~~ as well
            fenced = not fenced
        heading = None if fenced else _MARKDOWN_HEADING.match(line)
        if heading:
            close_paragraph()
            yield section
            section = _Section(heading["title"], number)
        elif underline:
            title = paragraph.pop().strip()
            close_paragraph()
            yield section
            section = _Section(title, number - 1)
        elif line.strip():
            paragraph.append(line.rstrip())
        elif not fenced:
            close_paragraph()
    close_paragraph()
    yield section


def _underlines(line: str, paragraph: list[str]) -> bool:
    """Tell whether a line underlines a one-line paragraph, which is then a heading."""
    return len(paragraph) == 1 and bool(_UNDERLINE.match(line)) and paragraph[0][:1].isalnum()


class _PageText(HTMLParser):
    """Collects the visible text in sections: headings start them, block elements end paragraphs."""

    _HIDDEN = frozenset(("script", "style", "template", "noscript", "svg", "head"))
    _INLINE = frozenset(
        (
            *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "i"),
            *("ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup"),
            *("time", "u", "var", "wbr"),
        )
    )
    _HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.sections = [_Section("", 1)]
        self._hidden: list[str] = []
        self._heading = False
        self._in_title = False
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = "svg" not in self._hidden
        elif tag == "body":
            self._hidden.clear()  # ends an unclosed head
        elif tag in self._HIDDEN:
            self._hidden.append(tag)
        elif not self._hidden and tag not in self._INLINE:
            self._flush()
            self._heading = tag in self._HEADINGS

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif not self._hidden and tag not in self._INLINE:
            self._flush()
            self._heading = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += " ".join(data.split())
        elif not self._hidden:
            self._text.append(data)

    def finish(self) -> None:
        """End the last paragraph, which the markup may have left open."""
        with suppress(AssertionError):
            self.close()
        self._flush()

    def _flush(self) -> None:
        text = " ".join("".join(self._text).split())
        self._text.clear()
        if not text:
            return
        if self._heading:
            self.sections.append(_Section(text, self.getpos()[0]))
        else:
            self.sections[-1].paragraphs.append(text)
