"""Small T5 checkpoints of each family with random weights, on the bundled tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import T5Config, T5ForConditionalGeneration

from middleware.engines.checkpoint import bundled_model

FAMILIES: dict[str, dict[str, Any]] = {
    "v1.0": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "v1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "flan": {
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "num_layers": 3,
        "num_decoder_layers": 1,
        "d_kv": 16,
        "num_heads": 6,
    },
}


def build(folder: Path, family: str = "v1.1", *, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint of ``family`` into ``folder`` as transformers writes it."""
    make: Any = T5Config
    config = make(
        **{
            "vocab_size": 6144,
            "d_model": 64,
            "d_kv": 32,
            "d_ff": 96,
            "num_layers": 2,
            "num_heads": 2,
            "dropout_rate": 0.0,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "decoder_start_token_id": 0,
            **FAMILIES[family],
            **changes,
        }
    )
    torch.manual_seed(seed)
    model: Any = T5ForConditionalGeneration(config)
    untied = FAMILIES[family]["tie_word_embeddings"] is False
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("layer_norm.weight"):
                parameter.copy_(torch.rand_like(parameter) + 0.5)
            elif "relative_attention_bias" in name:
                parameter.copy_(torch.randn_like(parameter))
        if untied:
            model.lm_head.weight = torch.nn.Parameter(0.2 * torch.randn(6144, config.d_model))
    model.save_pretrained(folder)
    if untied:
        state = {key: value.clone() for key, value in model.state_dict().items()}
        _write_state(folder, state)
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(bundled_model() / name, folder / name)
    return folder


def _write_state(folder: Path, state: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    skipped = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    kept = {name: tensor for name, tensor in state.items() if name not in skipped}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def edit_config(folder: Path, **changes: Any) -> None:
    """Change a checkpoint's ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


QUERIES = (
    "red leather sofa",
    "can you please show me waterproof boots without laces",
    "usb c cable 3 m",
    "what is the effect of vitamin d on bone density in older women with low intake",
    "c++ vs c#",
    "sofa",
    "i'm looking for articles about the history of the printing press, please",
    "table table table table",
    "noise cancelling WH-1000XM4",
    "how do i change the battery of a 12v bike lamp",
)
