"""The documentation at hand: chosen fairly, bounded, and the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.demo.documents import CorpusError
from middleware.demo.installed import ReadingLimits, fair_shares, installed_corpus


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def _module(word: str, functions: int = 0) -> str:
    members = "".join(
        f'def {word}_{n}():\n    """Do {word} number {n}."""\n' for n in range(functions)
    )
    return f'"""All about {word}."""\n{members}'


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """A library and a folder of packages: a giant, two small ones, and what is to be left out."""
    library = _write(
        tmp_path / "lib",
        {
            "alpha.py": _module("alpha", 30),
            "beta/__init__.py": _module("beta"),
            "beta/deep.py": _module("deep"),
            "test/test_alpha.py": _module("testing"),
            "site-packages/stray.py": _module("stray"),
            "_private.py": _module("private"),
            "broken.py": '"""Open',
        },
    )
    packages = _write(
        tmp_path / "packages",
        {
            **{f"giant/m{n:02}.py": _module(f"giant{n}", 10) for n in range(20)},
            "small/__init__.py": _module("small", 3),
            "small/tests/conftest.py": _module("tested"),
            "small/_vendor/x.py": _module("vendored"),
            "single.py": _module("single", 2),
            "single-1.0.dist-info/METADATA": "Name: single",
            "zebra/__init__.py": _module("small", 0),
        },
    )
    return library, packages


def test_the_library_is_whole_and_the_rest_is_left_out(roots: tuple[Path, Path]) -> None:
    """Public modules at any depth are read; tests, private, vendored and broken ones are not."""
    library, packages = roots
    found = installed_corpus(library=library, packages=[packages])
    titles = {d.title for d in found.documents}
    assert {"alpha", "alpha.alpha_29", "beta", "beta.deep", "small", "single.single_1"} <= titles
    assert not {t for t in titles if "test" in t or "vendor" in t or "private" in t or "stray" in t}
    assert found.name == "Documentation of Python's standard library and 3 installed packages"


def test_equal_docstrings_count_once(roots: tuple[Path, Path]) -> None:
    """A text that two modules share is one document, the first in order."""
    library, packages = roots
    texts = [d.text for d in installed_corpus(library=library, packages=[packages]).documents]
    assert len(texts) == len(set(texts))
    assert texts.count("All about small.") == 1


def test_reading_twice_gives_the_same(roots: tuple[Path, Path]) -> None:
    """The same files give the same documents in the same order, with distinct ids."""
    library, packages = roots
    first = installed_corpus(library=library, packages=[packages])
    assert first == installed_corpus(library=library, packages=[packages])
    ids = [d.id for d in first.documents]
    assert len(ids) == len(set(ids))


def test_a_cap_on_documents_spares_the_library_and_the_small(roots: tuple[Path, Path]) -> None:
    """When there is too much, the giant is cut; the library and small packages stay whole."""
    library, packages = roots
    whole = installed_corpus(library=library, packages=[]).documents
    found = installed_corpus(
        limits=ReadingLimits(documents=len(whole) + 12), library=library, packages=[packages]
    ).documents
    assert len(found) == len(whole) + 12
    assert found[: len(whole)] == whole
    counts = {
        name: sum(d.title.split(".")[0] == name for d in found)
        for name in ("giant", "small", "single")
    }
    assert counts == {"giant": 5, "small": 4, "single": 3}


def test_caps_on_files_and_bytes_hold(roots: tuple[Path, Path]) -> None:
    """No more files of a package and bytes of source are read than allowed."""
    library, packages = roots
    few = installed_corpus(
        limits=ReadingLimits(package_files=2), library=library, packages=[packages]
    ).documents
    assert {d.title.split(".")[1] for d in few if d.title.startswith("giant")} == {"m00", "m01"}
    read: list[tuple[int, int]] = []
    installed_corpus(
        limits=ReadingLimits(package_bytes=1_000),
        library=library,
        packages=[packages],
        progress=lambda done, total: read.append((done, total)),
    )
    own = sum(p.stat().st_size for p in (library / "alpha.py", library / "broken.py"))
    own += sum(p.stat().st_size for p in (library / "beta").iterdir())
    assert read[-1][0] == read[-1][1] <= own + 1_000


def test_a_file_beyond_the_size_limit_is_not_read(roots: tuple[Path, Path]) -> None:
    """One enormous file does not hold everything up."""
    library, packages = roots
    (library / "huge.py").write_text(_module("huge") + "#" * 5_000)
    found = installed_corpus(
        limits=ReadingLimits(file_bytes=4_000), library=library, packages=[packages]
    )
    assert "huge" not in {d.title for d in found.documents}


def test_progress_rises_to_its_total(roots: tuple[Path, Path]) -> None:
    """Progress never goes back and ends at the total it named from the start."""
    library, packages = roots
    seen: list[tuple[int, int]] = []
    installed_corpus(
        library=library,
        packages=[packages],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


def test_links_that_loop_end(tmp_path: Path) -> None:
    """A folder that links to its parent is not followed for ever."""
    library = _write(tmp_path / "lib", {"alpha/__init__.py": _module("alpha")})
    (library / "alpha" / "again").symlink_to(library, target_is_directory=True)
    assert len(installed_corpus(library=library, packages=[]).documents) == 1


def test_a_python_without_sources_is_told_about(tmp_path: Path) -> None:
    """Where there is nothing to read the error says where, and what to give instead."""
    with pytest.raises(CorpusError, match=r"no Python sources.*--corpus"):
        installed_corpus(library=tmp_path, packages=[tmp_path / "absent"])


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 1_000)),
    st.integers(-5, 3_000),
)
def test_shares_are_fair_and_use_the_budget(wanted: dict[str, int], budget: int) -> None:
    """All of the budget is given, nobody gets more than wanted, and who gets less has the most."""
    shares = fair_shares(wanted, budget)
    assert sum(shares.values()) == min(max(budget, 0), sum(wanted.values()))
    assert all(0 <= shares[name] <= wanted[name] for name in wanted)
    cut = [shares[name] for name in wanted if shares[name] < wanted[name]]
    if cut:
        assert max(shares.values()) <= min(cut) + 1
