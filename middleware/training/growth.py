"""Function-preserving growth: a trained model becomes deeper, with more heads and units.

A grown part starts with an output map of zero, so that nothing changes until it is
trained (Net2Net, https://arxiv.org/abs/1511.05641, for residual branches). The width
of the residual stream stays, because its normalization would notice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from middleware.training.model import Shape, build_config


def grow(model: Any, old: Shape, new: Shape, seed: int) -> Any:
    """Return a model of shape ``new`` that computes what ``model`` (of shape ``old``) does.

    New layers go on top of each stack. Raises ``ValueError`` where ``new`` is smaller
    anywhere, or differs in vocabulary, width or head size.
    """
    import torch
    from transformers import T5ForConditionalGeneration

    fixed = replace(
        new,
        heads=old.heads,
        feed_forward=old.feed_forward,
        encoder_layers=old.encoder_layers,
        decoder_layers=old.decoder_layers,
    )
    larger = all(
        a >= b for a, b in zip(new.to_dict().values(), old.to_dict().values(), strict=True)
    )
    if fixed != old or not larger:
        raise ValueError(f"cannot grow {old} into {new}")
    torch.manual_seed(seed)
    grown = T5ForConditionalGeneration(build_config(new))
    mine = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in grown.named_parameters():
            ends_branch = name.endswith((".o.weight", ".wo.weight"))
            if name not in mine:
                if ends_branch:
                    parameter.zero_()
                continue
            source = mine[name]
            if ends_branch:
                # The new heads and units are columns of the branch's last map: silent at first.
                parameter.zero_()
            corner = tuple(slice(0, size) for size in source.shape)
            parameter[corner].copy_(source)
    return grown
