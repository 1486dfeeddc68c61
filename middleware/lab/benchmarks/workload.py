"""The queries and arrival times of the load benchmark."""

from __future__ import annotations

import random
from collections.abc import Iterator

_TEMPLATES = (
    "could you please show me {}",
    "i am looking for {}",
    "{}",
    "what is the best {}",
    "where can i find {}",
)
_WORDS = """
    garden kitchen bicycle window table chair mirror blanket pillow basket wooden folding modern
    wireless headphones waterproof hiking boots leather sofa bottle lamp charger battery camera
    keyboard monitor speaker jacket trousers shirt shoes gloves scarf umbrella suitcase backpack
    tent stove knife spoon plate glass bowl kettle toaster oven fridge heater fan carpet curtain
    shelf drawer cupboard desk bench fence ladder hammer drill screwdriver paint brush bucket
    hose mower shovel seed flower tree soil compost printer scanner tablet phone watch bracelet
    necklace ring perfume soap towel sponge razor comb brush novel atlas calendar notebook pencil
""".split()


def texts(seed: int, count: int | None = None) -> Iterator[str]:
    """Yield distinct requests, the same ones for the same seed."""
    rng, seen = random.Random(seed), set[str]()
    while count is None or len(seen) < count:
        text = rng.choice(_TEMPLATES).format(" ".join(rng.sample(_WORDS, 3)))
        if text not in seen:
            seen.add(text)
            yield text


def arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield the arrival times of a Poisson process, in seconds from its start."""
    rng, at = random.Random(seed), 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        yield at
