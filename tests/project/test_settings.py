"""Settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from middleware.errors import ConfigurationError
from middleware.serving.settings import Settings, load_settings


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "querylift.toml"
    path.write_text(text, "utf-8")
    return path


def test_later_sources_win(tmp_path: Path) -> None:
    """Options override the environment, which overrides the file, which overrides defaults."""
    file = _file(tmp_path, 'upstream = "http://file"\nbudget_ms = 50\nport = 1\nmode = "expand"\n')
    environment = {"QUERYLIFT_PORT": "2", "QUERYLIFT_BUDGET_MS": "60", "HOME": "/"}
    settings = load_settings(file, environment=environment, options={"port": 3, "mode": None})
    assert settings.upstream == "http://file"
    assert settings.budget_ms == 60
    assert settings.port == 3
    assert settings.mode == "expand"
    assert settings.host == "127.0.0.1"


def test_lists_and_dashes(tmp_path: Path) -> None:
    """A list may be one text; dashes in names are underscores; the environment has commas."""
    file = _file(tmp_path, 'param = "query"\njson-pointer = ["/a", "/b"]\n')
    settings = load_settings(file, environment={"QUERYLIFT_PATH": "/a, /b/*"})
    assert settings.param == ("query",)
    assert settings.json_pointer == ("/a", "/b")
    assert settings.path == ("/a", "/b/*")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("ON", True)])
def test_switches_in_the_environment(text: str, value: bool) -> None:
    """The usual words for yes and no are understood."""
    settings = load_settings(environment={"QUERYLIFT_EXPOSE_QUERY": text})
    assert settings.expose_query is value


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("upstraem = 'x'", "did you mean upstream"),
        ("zzz = 1", "known: upstream"),
        ("port = '80'", "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("expose_query = 1", "expose_query must be true or false"),
        ("param = 3", "param must be a text or a list"),
        ("port = 80000", "port must be within"),
        ("budget_ms = 0", "budget_ms must be above 0"),
        ("mode = 'fast'", "mode 'fast' is none of replace"),
        ("log_level = 'loud'", "log_level must be one of"),
        ("param = []\njson_pointer = []", "must be not empty"),
        ("memo_ttl = -1", "memo_ttl must be above 0"),
        ("port =", "is no TOML"),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, toml: str, said: str) -> None:
    """The error says what is wrong and what is right."""
    with pytest.raises(ConfigurationError, match=said):
        load_settings(_file(tmp_path, toml), environment={})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: No such file"):
        load_settings(tmp_path / "nowhere.toml", environment={})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"QUERYLIFT_PROT": "1"}, "QUERYLIFT_PROT is no setting; did you mean port"),
        ({"QUERYLIFT_PORT": "many"}, "QUERYLIFT_PORT='many' is not right"),
        ({"QUERYLIFT_METRICS": "maybe"}, "QUERYLIFT_METRICS='maybe' is not right: one of"),
    ],
)
def test_a_wrong_environment_is_told(environment: dict[str, str], said: str) -> None:
    """The error names the variable."""
    with pytest.raises(ConfigurationError, match=said):
        load_settings(environment=environment)


def test_settings_are_frozen() -> None:
    """Nothing changes them once they were validated."""
    settings: Any = Settings()
    with pytest.raises(AttributeError):
        settings.port = 1
