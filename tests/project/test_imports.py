"""Who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import middleware

_ROOT = Path(middleware.__file__).parent

_PURE = {"errors": set[str](), "core": {"cachetools", "rapidfuzz"}, "policy": {"rapidfuzz"}}
"""Parts that do no I/O and measure no time -> the libraries that they may use."""
_IMPURE = {
    "_thread", "asyncio", "concurrent", "multiprocessing", "select", "selectors", "signal",
    "socket", "subprocess", "threading", "time",
}  # fmt: skip
_DOMAIN = {"errors", "core", "policy"}
_ANY = {"serving", "lab", "demo", "cli"}
"""May import anything of the package; nothing else imports them."""

# part -> the parts that it may import beside itself
_ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "core": {"errors"},
    "policy": {"errors", "core"},
    "engines": _DOMAIN,
    "dialects": _DOMAIN,
    "instrumentation": _DOMAIN,
    "runtime": {*_DOMAIN, "engines", "instrumentation"},
    "http": {*_DOMAIN, "dialects", "instrumentation", "runtime"},
    "upstream": {*_DOMAIN, "http"},
    "asgi": {*_DOMAIN, "dialects", "instrumentation", "runtime", "http"},
    "decorator": {*_DOMAIN, "runtime"},
    "proxy": {*_DOMAIN, "dialects", "instrumentation", "runtime", "http", "asgi", "upstream"},
    "testing": {"errors", "engines"},
    "shim": set(),
    "__init__": {
        *_DOMAIN,
        "asgi",
        "decorator",
        "dialects",
        "engines",
        "http",
        "instrumentation",
        "proxy",
        "runtime",
        "shim",
        "upstream",
    },
    "__main__": {"cli"},
    **{part: set() for part in _ANY},
}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(_ROOT.rglob("*.py")):
        yield path.relative_to(_ROOT).with_suffix("").parts[0], path


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the level and the name below the package of every import, at any depth."""
    package = path.relative_to(_ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield node.level, ".".join([*base, *([node.module] if node.module else [])])


@pytest.mark.parametrize(("part", "path"), list(_modules()), ids=lambda value: str(value)[-40:])
def test_imports_point_inwards(part: str, path: Path) -> None:
    """Each part has a rule, imports relatively, and only parts further in."""
    assert part in _ALLOWED, f"{part} has no rule"
    for level, name in _imports(path):
        top = name.partition(".")[0]
        if not level:
            assert top != "middleware", f"{path} imports {name} by its absolute name"
            if part in _PURE:
                assert top in sys.stdlib_module_names | _PURE[part], f"{path} imports {name}"
                assert top not in _IMPURE, f"{path} imports {name}"
            continue
        target = top or "__init__"
        if part not in _ANY:
            assert target == part or target in _ALLOWED[part], f"{path} imports {name}"


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=_ROOT.parent,
    )
    return done.stdout.strip()


@pytest.mark.process
def test_importing_the_package_loads_nothing_heavy() -> None:
    """Every public name but the engine's weights is there without torch or transformers."""
    code = (
        "import sys, middleware\n"
        "[getattr(middleware, name) for name in middleware.__all__]\n"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    assert _python(code) == "[]"


@pytest.mark.process
def test_importing_the_package_is_quick() -> None:
    """It takes under 150 ms; the best of five, as other work on the machine only adds."""
    code = "import time; t = time.perf_counter(); import middleware; print(time.perf_counter() - t)"
    assert min(float(_python(code)) for _ in range(5)) < 0.150
