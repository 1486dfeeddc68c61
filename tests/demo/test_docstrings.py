"""Docstrings are read out of sources, and nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.demo.docstrings import documents_in_source, module_name, read_module

_SOURCE = '''"""Tools for tea.

Longer words about tea.
"""
import sys

class Pot:
    """A pot. It holds tea."""

    def pour(self, cups: int = 1, *, hot=True) -> list[str]:
        """Pour into cups."""
        def inner():
            """Nobody sees this."""

    def _leak(self):
        """Private."""

class _Hidden:
    """Private class."""

    def shown(self):
        """Within a private class."""

if sys.platform == "nowhere":
    def brew():
        """Brew nowhere."""
else:
    async def brew():
        """Brew here."""

try:
    import missing
except ImportError:
    def fallback():
        """Do without."""

def undocumented():
    return 1
'''


def test_public_members_with_docstrings_become_documents() -> None:
    """Modules, classes, methods and functions are documents; private and inner ones are not."""
    found = documents_in_source(_SOURCE.encode(), "tea", "tea.py")
    assert [(d.title, d.kind, d.source) for d in found] == [
        ("tea", "module", "tea.py:1"),
        ("tea.Pot", "class", "tea.py:7"),
        ("tea.Pot.pour", "method", "tea.py:10"),
        ("tea.brew", "function", "tea.py:25"),
        ("tea.brew", "function", "tea.py:28"),
        ("tea.fallback", "function", "tea.py:34"),
    ]


def test_a_document_has_summary_signature_and_the_whole_text() -> None:
    """The summary is the first sentence, the signature is as written, the text is whole."""
    by_title = {d.title: d for d in documents_in_source(_SOURCE.encode(), "tea", "tea.py")}
    assert by_title["tea"].summary == "Tools for tea."
    assert by_title["tea"].text == "Tools for tea.\n\nLonger words about tea."
    assert by_title["tea.Pot"].summary == "A pot."
    assert by_title["tea.Pot.pour"].signature == "(self, cups: int=1, *, hot=True) -> list[str]"


def test_reading_never_imports(tmp_path: Path) -> None:
    """A file that would write another one when imported is read, and writes nothing."""
    touched = tmp_path / "touched"
    (tmp_path / "trap.py").write_text(
        f'"""A trap of a module."""\nopen({str(touched)!r}, "w").close()\nraise SystemExit(3)\n'
    )
    assert [d.summary for d in read_module(tmp_path, Path("trap.py"))] == ["A trap of a module."]
    assert not touched.exists()


@pytest.mark.parametrize(
    "content",
    [
        b'"""Open',
        b'"""Not \xff UTF-8."""',
        b"# coding: no-such-coding\n'''Text here.'''",
        b"'''A null \0 byte.'''",
        b"x = " + b"(" * 5_000 + b")" * 5_000,
        b"",
    ],
)
def test_broken_sources_give_nothing(content: bytes) -> None:
    """What is not readable Python is passed over without an error."""
    assert documents_in_source(content, "broken", "broken.py") == []


def test_a_declared_coding_is_followed() -> None:
    """A source in Latin-1 that says so is read as Latin-1."""
    content = "# -*- coding: latin-1 -*-\n'''Café au lait.'''\n".encode("latin-1")
    assert documents_in_source(content, "cafe", "cafe.py")[0].text == "Café au lait."


def test_stale_escapes_warn_nobody() -> None:
    """A docstring with an invalid escape is read without a warning reaching the user."""
    found = documents_in_source(b'"""Words with \\d in them."""', "stale", "stale.py")
    assert found[0].text == "Words with \\d in them."


def test_a_missing_file_gives_nothing(tmp_path: Path) -> None:
    """A file that vanished between listing and reading is passed over."""
    assert read_module(tmp_path, Path("gone.py")) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.py", "a"), ("a/__init__.py", "a"), ("a/b/c.py", "a.b.c"), ("__init__.py", "__init__")],
)
def test_module_names(path: str, name: str) -> None:
    """Paths under an import root become dotted names; packages lose their ``__init__``."""
    assert module_name(Path(path)) == name


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(content: bytes) -> None:
    """No content of a file raises."""
    documents_in_source(content, "any", "any.py")
