"""Read the repository's Markdown: code blocks, tables and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ALL = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / ".github").glob("*.md")), *PAGES]

_BLOCK = re.compile(r"(?:<!-- (run(?:: continues)?) -->\n)?^```(\w+)\n(.*?)^```", re.DOTALL | re.M)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A code block: its page, language and code, and whether a test runs it."""

    page: Path
    line: int
    language: str
    code: str
    runs: bool
    continues: bool
    """Whether it runs in the namespace of the page's block before it."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield a page's code blocks in these languages."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        if found[2] in languages:
            line = text.count("\n", 0, found.start(2)) + 1
            mark = found[1] or ""
            yield Block(page, line, found[2], found[3], bool(mark), mark.endswith("continues"))


def without_code(page: Path) -> str:
    """Return a page's text without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.M)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, code blocks left out."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", without_code(page)))


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    rows: list[list[str]] = []
    for line in f"\n{text}".split(f"\n{heading}\n", 1)[1].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]
