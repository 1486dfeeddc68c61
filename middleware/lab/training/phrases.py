"""The phrases that requests for training are made of, read from ``phrases.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

_lists = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

HELLO = tuple(_lists["hello"])
STORY = tuple(_lists["story"])
ASK = tuple(_lists["ask"])
VERB = tuple(_lists["verb"])
PARTED = tuple((verb, particle) for verb, particle in _lists["parted"])
"""Verbs with a particle behind the object: "dig my old notes up"."""
LOOKING = tuple(_lists["looking"])
KIND = tuple(_lists["kind"])
TAIL = tuple(_lists["tail"])
FILLERS = tuple(_lists["fillers"])
RESTARTS = tuple(_lists["restarts"])
LINKS = tuple(_lists["links"])
DOCUMENT = tuple(_lists["document"])
WHO = tuple(_lists["who"])
DID = tuple(_lists["did"])
AFTER = tuple(_lists["after"])
