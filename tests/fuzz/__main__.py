"""``python -m tests.fuzz``: as many requests as are asked for; exit status 1 where one is wrong."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from .mutations import make
from .run import fuzz


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="requests (default 10000)")
    parser.add_argument("--seed", type=int, default=1, help="what they are made of (default 1)")
    parser.add_argument("--start", type=int, default=0, help="number of the first one")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started = time.monotonic()
    figures = asyncio.run(fuzz(options.seed, options.count, start=options.start))
    seconds = time.monotonic() - started
    for number, wrong in figures.violations[:20]:
        print(f"--seed {options.seed} --start {number} --count 1: {wrong}", file=sys.stderr)
        if number >= 0:
            head, body = make(options.seed, number).wire(number)
            print(f"    {head!r} {body[:300]!r}", file=sys.stderr)
    print(figures.as_json())
    print(f"{seconds:.0f} s, {figures.requests / seconds:.0f} requests a second", file=sys.stderr)
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
