"""The clock jumps: no module asks what time it is, except to date a report."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import middleware

_ROOT = Path(middleware.__file__).parent
_WALL = {"time", "time_ns", "ctime", "localtime", "gmtime", "now", "utcnow", "today"}
# Reports and exports carry their date; nothing that serves requests is among them.
_DATED = {"demo", "lab"}


def _wall_times(path: Path) -> Iterator[str]:
    """Yield calls of wall clocks: of ``time``, ``datetime`` or names taken from them."""
    tree = ast.parse(path.read_text("utf-8"))
    taken = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime")
        for alias in node.names
        if alias.name in (*_WALL, "datetime", "date")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in taken:
            yield f"{path}:{node.lineno} {node.id}"
        if isinstance(node, ast.Attribute) and node.attr in _WALL:
            owner = ast.unparse(node.value)
            if owner in ("time", "datetime", "datetime.datetime", "datetime.date", "date"):
                yield f"{path}:{node.lineno} {owner}.{node.attr}"


def test_what_serves_requests_reads_no_wall_clock() -> None:
    paths = [path for path in _ROOT.rglob("*.py") if path.relative_to(_ROOT).parts[0] not in _DATED]
    assert len(paths) > 60
    assert [found for path in paths for found in _wall_times(path)] == []


def test_the_search_finds_wall_clocks(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import time, datetime\nfrom time import time as now\n"
        "a = time.time()\nb = datetime.datetime.now()\nc = now()\nd = time.monotonic()\n"
    )
    assert len(list(_wall_times(file))) == 3
