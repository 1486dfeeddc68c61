"""Fields of ``config.json`` with wrong types or values are named, whatever they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import ModelError
from middleware.engines.checkpoint import bundled_model, locate
from middleware.engines.config_fields import check_fields
from middleware.engines.t5.architecture import Architecture
from tests.conftest import at_most

SIZES = (
    "vocab_size", "d_model", "d_kv", "num_heads", "d_ff", "num_layers", "num_decoder_layers",
    "relative_attention_num_buckets", "relative_attention_max_distance",
)  # fmt: skip
TOKENS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
CONFIG: dict[str, Any] = json.loads((bundled_model() / "config.json").read_text())

_NO_SIZES: tuple[object, ...] = ("512", 512.0, 0, -1, True, [], {}, 2**40)
_NO_TOKENS: tuple[object, ...] = ("1", 1.0, -1, False, {}, 10**6)
_NO_VALUES: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(SIZES, _NO_SIZES),
    **dict.fromkeys(TOKENS, _NO_TOKENS),
    "eos_token_id": (*_NO_TOKENS, ["1"], [1, "2"], [None], [[1]], [-1], [10**6]),
    "layer_norm_epsilon": ("1e-6", -1, 2, True, [], float("nan"), float("inf")),
    "feed_forward_proj": (1, [], {}, True, ["relu"]),
    "dense_act_fn": (1, ["gelu"], {}),
    "tie_word_embeddings": ("false", 0, 1, [], {}),
    "scale_decoder_outputs": ("true", 0.5, []),
    "is_gated_act": ("yes",),
}
WRONG = [(key, value) for key, values in _NO_VALUES.items() for value in values]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled model."""
    return Path(shutil.copytree(bundled_model(), tmp_path / "model"))


@pytest.mark.parametrize(("key", "value"), WRONG, ids=repr)
def test_a_wrong_value_is_told_with_its_field(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, key: value}))
    with pytest.raises(ModelError, match=f"config.json: {key} is .*, and must be"):
        locate(tmp_path)


def test_a_long_value_is_cut(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**CONFIG, "d_model": "x" * 100_000}))
    with pytest.raises(ModelError, match=r"d_model is 'x+…, and must") as caught:
        locate(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("key", "default"),
    [("num_decoder_layers", "num_layers"), ("layer_norm_epsilon", 1e-6), ("eos_token_id", 1),
     ("pad_token_id", 0), ("decoder_start_token_id", 0), ("feed_forward_proj", "relu"),
     ("relative_attention_num_buckets", 32), ("relative_attention_max_distance", 128)],
)  # fmt: skip
def test_null_is_the_same_as_nothing(key: str, default: object) -> None:
    without = {name: value for name, value in CONFIG.items() if name != key}
    assert Architecture.of({**without, key: None}) == Architecture.of(without)
    if not isinstance(default, str):
        assert default in vars_of(Architecture.of(without))


def vars_of(shape: Architecture) -> list[object]:
    return [getattr(shape, name) for name in Architecture.__slots__]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "NaN", '"t5"', ""])
def test_a_configuration_that_is_none(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        locate(folder)


def test_a_configuration_without_end(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match="it has more than 4 MiB"):
        locate(folder)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
_FIELDS = sorted({key for key, _ in WRONG} | set(CONFIG))


@settings(max_examples=at_most(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(st.sampled_from(_FIELDS), _VALUES, min_size=1, max_size=4))
def test_any_values_make_a_model_or_are_told(changes: dict[str, Any]) -> None:
    """Never another error: those that are told name one of the fields."""
    config = {**CONFIG, **changes}
    told = "a model of type t5"
    try:
        check_fields(Path("config.json"), config)
        Architecture.of(config)
    except ModelError as error:
        told = str(error)
    assert any(key in told for key in (*_FIELDS, "model of type"))
