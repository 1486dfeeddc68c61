"""Checks the types and ranges of the fields in a T5's ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelError

_LARGEST = 2**31 - 1  # that a size may be, and far above what any is
_SIZES = (
    "vocab_size", "d_model", "d_kv", "num_heads", "d_ff", "num_layers", "num_decoder_layers",
    "relative_attention_num_buckets", "relative_attention_max_distance",
)  # fmt: skip
_TOKENS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
_TEXTS = ("feed_forward_proj", "dense_act_fn")
_CHOICES = ("tie_word_embeddings", "scale_decoder_outputs", "is_gated_act")
_NUMBERS = ("layer_norm_epsilon",)


def check_fields(path: Path, config: Mapping[str, Any]) -> None:
    """Check the fields that an engine reads; those that are missing or null have defaults.

    Errors: ``ModelError`` that names the file, the field, its value and what is right.
    """
    for key in _SIZES:
        _expect(path, config, key, _is_size, f"a whole number from 1 to {_LARGEST}")
    for key in _NUMBERS:
        _expect(path, config, key, _is_small, "a number from 0 to 1")
    for key in _TEXTS:
        _expect(path, config, key, lambda value: isinstance(value, str), "a text")
    for key in _CHOICES:
        _expect(path, config, key, lambda value: isinstance(value, bool), "true or false")
    size = config.get("vocab_size") or _LARGEST

    def is_token(value: Any) -> bool:
        return _is_whole(value) and 0 <= value < size

    for key in _TOKENS:
        right = f"the number of a token, from 0 to {size - 1}"
        if key == "eos_token_id" and isinstance(config.get(key), list):
            _expect(path, config, key, lambda value: all(map(is_token, value)), right)
        else:
            _expect(path, config, key, is_token, right)


def _expect(
    path: Path, config: Mapping[str, Any], key: str, right: Callable[[Any], bool], what: str
) -> None:
    value = config.get(key)
    if value is not None and not right(value):
        shown = repr(value)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise ModelError(f"{path}: {key} is {shown}, and must be {what}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_whole(value) and 1 <= value <= _LARGEST


def _is_small(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= 1
