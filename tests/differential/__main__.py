"""``python -m tests.differential``: print what differs and is not listed, as lines for the list.

Each needs a reason before it is listed: why ours is right. What is wrong has to be mended.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from .both import run_both
from .compare import Difference, compare, known
from .running import nginx_program
from .table import ANSWERS, REQUESTS


def main() -> int:
    """Run it; exit status 1 if the list is not right."""
    listed = known()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = run_both(nginx_program(), REQUESTS + ANSWERS, Path(folder))
    seconds = time.monotonic() - began
    wrong = 0
    for each in found:
        key = (each.case.kind, each.case.name)
        now, before = compare(each.case, each.ours, each.nginx), listed.pop(key, None)
        if now is None and before is not None:
            print(f"# vanished: {key}")
        elif now is not None and (before is None or now.sides != before.sides):
            print(_entry(*key, now))
        else:
            continue
        wrong += 1
    for key in listed:
        print(f"# no such case: {key}")
    counts = f"{len(REQUESTS)} requests, {len(ANSWERS)} answers, {seconds:.0f} s"
    print(f"{wrong + len(listed)} to look at; {counts}", file=sys.stderr)
    return 1 if wrong or listed else 0


def _entry(kind: str, name: str, found: Difference) -> str:
    sides = [
        f"{side} = {json.dumps(lines)}"
        for side, lines in (("ours", found.ours), ("nginx", found.nginx))
    ]
    return "\n".join([f"[{json.dumps(kind)}.{json.dumps(name)}]", 'why = ""', *sides, ""])


if __name__ == "__main__":
    sys.exit(main())
