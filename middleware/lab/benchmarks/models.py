"""The checkpoints of benchmarks: the bundled one, a folder, or random weights of a shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...engines.checkpoint import locate
from ...engines.t5.architecture import Architecture
from ...errors import ConfigurationError

RANDOM: dict[str, dict[str, int]] = {
    "random:t5-tiny": {"d_model": 64, "d_ff": 128, "num_layers": 2, "num_heads": 2},
    "random:t5-small": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "random:t5-base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
"""Shapes of T5 v1.0 for random weights, which are of use for times only."""

_VOCABULARY = 32128


@contextmanager
def checkpoint(name: str) -> Iterator[Path]:
    """Yield the folder of a checkpoint; a folder of random weights is removed afterwards."""
    if not name.startswith("random:"):
        yield locate(name).fetch()
        return
    if name not in RANDOM:
        raise ConfigurationError(f"no shape is called {name}; known: {', '.join(RANDOM)}")
    with TemporaryDirectory(prefix="querylift-bench-") as folder:
        _write(Path(folder), RANDOM[name])
        yield Path(folder)


def shape_of(folder: Path) -> Architecture:
    """Read the shape of a checkpoint."""
    return Architecture.of(json.loads((folder / "config.json").read_text("utf-8")))


def _write(folder: Path, sizes: dict[str, int]) -> None:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    make: Any = T5Config
    config = make(
        **sizes,
        vocab_size=_VOCABULARY,
        d_kv=64 if sizes["d_model"] > 64 else 32,
        feed_forward_proj="relu",
        tie_word_embeddings=True,
        decoder_start_token_id=0,
    )
    model: Any = T5ForConditionalGeneration(config)
    model.save_pretrained(folder)
    special = ["<pad>", "</s>", "<unk>"]
    pieces = [*special, *(f"\N{LOWER ONE EIGHTH BLOCK}t{n}" for n in range(3, _VOCABULARY))]
    tokenizer = Tokenizer(Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], 2))
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
