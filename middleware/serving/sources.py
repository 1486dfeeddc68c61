"""Reads settings from a TOML file, from ``QUERYLIFT_*`` variables and from options."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..engines.files import read_text_bounded
from ..errors import ConfigurationError
from .combinations import check_combinations
from .schema import Setting
from .settings import AUTO, SETTINGS, Settings

_PREFIX = "QUERYLIFT_"
_MAX_FILE = 2**18  # bytes; all settings with long lists take a tenth of it
_BY_FLAT = {setting.flat: setting for setting in SETTINGS}
_TABLES = dict.fromkeys(setting.table for setting in SETTINGS if setting.table)
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

# Flat names of version 0.1 -> flat names now.
_RENAMED = {
    "breaker_rest": "engine_breaker_cooldown",
    "connect_timeout": "upstream_connect_timeout",
    "connections": "upstream_max_connections",
    "control_from": "trusted_networks",
    "forwarded": "upstream_forwarded",
    "memo_entries": "memo_max_entries",
    "memo_mib": "memo_max_mib",
    "metrics": "admin_metrics",
    "preserve_host": "upstream_preserve_host",
    "queue": "engine_max_queue",
    "read_timeout": "upstream_read_timeout",
    "start_degraded": "allow_degraded_start",
    "threads": "engine_threads",
    "total_timeout": "upstream_total_timeout",
    "wait_timeout": "upstream_pool_timeout",
    "waiting": "upstream_max_waiting",
}


def load_settings(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a file, the environment and options; later sources win.

    ``options`` maps flat names to values; those that are None were not given.
    Errors: ``ConfigurationError`` in one line, with the place, the name and what is right; also for
    a setting that does nothing beside others.
    """
    values: dict[str, Any] = dict(_read_file(file)) if file is not None else {}
    for variable, text in environment.items():
        if variable.startswith(_PREFIX):
            flat = variable.removeprefix(_PREFIX).lower()
            if flat not in _BY_FLAT:
                raise _unknown(variable, flat, lambda setting: setting.variable)
            values[flat] = _from_text(variable, text, _BY_FLAT[flat])
    values.update({flat: value for flat, value in (options or {}).items() if value is not None})
    if "param" in values and values.get("dialect", AUTO) == AUTO:
        values["dialect"] = "plain"  # also for the default's name, which somebody has written down
    settings = _build(values)
    check_combinations(settings, values, SETTINGS)
    return settings


def unknown_option(option: str) -> ConfigurationError:
    """Return the error for an option that no setting has, with the name that may be meant."""
    place = option.partition("=")[0]
    flat = place.lstrip("-").replace("-", "_").removeprefix("no_")
    return _unknown(place, flat, lambda setting: setting.option)


def _build(values: Mapping[str, Any]) -> Settings:
    """Return the settings with these values by flat name, and defaults for the others."""
    tables: dict[str, dict[str, Any]] = {table: {} for table in ("", *_TABLES)}
    for flat, value in values.items():
        setting = _BY_FLAT[flat]
        tables[setting.table][setting.key] = value
    top = tables.pop("")
    defaults = Settings()
    for table, changed in tables.items():
        top[table] = dataclasses.replace(getattr(defaults, table), **changed)
    return Settings(**top)


def _read_file(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield flat name and value of every key in a TOML file."""
    try:
        content = tomllib.loads(read_text_bounded(file, _MAX_FILE))
    except OSError as error:
        raise ConfigurationError(f"settings file {file}: {error.strerror or error}") from None
    except RecursionError:
        raise ConfigurationError(f"settings file {file} is nested too deeply") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"settings file {file} is not valid TOML: {error}") from None
    known = {setting.name: setting for setting in SETTINGS}
    for name, value in _dotted(content):
        place = f"settings file {file}: {name}"
        if name.partition(".")[0] not in _TABLES and "." in name:
            raise ConfigurationError(
                f"settings file {file}: there is no table [{name.partition('.')[0]}]; "
                f"the tables are {', '.join(_TABLES)}"
            )
        if name not in known:
            raise _unknown(place, name.replace(".", "_"), lambda setting: setting.name)
        yield known[name].flat, _from_toml(place, value, known[name])


def _dotted(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each key with its table before it, dashes as underscores, and its value."""
    for raw, value in content.items():
        name = raw.replace("-", "_")
        if isinstance(value, dict):
            yield from ((f"{name}.{key.replace('-', '_')}", inner) for key, inner in value.items())
        else:
            yield name, value


def _from_toml(place: str, value: Any, setting: Setting) -> Any:
    """Return a value of TOML as the type that the setting's default has."""
    default = setting.default
    if isinstance(default, tuple):
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(items)
        raise ConfigurationError(f"{place} must be a text or a list of texts, not {value!r}")
    accepted = (int, float) if type(default) is float else (type(default),)
    if type(value) not in accepted:
        raise ConfigurationError(f"{place} must be {_KINDS[type(default)]}, not {value!r}")
    return setting.chosen(value) if isinstance(value, str) else value


def _from_text(place: str, text: str, setting: Setting) -> Any:
    """Return the value of an environment variable as the type that the setting's default has."""
    default = setting.default
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, bool):
        if text.lower() not in (*_TRUE, *_FALSE):
            choices = ", ".join((*_TRUE, *_FALSE))
            raise ConfigurationError(f"{place} must be one of {choices}, not {text!r}")
        return text.lower() in _TRUE
    if isinstance(default, str):
        return setting.chosen(text)
    try:
        return type(default)(text)
    except ValueError:
        kind = _KINDS[type(default)]
        raise ConfigurationError(f"{place} must be {kind}, not {text!r}") from None


def _unknown(place: str, flat: str, name_of: Callable[[Setting], str]) -> ConfigurationError:
    """Return the error for a name that no setting has.

    ``name_of`` gives a setting's name in the source that the wrong name was found in.
    """
    now = _RENAMED.get(flat, flat)
    if now in _BY_FLAT:
        return ConfigurationError(f"{place} is now {name_of(_BY_FLAT[now])}")
    near = [s.flat for s in SETTINGS if flat in (s.key, s.name.replace(".", "_"))]
    near = near or difflib.get_close_matches(flat, _BY_FLAT, n=1)
    hint = f"did you mean {name_of(_BY_FLAT[near[0]])}?" if near else "`serve --help` lists them"
    return ConfigurationError(f"{place} is not a setting; {hint}")
