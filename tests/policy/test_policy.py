"""The policy as a value, and what its revision stands for."""

from __future__ import annotations

import os
import pkgutil
import re
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import middleware.policy
from middleware import Acceptance, Admission, Policy
from middleware.core import text
from middleware.core.revision import code_revision

ROOT = Path(middleware.__file__).parents[1]
MODULES = [
    text,
    *(
        import_module(f"{middleware.policy.__name__}.{found.name}")
        for found in pkgutil.iter_modules(middleware.policy.__path__)
    ),
]
# Only other constants are made of these, when a module is loaded.
MATERIAL = {
    ("language", "_FUNCTION_WORDS"),
    ("request_remains", "CONTRACTIONS"),
    ("request_remains", "GRAMMAR"),
    ("terms", "CONTRACTIONS"),
}
CONSTANTS = [
    (module, name)
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, frozenset | dict | re.Pattern | str | int | float)
    and not name.startswith("__")
    and (module.__name__.rpartition(".")[2], name) not in MATERIAL
]


def code() -> tuple[str, str]:
    """Return the revisions of admission's and acceptance's code as they are at the moment."""
    code_revision.cache_clear()
    return code_revision(Admission), code_revision(Acceptance)


@pytest.fixture(scope="module")
def unchanged() -> tuple[str, str]:
    """Return the revisions before any change."""
    return code()


def changed(value: Any) -> Any:
    """Return a value of the same kind that differs."""
    if isinstance(value, frozenset):
        return value | {"zzz"}
    if isinstance(value, dict):
        return {**value, "zzz": ["en"]}
    if isinstance(value, re.Pattern):
        return re.compile(value.pattern + "z", value.flags)
    return value + type(value)(1)


@pytest.mark.parametrize(
    ("module", "name"), CONSTANTS, ids=lambda each: getattr(each, "__name__", each)
)
def test_every_constant_of_the_policy_changes_its_revision(
    module: ModuleType, name: str, unchanged: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word list, pattern or number that some decision names is part of the revision."""
    monkeypatch.setattr(module, name, changed(getattr(module, name)))
    try:
        assert code() != unchanged
    finally:
        code_revision.cache_clear()


def test_options_change_the_revision_of_their_part() -> None:
    """Equal options make equal revisions, whatever the order they were given in."""
    assert Policy().revision == Policy(Admission(), Acceptance()).revision
    revisions = {
        Policy().revision,
        Policy(admission=Admission(max_chars=9)).revision,
        Policy(admission=Admission(languages=("en", "de"))).revision,
        Policy(acceptance=Acceptance(max_new=0.4)).revision,
        Policy(acceptance=Acceptance(known=["ab"])).revision,
        Policy(acceptance=Acceptance(protected=["ab"])).revision,
    }
    assert len(revisions) == 6
    one, other = Acceptance(known=["a", "b"]), Acceptance(known=("b", "A"))
    assert one.revision == other.revision


def test_deriving_them_is_quick() -> None:
    """Under 20 ms once in a process; the best of five, as other work only adds."""

    def seconds() -> float:
        started = time.process_time()
        code()
        return time.process_time() - started

    limit = 0.020 if sys.gettrace() is None else 0.100  # measuring coverage slows it down
    assert min(seconds() for _ in range(5)) < limit


def revision_in(folder: Path, seed: str = "0") -> str:
    """Return the default policy's revision in a new process that imports from ``folder``."""
    return subprocess.run(
        [sys.executable, "-c",
         "from middleware.policy.policy import Policy; print(Policy().revision)"],
        cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True,
        timeout=60, check=True,
    ).stdout.strip()  # fmt: skip


@pytest.mark.process
def test_processes_agree_until_a_file_is_edited(tmp_path: Path) -> None:
    """Whatever the hash seed; a word more in a list that others are made of is another revision."""
    assert {revision_in(ROOT, seed) for seed in ("0", "1", "2")} == {Policy().revision}
    shutil.copytree(ROOT / "middleware", tmp_path / "middleware", ignore=lambda folder, names: {
        name for name in names if name in {"models", "lab", "__pycache__"}
    })  # fmt: skip
    assert revision_in(tmp_path) == Policy().revision
    file = tmp_path / "middleware/policy/language.py"
    source = file.read_text("utf-8")
    assert source.count("der die das und") == 1
    file.write_text(source.replace("der die das und", "der die das und zzz"), "utf-8")
    assert revision_in(tmp_path) != Policy().revision
