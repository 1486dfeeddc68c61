"""Keyed hashes of what requests contain, for tables that keep none of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from hashlib import blake2b
from secrets import token_bytes
from typing import Any

KeyHash = Callable[[bytes], Any]
"""Returns an object with ``digest()``, which is 16 bytes."""

_WRITABLE = frozenset((str, bytes, int, float, bool, type(None)))


def new_key_hash() -> KeyHash:
    """Return BLAKE2b with a random key (RFC 7693, 2.5).

    Nobody who does not know the key can find two inputs with one hash. Forked processes share it.
    """
    return partial(blake2b, key=token_bytes(32), digest_size=16)


def written(key: Hashable) -> str:
    """Return a text that is equal for equal keys of one kind, and differs for others.

    Texts, bytes, numbers and tuples of these are written down. Of anything else, the hash is.
    """
    kind = type(key)
    if kind in _WRITABLE:
        return repr(key)
    if isinstance(key, tuple):
        return f"({','.join(map(written, key))})"
    return f"{kind.__module__}.{kind.__qualname__} {hash(key)}"
