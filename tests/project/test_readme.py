"""The README's promises, and the Python of every page."""

from __future__ import annotations

import ast
import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import querylift
from querylift.testing import ScriptedEngine
from tests.project.markdown import ALL, ROOT, Block, blocks, links

_README = (ROOT / "README.md").read_text("utf-8")
_PYTHON = [block for page in ALL for block in blocks(page, "python")]
_RUN = [block for block in _PYTHON if block.runs]


def test_the_readme_is_short_and_has_the_two_commands() -> None:
    """It has at most 150 lines, and each command stands on a line of its own."""
    lines = _README.splitlines()
    assert len(lines) <= 150
    assert "pip install . && querylift demo" in lines
    assert "pip install '.[test]' && pytest" in lines
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in lines


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Each link inside the repository leads to a file or folder that is there."""
    for target in links(page):
        path, _, _ = target.partition("#")
        if path and "://" not in path:
            assert (page.parent / path).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("block", _PYTHON, ids=str)
def test_python_takes_only_public_names(block: Block) -> None:
    """Each block compiles, and imports from the package only what is public."""
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom):
            top, _, rest = (node.module or "").partition(".")
            assert top != "middleware", "the documented name is querylift"
            if top == "querylift":
                public: Any = {"": querylift, "testing": querylift.testing}[rest]
                assert {alias.name for alias in node.names} <= set(public.__all__)


@pytest.mark.parametrize("block", _RUN, ids=str)
@pytest.mark.model
def test_python_runs(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each block that is marked runs, with an engine from a script; so do its test functions."""

    def load_engine(*_: Any, **__: Any) -> ScriptedEngine:
        return ScriptedEngine({"please show me wireles headphones": "wireless headphones"})

    monkeypatch.setattr(querylift, "load_engine", load_engine)
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for each in _with_those_before(block):
        exec(compile(each.code, str(each), "exec"), namespace)
    for name, function in list(namespace.items()):
        if name.startswith("test_"):
            result = function()
            if inspect.isawaitable(result):
                asyncio.run(_finished(result))


async def _finished(result: Any) -> None:
    await result


def _with_those_before(block: Block) -> list[Block]:
    """Return a block, after the ones of its page that it continues."""
    if not block.continues:
        return [block]
    page = [each for each in _RUN if each.page == block.page]
    return [*_with_those_before(page[page.index(block) - 1]), block]
