"""What a setting is: its names in each source, its default, its description and its bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError

_LARGEST = 1_000_000_000
"""Nobody means more of anything, and clocks and queues of the system take no more."""


def setting(default: Any, description: str, **more: Any) -> Any:
    """Return a dataclass field with the attributes of ``Setting`` that are not derived."""
    return dataclasses.field(default=default, metadata={"description": description, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its names in each source, its default, what it does, and its bounds."""

    table: str
    """Name of its table, empty for the top level."""
    key: str
    """Name within its table."""
    default: Any
    description: str
    flat: str
    """Name without a table: ``upstream_max_waiting``."""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None

    @property
    def name(self) -> str:
        """Name in a TOML file, with its table: ``upstream.max_waiting``."""
        return f"{self.table}.{self.key}" if self.table else self.key

    @property
    def option(self) -> str:
        """Option of the command line: ``--upstream-max-waiting``."""
        return f"--{self.flat.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Environment variable: ``QUERYLIFT_UPSTREAM_MAX_WAITING``."""
        return f"QUERYLIFT_{self.flat.upper()}"

    @property
    def shown(self) -> str:
        """The default as a text; empty if there is none."""
        if isinstance(self.default, tuple):
            return ", ".join(self.default)
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def chosen(self, text: str) -> str:
        """Return the choice that a text names in any case; without choices, the text."""
        return text.lower() if text.lower() in self.choices else text

    def get(self, settings: Any) -> Any:
        """Return the setting's value in ``settings``."""
        return getattr(getattr(settings, self.table) if self.table else settings, self.key)

    def check(self, value: Any) -> None:
        """Raise ``ConfigurationError`` if the value is out of bounds, or no printable text."""
        for text in value if isinstance(value, tuple) else (value,):
            # A line break in credentials would write a header of its own.
            if isinstance(text, str) and not text.isprintable():
                raise ConfigurationError(
                    f"setting {self.name} must hold no line breaks or control characters, "
                    f"not {text!r}"
                )
        if self.choices and value not in self.choices:
            raise ConfigurationError(
                f"setting {self.name} must be one of {', '.join(self.choices)}, not {value!r}"
            )
        bounds = [
            (f"above {self.above}", self.above is None or value > self.above),
            (f"at least {self.least}", self.least is None or value >= self.least),
            (f"below {self.below}", self.below is None or value < self.below),
            (f"at most {self.most}", self.most is None or value <= self.most),
        ]
        for bound, holds in bounds:
            if not holds:
                raise ConfigurationError(f"setting {self.name} must be {bound}, not {value}")
        if isinstance(value, int | float) and not value <= _LARGEST:
            raise ConfigurationError(
                f"setting {self.name} must be at most {_LARGEST:,}, not {value}"
            )


def list_settings(table: Any, name: str = "") -> Iterator[Setting]:
    """Yield the settings of a dataclass and of its tables, which are fields with a factory."""
    for f in dataclasses.fields(table):
        if f.default_factory is not dataclasses.MISSING:
            yield from list_settings(f.default_factory, f.name)
        else:
            flat = f"{name}_{f.name}" if name else f.name
            yield Setting(table=name, key=f.name, default=f.default, **{"flat": flat, **f.metadata})
