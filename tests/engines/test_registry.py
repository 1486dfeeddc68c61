"""Engines by name: what is known, what is missing, and that nothing heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint

import pytest

from middleware import Answer, ConfigurationError, MissingExtraError, ModelError, load_engine
from middleware.engines import registry
from middleware.engines.checkpoint import bundled_model
from middleware.engines.registry import DEFAULT_ENGINE, engine_names


class Shouting:
    """An engine of another package."""

    name = "shouting"
    revision = "1"

    def __init__(self, model: str | None = None, *, mark: str = "!") -> None:
        self.mark = mark

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return the texts in capitals."""
        return [text.upper() + self.mark for text in texts]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another package offer its engine."""
    points = [EntryPoint("shouting", f"{__name__}:Shouting", registry.ENTRY_POINTS)]

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [p for p in points if p.group == group and name in (None, p.name)]

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_every_own_engine_takes_the_bundled_model() -> None:
    """Each name makes an engine with a name and a revision, the default one among them."""
    assert DEFAULT_ENGINE in engine_names()
    for name in ("t5", "transformers"):
        engine = load_engine(name, threads=1)
        assert engine.name
        assert engine.revision == load_engine(name, bundled_model(), threads=1).revision


def test_unknown_names_and_options_are_told() -> None:
    """The message names what is known."""
    with pytest.raises(ConfigurationError, match=r"no engine is called 'gpt'.*transformers"):
        load_engine("gpt")
    with pytest.raises(ConfigurationError, match=r"engine transformers: .*'beams'"):
        load_engine("transformers", beams=5)
    with pytest.raises(ModelError, match="neither a folder nor a hub id"):
        load_engine("transformers", "no such model")


@pytest.mark.usefixtures("installed")
def test_engines_of_other_packages() -> None:
    """An entry point's engine is listed and made, with its options."""
    assert "shouting" in engine_names()
    engine = load_engine("shouting", mark="?")
    assert engine.generate(["a"], lambda index: False) == ["A?"]
    with pytest.raises(ConfigurationError, match="shouting"):
        load_engine("shouting", volume=11)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose library is not installed says what to install."""
    monkeypatch.setitem(registry._ENGINES, "fast", ("middleware.engines.not_there:X", "fast"))
    with pytest.raises(MissingExtraError, match=r"querylift\[fast\]") as caught:
        load_engine("fast")
    assert caught.value.extra == "fast"
    monkeypatch.setitem(registry._ENGINES, "fast", ("middleware.engines.not_there:X", None))
    with pytest.raises(ImportError, match="not_there"):
        load_engine("fast")


@pytest.mark.process
def test_making_an_engine_imports_neither_torch_nor_transformers() -> None:
    """The files are checked in milliseconds; what is heavy waits for the worker thread."""
    code = (
        "import sys; from middleware.engines.registry import engine_names, load_engine\n"
        "names = [n for n in ('t5', 'transformers') if n in engine_names()]\n"
        "[load_engine(name, threads=1) for name in names]\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)), len(names))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[] 2"
