"""The README's tables and examples against the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from middleware.core.outcome import Mode, Outcome, Reason, Source
from middleware.instrumentation.headers import CONTROL_HEADER, RESULT_HEADER
from middleware.instrumentation.metrics import METRICS
from middleware.serving.settings import SETTINGS

_README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def _table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    section = _README.split(f"{heading}\n", 1)[1]
    rows: list[list[str]] = []
    for line in section.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


def test_settings() -> None:
    """Every setting stands in the table with its default and sentence, in order."""
    expected = [
        [f"`{each.name}`", f"`{each.shown}`" if each.shown else "", each.description]
        for each in SETTINGS
    ]
    assert _table("### Settings") == expected


def test_reasons() -> None:
    """Every reason stands in the table with its outcome and explanation, in order."""
    assert _table("### Reasons") == [
        [f"`{reason}`", reason.outcome.value, reason.explanation] for reason in Reason
    ]


def test_metrics() -> None:
    """Every metric stands in the table with what it counts."""
    assert _table("### Metrics") == [[f"`{name}`", text] for name, text in METRICS.items()]


def test_headers() -> None:
    """Both headers, every outcome, source and mode are named."""
    names = {cell.strip("`").lower() for cell, *_ in _table("### Headers")}
    assert {RESULT_HEADER, CONTROL_HEADER, "server-timing"} <= names
    for word in (*Outcome, *Source, *Mode):
        assert f"`{word}`" in _README


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", _README, re.DOTALL))
def test_examples_are_python_on_public_names(block: str) -> None:
    """Each example compiles, is short, and takes only public names from the package."""
    import middleware

    assert len(block.strip().splitlines()) <= 12
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("middleware"):
            assert node.module == "middleware"
            assert {alias.name for alias in node.names} <= set(middleware.__all__)
