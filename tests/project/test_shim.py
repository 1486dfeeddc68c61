"""``import querylift`` and ``import middleware`` are one package, in new processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FORCED = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["force-include"]
_OTHERS = "OURS = False\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder like ``site-packages``, with what an editable install copies there."""
    folder = tmp_path / "site"
    folder.mkdir()
    for source, target in _FORCED.items():
        copy = shutil.copytree if (_ROOT / source).is_dir() else shutil.copy
        copy(_ROOT / source, folder / target)
    return folder


def _python(*arguments: str, path: list[Path], cwd: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd or path[0],
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("first", "second"), [("querylift", "middleware"), ("middleware", "querylift")]
)
def test_both_names_give_the_same_modules(site: Path, first: str, second: str) -> None:
    """The first name is the canonical one: modules, classes and specs carry it."""
    code = f"""
import sys
import {first}
from {first}.policy.terms import __name__ as name
import {second}, {second}.errors, {second}.core.memo
from {second}.dialects import base
assert {first} is {second}
assert sys.modules["{second}.errors"] is sys.modules["{first}.errors"]
assert {second}.core.memo.Memo is {first}.Memo is {second}.Memo
assert base is sys.modules["{first}.dialects.base"]
assert name == "{first}.policy.terms"
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] in ("middleware", "querylift"):
        assert module.__name__ == module.__spec__.name, name
        assert module.__name__.partition(".")[0] == "{first}", name
        assert module.__spec__.origin == module.__file__, name
print(sorted({first}.__dict__.keys() & {{"os", "sys", "PathFinder", "_become_the_package"}}))
"""
    assert _python("-c", code, path=[site, _ROOT]) == "[]"


@pytest.mark.parametrize("own", ["middleware.py", "middleware/__init__.py"])
@pytest.mark.parametrize("order", ["import querylift, middleware", "import middleware, querylift"])
def test_a_users_own_middleware_stays_theirs(
    site: Path, tmp_path: Path, own: str, order: str
) -> None:
    """Ours is loaded as ``querylift`` beside it, whichever is imported first."""
    user = tmp_path / "user"
    (user / own).parent.mkdir(parents=True)
    (user / own).write_text(_OTHERS, "utf-8")
    code = f"""
{order}
from querylift.errors import QueryliftError
assert middleware.OURS is False
assert querylift.QueryliftError is QueryliftError
assert QueryliftError.__module__ == "querylift.errors"
try:
    import middleware.errors
except ImportError:
    print(querylift.__file__)
"""
    assert _python("-c", code, path=[user, site, _ROOT]) == str(_ROOT / "middleware/__init__.py")


@pytest.mark.parametrize(
    "arguments", [["-m", "querylift"], ["-c", "from querylift.cli import main; main()"]]
)
def test_commands_run_beside_a_users_own_middleware(
    site: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """``python -m querylift`` and the console script's entry load our files."""
    (tmp_path / "middleware.py").write_text(_OTHERS, "utf-8")
    told = _python(*arguments, "--version", path=[tmp_path, site, _ROOT])
    assert told.startswith("querylift ")


def test_the_first_checkout_on_the_path_is_taken(site: Path, tmp_path: Path) -> None:
    """Tests of a checkout test its files, also where another is installed."""
    other = tmp_path / "other"
    shutil.copytree(
        _ROOT / "middleware", other / "middleware", ignore=shutil.ignore_patterns("models", "lab")
    )
    code = "import querylift, middleware; assert querylift is middleware; print(querylift.__file__)"
    told = _python("-c", code, path=[site, other, _ROOT])
    assert told == str(other / "middleware/__init__.py")


def test_missing_files_are_told(site: Path) -> None:
    """The error says what to do."""
    code = "try: import querylift\nexcept ImportError as error: print(error)"
    told = _python("-IS", "-c", f"import sys; sys.path.append({str(site)!r})\n{code}", path=[site])
    assert told == "the files of querylift are missing: install it again"
