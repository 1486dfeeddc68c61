"""Spoken and polite requests around a query, for measuring.

Whole sentences, written for this purpose: no part of one is used to make training data, and
a test holds that none can be put together from the parts that training uses.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["REQUESTS", "chatty"]

REQUESTS = (
    "can someone point me in the direction of {}",
    "hi, I was hoping you could turn up something on {} for me, thank you",
    "hey could you maybe have a look whether there is anything about {}",
    "so basically what I am after is {} if that makes sense",
    "um yeah hi I would, uh, like to see {} please",
    "Would you be so kind as to search the catalogue for {}?",
    "Please be a dear and look {} up for me.",
    "do me a favour and run a search for {}",
    "what have you got when it comes to {}?",
    "My daughter asked me about {} and I have no clue, can you help?",
    "I've been trying to get hold of {} for ages now",
    "okay assistant, let's see what comes up for {}",
    "we were wondering if you might carry {}, many thanks in advance",
    "Good afternoon! Is it all right if I ask you for {}?",
    "any chance you could help me out with {}",
    "right so I kind of need to find out more about {} by tomorrow",
    "hello there, I'd really appreciate it if you showed me {}",
    "quickly get me everything there is on {} would you",
    "I don't suppose you know where one can find {}?",
    "erm, the thing I want to look at is, you know, {}",
    "For my work I have to collect whatever is available on {}.",
    "it would be lovely to get some results for {} thanks a bunch",
    "sorry to bother you but I'm in search of {}",
    "Could you please pull together a few hits about {}? Cheers!",
)
"""Requests with ``{}`` in the place of the query."""


def chatty(text: str, rng: random.Random, requests: Sequence[str] = REQUESTS) -> str:
    """Return a request around a text; the text itself keeps every character but its last dot."""
    return rng.choice(requests).format(text.rstrip(" .?!") or text)
