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

_PURE = ("errors", "core")
_INNER = {"engines", "dialects", "instrumentation"}
_WAYS = {"asgi", "decorator"}
_SHARED = {
    "rules",
    "control",
    "clients",
    "messages",
    "patience",
    "readiness",
    "scope_keys",
    "searches",
}
_OUTER = {
    "workers",
    "cli",
    "demo",
    "evaluation",
    "training",
    "benchmarks",
    "recognition",
    "assembly",
    "serve",
    "serving",
    "http_protocol",
    "admin",
    "warm",
}

# part -> the parts that it may import beside itself
_ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "core": {"errors"},
    **{part: {"errors", "core"} for part in _INNER},
    "rules": {"errors", "core", "dialects"},
    "control": {"errors", "core"},
    "clients": {"errors", "core", "dialects", "runtime"},
    "readiness": {"runtime"},
    "messages": set(),
    "scope_keys": set(),
    "patience": set(),
    "searches": {"errors", "core", "dialects", "rules", "control", "clients", "runtime"},
    "runtime": {"errors", "core", *_INNER},
    **{part: {"errors", "core", "runtime", *_INNER, *_SHARED} for part in _WAYS},
    "upstream": {"errors", "scope_keys"},
    "proxy": {"errors", "core", "runtime", "upstream", *_INNER, *_SHARED, *_WAYS},
    "settings": {"errors", "core"},
    "testing": {"errors", "core", "engines", "runtime"},
    "models": set(),
}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(_ROOT.rglob("*.py")):
        yield path.relative_to(_ROOT).with_suffix("").parts[0], path


def _imports(path: Path) -> Iterator[str]:
    """Yield the absolute name of every module that a file imports, at any depth."""
    package = ("middleware", *path.relative_to(_ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join([*base, *([node.module] if node.module else [])])


@pytest.mark.parametrize(("part", "path"), list(_modules()), ids=lambda value: str(value)[-40:])
def test_imports_point_inwards(part: str, path: Path) -> None:
    """A part imports only those further in, and none imports the package's root."""
    for name in _imports(path):
        top, _, rest = name.partition(".")
        if top != "middleware":
            if part in _PURE:
                assert top in sys.stdlib_module_names | {"cachetools"}, f"{path} imports {name}"
            continue
        if part == "__init__":
            continue
        if not rest:
            assert part in ("demo", "benchmarks", "evaluation"), f"{path} imports the root"
            continue
        target = rest.split(".")[0]
        if part in _OUTER:
            continue
        assert part in _ALLOWED, f"{part} has no rule"
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


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Every public name but the engine's weights is there without torch or transformers."""
    code = (
        "import sys, middleware\n"
        "[getattr(middleware, name) for name in middleware.__all__]\n"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    assert _python(code) == "[]"


def test_importing_the_package_is_quick() -> None:
    """It takes under 150 ms; the best of five, as other work on the machine only adds."""
    code = "import time; t = time.perf_counter(); import middleware; print(time.perf_counter() - t)"
    assert min(float(_python(code)) for _ in range(5)) < 0.150


def test_public_names() -> None:
    """``__all__`` is what can be had, sorted, and each name is where its type checker says."""
    assert list(middleware.__all__) == sorted(middleware.__all__)
    for name in middleware.__all__:
        assert getattr(middleware, name) is not None
        assert name in dir(middleware)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = middleware.no_such_name
    assert set(middleware.__all__) >= {
        "ReformulationMiddleware",
        "ReverseProxy",
        "reformulated",
        "Reformulator",
        "Reformulation",
        "Outcome",
        "Reason",
        "Engine",
        "load_engine",
        "SearchRule",
    }
