"""The parser of the command line: what its errors look like, and the types of its options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from ..core.printable import printable
from .schema import Setting

_LONGEST_BUDGET = 60_000  # milliseconds
_UNITS = {
    "milliseconds": "MS",
    "seconds": "SECONDS",
    "mebibytes": "MIB",
    "kibibytes": "KIB",
    "share": "0..1",
}


class _Help(argparse.HelpFormatter):
    """Tells the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = "default" in (action.help or "") or action.default in (
            None,
            False,
            [],
            "==SUPPRESS==",
        )
        return action.help if told else f"{action.help} (default %(default)s)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors begin with the fault, in one line, and end with where help is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, **options})
        self.set_defaults(parser=self)  # the one of the command that was given, for its errors

    def error(self, message: str) -> NoReturn:
        """Print an error, and exit with status 2."""
        self.exit(2, f"{self.prog}: {printable(message)}\nusage: {self.prog} --help tells more\n")


def milliseconds(text: str) -> float:
    """Return the budget that an option gives; errors are argparse's."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < _LONGEST_BUDGET:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of milliseconds from 1 to below {_LONGEST_BUDGET}"
        )
    return value


def add_settings(parser: Any, settings: Iterable[Setting]) -> None:
    """Add an option for each setting; one that is not given leaves None."""
    for setting in settings:
        kind = type(setting.default)
        shown = f"{setting.default:g}" if kind is float else setting.shown
        text = f"{setting.description} (default {shown or 'none'})"
        text += "; may be repeated" if kind is tuple else ""
        options: dict[str, Any] = {
            "dest": setting.flat,
            "default": None,
            "help": text.replace("%", "%%"),
        }
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif setting.choices:
            options |= {"choices": setting.choices, "type": setting.chosen}
        else:
            unit = _UNITS.get(setting.description.partition(" ")[0].rstrip(";,"), "")
            options["metavar"] = setting.metavar or unit or ("N" if kind is int else "X")
            options |= {"action": "append"} if kind is tuple else {"type": kind}
        parser.add_argument(setting.option, **options)


def print_error(message: object) -> None:
    """Print an error of the command in one line."""
    print(f"querylift: {printable(message)}", file=sys.stderr)
