"""Compare two evaluations: which figures changed, and whether significantly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigurationError
from .measures import MEASURES
from .significance import Contrast, contrast

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one measure of a system on a variant of a collection.

    ``queries`` is the number of queries in both results; ``before`` and ``after`` are means.
    """

    collection: str
    variant: str
    system: str
    measure: str
    queries: int
    before: float
    after: float
    contrast: Contrast

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` if significant, ``same`` if no query changed."""
        found = self.contrast
        if found.significant:
            return "better" if found.delta > 0 else "worse"
        return "not significant" if found.wins or found.losses else "same"


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], *, resamples: int = 9_999
) -> list[Change]:
    """Return the changes of all systems and variants that are in both records.

    Errors: ``ConfigurationError`` if there are none, or if the settings differ.
    """
    for setting in ("gain", "seed", "stem", "k1", "b", "upstream"):
        values = [_setting(record, setting) for record in (before, after)]
        if values[0] != values[1]:
            raise ConfigurationError(
                f"compare: the results differ in {setting} ({values[0]} and {values[1]}), "
                "so their figures cannot be compared"
            )
    try:
        changes = _changes(before, after, resamples)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"compare: a result is damaged ({error!r})") from error
    if not changes:
        raise ConfigurationError("compare: the results have no system and variant in common")
    return changes


def summary(changes: Sequence[Change]) -> str:
    """Return one line that counts better, worse and equal figures."""
    up = [change for change in changes if change.contrast.delta > 0 and change.verdict != "same"]
    down = [change for change in changes if change.contrast.delta < 0 and change.verdict != "same"]
    equal = len(changes) - len(up) - len(down)
    better, worse = (
        f"{len(part)} {word} ({sum(change.contrast.significant for change in part)} significantly)"
        for part, word in ((up, "better"), (down, "worse"))
    )
    return f"{len(changes)} figures: {better}, {worse}, {equal} equal"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], resamples: int) -> list[Change]:
    old, new = _by_cell(before), _by_cell(after)
    changes = []
    for key in (key for key in old if key in new):
        ids = [query for query in old[key] if query in new[key]]
        if not ids:
            continue
        for measure in MEASURES:
            left = [float(old[key][query][measure]) for query in ids]
            right = [float(new[key][query][measure]) for query in ids]
            changes.append(
                Change(
                    *key,
                    measure,
                    len(ids),
                    sum(left) / len(ids),
                    sum(right) / len(ids),
                    contrast(right, left, resamples=resamples),
                )
            )
    return changes


def _setting(record: Mapping[str, Any], name: str) -> Any:
    settings = record.get("settings")
    value = settings.get(name) if isinstance(settings, Mapping) else None
    if name == "upstream" and isinstance(value, str):
        # Older results have the whole URL, with keys that must not be shown.
        return re.sub(r"//[^/@]*@", "//", value.partition("?")[0])
    return value


def _by_cell(record: Mapping[str, Any]) -> dict[_Key, dict[str, Mapping[str, Any]]]:
    cells: dict[_Key, dict[str, Mapping[str, Any]]] = {}
    for row in record["queries"]:
        key = row["collection"], row["variant"], row["system"]
        cells.setdefault(key, {})[row["id"]] = row
    return cells
