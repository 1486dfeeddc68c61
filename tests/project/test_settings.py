"""Settings: where they come from, and what errors say of wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from middleware.cli import main
from middleware.errors import ConfigurationError
from middleware.serving.settings import SETTINGS, Settings
from middleware.serving.sources import load_settings


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "querylift.toml"
    path.write_text(text, "utf-8")
    return path


def test_later_sources_win(tmp_path: Path) -> None:
    """Options override the environment, which overrides the file, which overrides defaults."""
    file = _file(
        tmp_path, 'budget_ms = 50\nport = 1\nmode = "expand"\n[upstream]\nurl = "http://f"'
    )
    environment = {"QUERYLIFT_PORT": "2", "QUERYLIFT_BUDGET_MS": "60", "HOME": "/"}
    settings = load_settings(file, environment=environment, options={"port": 3, "mode": None})
    assert settings.upstream.url == "http://f"
    assert settings.budget_ms == 60
    assert settings.port == 3
    assert settings.mode == "expand"
    assert settings.host == "127.0.0.1"


def test_a_table_may_be_filled_from_several_sources(tmp_path: Path) -> None:
    """Each source sets its own keys of a table."""
    settings = load_settings(
        _file(tmp_path, "[upstream]\nread-timeout = 1\nforwarded = true\n"),
        environment={"QUERYLIFT_UPSTREAM_MAX_WAITING": "7", "QUERYLIFT_UPSTREAM_FORWARDED": "no"},
        options={"upstream": "http://o"},
    )
    assert settings.upstream.url == "http://o"
    assert settings.upstream.read_timeout == 1
    assert settings.upstream.max_waiting == 7
    assert settings.upstream.forwarded is False


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
        ("mdoe = 'x'", "mdoe is not a setting; did you mean mode?"),
        ("ttl = 1", "ttl is not a setting; did you mean memo.ttl?"),
        ("[upstream]\nmax_waitin = 1", "upstream.max_waitin is not .* mean upstream.max_waiting?"),
        ("[upstraem]\nurl = 'x'", "no table .upstraem.; the tables are upstream, engine"),
        ("qqqq = 1", "lists them"),
        ("port = '80'", "port must be a whole number, not '80'"),
        ("port = true", "port must be a whole number"),
        ("expose_query = 1", "expose_query must be true or false"),
        ("param = 3", "param must be a text or a list"),
        ("port = 80000", "port must be at most 65535"),
        ("budget_ms = 0", "budget_ms must be at least 1"),
        ("budget_ms = nan", "budget_ms must be at least 0"),
        ("mode = 'fast'", "mode must be one of replace, "),
        ("[log]\nlevel = 'loud'", "log.level must be one of debug"),
        ("param = []", "param and json_pointer must not be empty"),
        ("method = []", "method must not be empty"),
        ("[memo]\nttl = -1", "memo.ttl must be above 0"),
        ("port = 8081", "admin.port must be another port"),
        ("port =", "is not valid TOML"),
        ("waiting = 1", "waiting is now upstream.max_waiting"),
        ("memo_ttl = 1", "memo_ttl is now memo.ttl"),
        ("upstream = 'http://x'", "upstream is now upstream.url"),
    ],
)
def test_errors_in_files(tmp_path: Path, toml: str, said: str) -> None:
    """An error is one line that says what is wrong and what is right."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings(_file(tmp_path, toml), environment={})
    assert "\n" not in str(caught.value)


def test_a_missing_file() -> None:
    """The error names the file."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: No such file"):
        load_settings(Path("nowhere.toml"), environment={})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"QUERYLIFT_PROT": "1"}, "QUERYLIFT_PROT is not a setting; did you mean QUERYLIFT_PORT?"),
        ({"QUERYLIFT_PORT": "many"}, "QUERYLIFT_PORT must be a whole number, not 'many'"),
        ({"QUERYLIFT_ADMIN_METRICS": "maybe"}, "QUERYLIFT_ADMIN_METRICS must be one of 1, true"),
        ({"QUERYLIFT_METRICS": "1"}, "QUERYLIFT_METRICS is now QUERYLIFT_ADMIN_METRICS"),
        ({"QUERYLIFT_ENGINE_NAME": "t5"}, "did you mean QUERYLIFT_ENGINE?"),
    ],
)
def test_errors_in_the_environment(environment: dict[str, str], said: str) -> None:
    """The error names the variable as it is written."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        load_settings(environment=environment)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prot=5"], "--prot is not a setting; did you mean --port?"),
        (["--wait-timeout", "5"], "--wait-timeout is now --upstream-pool-timeout"),
        (["--no-metrics"], "--no-metrics is now --admin-metrics"),
        (["--max-waiting", "5"], "did you mean --upstream-max-waiting?"),
    ],
)
def test_errors_in_options(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the option as it is written; names may not be cut short."""
    assert main(["serve", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith("querylift: ")
    assert told.endswith(f"{said}\n")


def test_names_follow_from_table_and_key() -> None:
    """Two settings have the name of their table alone."""
    for setting in SETTINGS:
        flat = setting.name.replace(".", "_")
        if setting.name in ("upstream.url", "engine.name"):
            flat = setting.table
        assert setting.option == f"--{flat.replace('_', '-')}"
        assert setting.variable == f"QUERYLIFT_{flat.upper()}"
    assert len({setting.flat for setting in SETTINGS}) == len(SETTINGS)


def test_settings_are_frozen() -> None:
    """Nothing changes them once they were validated."""
    settings: Any = Settings()
    with pytest.raises(AttributeError):
        settings.port = 1
