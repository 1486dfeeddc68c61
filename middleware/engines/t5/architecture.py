"""Reads from a T5 configuration what the engine needs, and refuses what it does not support."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import ModelError

SMALL = 20_000_000
"""A model with fewer parameters is small: its weights stay in the processor's caches."""

_ACTIVATIONS = {"relu": "relu", "gelu_new": "gelu_tanh", "gelu": "gelu", "silu": "silu"}


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes and variants of a T5 (Raffel et al. 2020, https://arxiv.org/abs/1910.10683).

    ``kv`` is the width of one attention head and ``inner`` that of all heads together.
    ``scaled_output`` says whether the decoder's output is multiplied by ``width**-0.5`` before
    the head, as in T5 v1.0. ``tied`` is false if the head is a matrix of its own, apart from the
    embedding. ``pad``, ``end`` and ``start`` are token ids.
    """

    vocabulary: int
    width: int
    kv: int
    heads: int
    feed_forward: int
    encoder_layers: int
    decoder_layers: int
    activation: str
    gated: bool
    buckets: int
    max_distance: int
    epsilon: float
    scaled_output: bool
    tied: bool
    pad: int
    end: int
    start: int

    @property
    def inner(self) -> int:
        """The width of all attention heads together."""
        return self.heads * self.kv

    @property
    def parameters(self) -> int:
        """The approximate number of weights."""
        attention = 4 * self.width * self.inner
        dense = (3 if self.gated else 2) * self.width * self.feed_forward
        encoder = self.encoder_layers * (attention + dense)
        decoder = self.decoder_layers * (2 * attention + dense)
        return encoder + decoder + 2 * self.vocabulary * self.width

    @classmethod
    def of(cls, config: dict[str, Any]) -> Architecture:
        """Return the architecture of a parsed ``config.json``.

        Errors: ``ModelError`` that names what is missing or unsupported.
        """
        where = f"model of type {config.get('model_type')!r}"

        def size(key: str, default: int | None = None, least: int = 1) -> int:
            value = config.get(key)
            value = default if value is None else value
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ModelError(f"{where}: {key} in config.json is {value!r}, not a valid number")
            return value

        feed_forward = config.get("feed_forward_proj") or "relu"
        gate, _, name = str(feed_forward).rpartition("-")
        if feed_forward == "gated-gelu":
            name = "gelu_new"
        name = str(config.get("dense_act_fn") or name) if feed_forward != "gated-gelu" else name
        if gate not in ("", "gated") or name not in _ACTIVATIONS:
            raise ModelError(
                f"{where}: feed_forward_proj {feed_forward!r} is not supported; supported are "
                f"{', '.join(_ACTIVATIONS)}, alone or after 'gated-'"
            )
        layers = size("num_layers", 6)
        decoder_layers = config.get("num_decoder_layers")
        ends = config.get("eos_token_id")
        if isinstance(ends, list) and len(ends) != 1:
            raise ModelError(f"{where}: eos_token_id {ends} is not supported; give one token")
        end = ends[0] if isinstance(ends, list) else size("eos_token_id", 1, least=0)
        pad = size("pad_token_id", 0, least=0)
        epsilon = config.get("layer_norm_epsilon")
        scaled = config.get("scale_decoder_outputs")
        # Only transformers 5 writes this key; its "tie_word_embeddings" has another meaning.
        tied = scaled is not None or config.get("tie_word_embeddings") is not False
        if scaled is None:
            scaled = tied and config.get("model_type") == "t5"
        return cls(
            vocabulary=size("vocab_size"),
            width=size("d_model"),
            kv=size("d_kv"),
            heads=size("num_heads"),
            feed_forward=size("d_ff"),
            encoder_layers=layers,
            decoder_layers=layers if decoder_layers is None else size("num_decoder_layers"),
            activation=_ACTIVATIONS[name],
            gated=gate == "gated",
            buckets=size("relative_attention_num_buckets", 32),
            max_distance=size("relative_attention_max_distance", 128),
            epsilon=1e-6 if epsilon is None else float(epsilon),
            scaled_output=bool(scaled),
            tied=tied,
            pad=pad,
            end=end,
            start=size("decoder_start_token_id", pad, least=0),
        )
