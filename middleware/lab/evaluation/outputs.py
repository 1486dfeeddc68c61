"""The result files of an evaluation: paths are checked before it, written after it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from .experiment import Cell
from .page import as_page
from .record import as_record, write_runs


@dataclass(frozen=True, slots=True)
class Outputs:
    """The paths of the JSON file, the HTML page and the folder of TREC runs; each may be None."""

    json: Path | None = None
    html: Path | None = None
    runs: Path | None = None

    def check(self) -> None:
        """Create the folder of runs, and raise ``ConfigurationError`` for an unwritable path.

        An evaluation takes minutes, so a wrong path is reported before it.
        """
        for option, path in (("json", self.json), ("html", self.html)):
            if path is not None:
                _check_file(option, path)
        if self.runs is None:
            return
        if self.runs.exists() and not self.runs.is_dir():
            raise ConfigurationError(f"--runs: {self.runs} is a file, but must be a folder")
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"--runs: the folder {self.runs} cannot be created: {error.strerror}"
            ) from error
        if not os.access(self.runs, os.W_OK | os.X_OK):
            raise ConfigurationError(f"--runs: nothing can be written to the folder {self.runs}")

    def write(self, cells: Sequence[Cell], settings: Mapping[str, Any]) -> None:
        """Write the files. Errors: ``ConfigurationError``, for example for a full disk."""
        try:
            if self.json is not None:
                record = as_record(cells, settings)
                self.json.write_text(
                    json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8"
                )
            if self.html is not None:
                self.html.write_text(as_page(cells, settings), encoding="utf-8")
            if self.runs is not None:
                write_runs(cells, self.runs)
        except OSError as error:
            raise ConfigurationError(f"the results cannot be written: {error}") from error


def _check_file(option: str, path: Path) -> None:
    if path.is_dir():
        raise ConfigurationError(f"--{option}: {path} is a folder, but must be a file")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--{option}: {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"--{option}: {path} cannot be written")
