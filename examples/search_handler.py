"""Querylift as a decorator on a Python search handler.

Run it with ``python search_handler.py "please find me a wireles headphone"``.
"""

from __future__ import annotations

import sys

from querylift import Reformulation, Reformulator, load_engine, reformulated

reformulator = Reformulator(load_engine(), budget=1.0)


@reformulated(reformulator)
def search(query: str, *, decision: Reformulation | None = None) -> list[str]:
    """Search for the query as rewritten; ``decision`` is filled in and says what was done."""
    assert decision is not None
    return [f"results for {query!r}", f"{decision.outcome} (was {decision.original!r})"]


if __name__ == "__main__":
    with reformulator:  # waits until the model is loaded
        for line in search(" ".join(sys.argv[1:])):
            print(line)
