"""Settings that do nothing beside others, and values that mean another unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware import ConfigurationError
from middleware.cli import main
from middleware.serving.settings import SETTINGS
from middleware.serving.sources import load_settings

# Options, and what the error says.
IDLE = [
    ("--param text --dialect elasticsearch", "param", "dialect is elasticsearch"),
    ("--param q --dialect solr", "param", "dialect is solr"),
    ("--param q --param s --dialect meilisearch", "param", "dialect is meilisearch"),
    ("--json-pointer /query --dialect opensearch", "json_pointer", "dialect is opensearch"),
    ("--json-pointer /q --max-body-kib 0", "json_pointer", "max_body_kib is 0"),
    ("--field title --dialect plain", "field", "the dialect plain has no fields"),
    ("--field title --not-field title", "field", "not_field names the same, and wins"),
    ("--not-field sku --param text", "not_field", "the dialect plain has no fields"),
    ("--upstream-authorization x --dialect plain", "upstream.authorization", "no fields"),
    ("--no-engine-process --engine-socket /tmp/x", "engine.process", "give one of both"),
    ("--no-engine-process --engine-hang-timeout 5", "engine.hang_timeout", "cannot be ended"),
    ("--admin-port -1 --admin-host ::1", "admin.host", "admin.port is -1"),
    ("--admin-port -1 --admin-metrics", "admin.metrics", "there is no prefix"),
    ("--log-queries", "log.queries", "and it is warning"),
    ("--log-queries --log-level error", "log.queries", "and it is error"),
    ("--log-sample 0.1", "log.sample", "and it is warning"),
    ("--no-log-redact --log-level info", "log.redact", "log.queries is off"),
    ("--trust-control --trusted-networks 10.0.0.0/8", "trusted_networks", "trusts all"),
    ("--upstream-ca /tmp/ca.pem", "upstream.ca", "not https"),
    ("--upstream-max-waiting 0 --upstream-pool-timeout 2", "upstream.pool_timeout", "no request"),
    ("--upstream-total-timeout 9 --upstream-read-timeout 10", "upstream.read_timeout", "before"),
    ("--upstream-total-timeout 1 --upstream-connect-timeout 2", "upstream.connect_timeout", "bef"),
]


@pytest.mark.parametrize(("options", "name", "why"), IDLE)
def test_what_does_nothing_is_told(
    options: str, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is started."""
    assert main(["serve", "--upstream", "http://h", *options.split()]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"querylift: setting {name} does nothing here: ")
    assert why in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(("options", "name", "why"), IDLE)
def test_the_same_in_the_environment(options: str, name: str, why: str) -> None:
    """Wherever the settings come from."""
    variables = {"QUERYLIFT_UPSTREAM": "http://h"}
    for option in options.replace(" -1", "=-1").replace("--", "\n--").split("\n")[1:]:
        flat, _, value = option.strip().replace("=", " ").partition(" ")
        flat = flat.removeprefix("--").replace("-", "_")
        if not value:
            value = "no" if flat.startswith("no_") else "yes"
        variables[f"QUERYLIFT_{flat.removeprefix('no_').upper()}"] = value
    with pytest.raises(ConfigurationError, match=f"setting {name} does nothing"):
        load_settings(environment=variables)


@pytest.mark.parametrize(
    "options",
    [
        "--param text", "--param text --dialect plain", "--json-pointer /q --max-body-kib 1",
        "--field title --dialect solr", "--not-field sku", "--engine-socket /tmp/x",
        "--engine-socket /tmp/x --engine-hang-timeout 5", "--admin-port -1",
        "--admin-port -1 --admin-metrics --prefix /-/q", "--log-queries --log-level info",
        "--log-sample 0.5 --log-level debug", "--log-queries --no-log-redact --log-level INFO",
        "--trusted-networks 10.0.0.0/8", "--upstream-total-timeout 60 --upstream-read-timeout 60",
        "--upstream-max-waiting 0", "--no-engine-process", "--no-log-queries", "--admin-host ::1",
        "--dialect elasticsearch", "--upstream-total-timeout 1", "--log-sample 1",
    ],
)  # fmt: skip
def test_what_does_something_is_taken(options: str) -> None:
    """Also values of the default, which ask for nothing."""
    from middleware.cli import _load_settings, _parser

    parsed, unknown = _parser().parse_known_args(
        ["serve", "--upstream", "http://h", *options.split()]
    )
    assert not unknown
    _load_settings(parsed)


def test_a_param_by_its_default_name_is_a_choice_of_plain() -> None:
    """Otherwise the upstream would be asked for its API, and the name be forgotten."""
    assert load_settings(environment={}).named_dialect is None
    for options in ({"param": ("q",)}, {"param": ("q",), "dialect": "auto"}):
        assert load_settings(environment={}, options=options).named_dialect == "plain"
    assert load_settings(environment={"QUERYLIFT_PARAM": "q"}).named_dialect == "plain"


@pytest.mark.parametrize("name", ["INFO", "Info", "info", "iNfO"])
def test_choices_are_read_in_any_case(name: str, tmp_path: Path) -> None:
    """As they are written in many other programs."""
    file = tmp_path / "s.toml"
    file.write_text(f'mode = "Shadow"\n[log]\nlevel = "{name}"')
    settings = load_settings(file, environment={})
    assert (settings.log.level, settings.mode) == ("info", "shadow")
    variables = {"QUERYLIFT_LOG_LEVEL": name, "QUERYLIFT_MODE": "OFF"}
    assert load_settings(environment=variables).log.level == "info"
    assert load_settings(environment=variables).mode == "off"


@pytest.mark.parametrize("option", ["--log-level=INFO", "--log-level=Debug", "--mode=EXPAND"])
def test_options_too(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing then is the upstream."""
    assert main(["serve", option]) == 1
    assert "no upstream to forward to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BUDGET_MS": "0.1"}, "budget_ms must be at least 1, not 0.1: it is in milliseconds"),
        ({"BUDGET_MS": "0.999"}, "budget_ms must be at least 1"),
        ({"TYPING_MS": "0.3"}, "typing_ms must be at least 1, not 0.3: it is in milliseconds"),
        ({"BUDGET_MS": "inf"}, "budget_ms must be below 60000"),
        ({"UPSTREAM_READ_TIMEOUT": "inf"}, "read_timeout must be at most 1,000,000,000"),
        ({"MEMO_TTL": "inf"}, "memo.ttl must be at most 1,000,000,000"),
        ({"MEMO_TTL": "nan"}, "memo.ttl must be above 0"),
        ({"UPSTREAM_TOTAL_TIMEOUT": "nan"}, "upstream.total_timeout must be at least 0"),
        ({"HOST": ""}, "host must not be empty"),
        ({"ADMIN_HOST": " "}, "admin.host must not be empty"),
        ({"BUDGET_MS": "0"}, "budget_ms must be at least 1, not 0: it is in milliseconds"),
        ({"UPSTREAM_TOTAL_TIMEOUT": "1e300"}, "total_timeout must be at most 1,000,000,000"),
        ({"ENGINE_MAX_QUEUE": "9" * 30}, "engine.max_queue must be at most 1,000,000,000"),
        ({"ENGINE_THREADS": "9999"}, "engine.threads must be at most 256"),
        ({"UPSTREAM_AUTHORIZATION": "Basic eA==\r\nX: y"}, "upstream.authorization must hold no"),
        ({"HOST": "127.0.0.1\n"}, "host must hold no line breaks or control characters"),
        ({"PATH": "/a\tb"}, "path must hold no line breaks or control characters"),
    ],
)
def test_values_that_mean_something_else(variables: dict[str, str], said: str) -> None:
    """Seconds for milliseconds, no number, or every address of the machine."""
    with pytest.raises(ConfigurationError, match=said):
        load_settings(environment={f"QUERYLIFT_{name}": v for name, v in variables.items()})


def test_rules_name_settings_that_there_are() -> None:
    """A renamed setting is not left out."""
    from middleware.serving.combinations import _IDLE

    assert {name for names, _, _ in _IDLE for name in names} <= {s.flat for s in SETTINGS}
