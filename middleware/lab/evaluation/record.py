"""Write results as JSON and as TREC run files; read the JSON again for a comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from .experiment import Cell, recovered_shares
from .measures import MEASURES

FORMAT = 1
"""The format of the JSON. It is raised when older files could be misread."""


def as_record(cells: Sequence[Cell], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all results as JSON values.

    ``rows`` has an object per collection, variant and system, and ``queries`` one per query of
    each row. ``won_back`` has the share of each variant's cost that each system recovers.
    """
    return {
        "format": FORMAT,
        "settings": dict(settings),
        "rows": [_row(cell) for cell in cells],
        "won_back": [
            {"variant": name, "system": system, "cost": round(cost, 6), "share": round(share, 6)}
            for name, system, cost, share in recovered_shares(cells)
        ],
        "queries": [row for cell in cells for row in _queries(cell)],
    }


def _row(cell: Cell) -> dict[str, Any]:
    return {
        "collection": cell.collection,
        "variant": cell.variant,
        "system": cell.system,
        "queries": len(cell.queries),
        **{measure: round(cell.mean(measure), 6) for measure in MEASURES},
        "delta": round(cell.versus.delta, 6),
        "p_value": round(cell.versus.p_value, 6),
        "wins": cell.versus.wins,
        "losses": cell.versus.losses,
        "ties": cell.versus.ties,
        "rewritten_share": round(cell.rewritten_share, 6),
        "reworded_share": round(cell.reworded_share, 6),
        "shares": {name: round(share, 6) for name, share in cell.reasons.items()},
        "altered": sum(bool(query.lost_terms) for query in cell.queries),
        "p50_ms": round(cell.ms(0.5), 3),
        "p95_ms": round(cell.ms(0.95), 3),
    }


def _queries(cell: Cell) -> list[dict[str, Any]]:
    rows = []
    for query in cell.queries:
        decision = query.reformulation
        rows.append(
            {
                "collection": cell.collection,
                "variant": cell.variant,
                "system": cell.system,
                "id": query.id,
                "typed": decision.original,
                "sent": decision.query,
                "outcome": str(decision.outcome),
                "reason": None if decision.reason is None else str(decision.reason),
                **{measure: round(value, 6) for measure, value in query.measures.items()},
                "gain": round(query.gain, 6),
                "altered": list(query.lost_terms),
                "ms": round(query.ms, 3),
            }
        )
    return rows


def read_record(path: Path) -> dict[str, Any]:
    """Read a file written by ``--json``. Errors: ``ConfigurationError`` for any other file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"compare: {path} cannot be read: {error.strerror or error}"
        ) from error
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not {"format", "settings", "queries"} <= record.keys():
        raise ConfigurationError(f"compare: {path} is not a result of querylift eval --json")
    if record["format"] != FORMAT:
        raise ConfigurationError(
            f"compare: {path} is not a result of this version's --json "
            f"(its format is {record['format']!r}, not {FORMAT})"
        )
    return record


def write_runs(cells: Sequence[Cell], folder: Path) -> None:
    """Write a TREC run file per cell: query, ``Q0``, document, rank, score, tag."""
    for cell in cells:
        tag = f"{cell.system}.{cell.variant}"
        path = folder / f"{cell.collection}.{tag}.run"
        with path.open("w", encoding="utf-8") as file:
            for query, hits in cell.hits.items():
                for rank, (document, score) in enumerate(hits, 1):
                    file.write(f"{query} Q0 {document} {rank} {score:.6f} {tag}\n")
