"""Score an exported model on validation pairs, and list its errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .pairs import KINDS, Pair
from .retrieval import Retrieval
from .tokenizer import EOS, PAD, load_tokenizer


def pad(rows: Sequence[Sequence[int]], filler: int) -> Any:
    """Return rows of different lengths as one integer tensor ``[rows, longest]``."""
    import torch

    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


def rewrite(model: Any, processor: Any, texts: Sequence[str], longest: int = 96) -> list[str]:
    """Rewrite texts with greedy decoding, in batches of similar lengths."""
    import torch

    encoded = [[*processor.encode(text)[: longest - 1], EOS] for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    results = [""] * len(texts)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            part = order[start : start + 64]
            ids = pad([encoded[i] for i in part], PAD)
            outputs = model.generate(
                input_ids=ids,
                attention_mask=(ids != PAD).long(),
                max_new_tokens=longest,
                do_sample=False,
                num_beams=1,
            )
            for i, row in zip(part, outputs.tolist(), strict=True):
                tokens = row[1:]
                end = tokens.index(EOS) if EOS in tokens else len(tokens)
                results[i] = processor.decode([t for t in tokens[:end] if t != PAD])
    model.train(was_training)
    return results


def score(pairs: Sequence[Pair], outputs: Sequence[str]) -> dict[str, float]:
    """Return the share of exact rewrites per kind; ``copied`` is the share of a plain copy."""
    hits: dict[str, list[bool]] = {}
    for pair, output in zip(pairs, outputs, strict=True):
        hits.setdefault(pair.kind, []).append(output == pair.target)
    scores = {kind: sum(marks) / len(marks) for kind, marks in hits.items()}
    weight = sum(KINDS[kind] for kind in scores)
    scores["all"] = sum(KINDS[kind] * scores[kind] for kind in hits) / weight
    scores["copied"] = sum(
        KINDS[kind] * sum(p.source == p.target for p in pairs if p.kind == kind) / len(hits[kind])
        for kind in hits
    ) / weight  # fmt: skip
    return scores


def scores_of(
    model: Any, processor: Any, pairs: Sequence[Pair], retrieval: Retrieval | None = None
) -> tuple[dict[str, float], list[str]]:
    """Return the scores of a model, those of ``retrieval`` included, and its rewrites."""
    outputs = rewrite(model, processor, [pair.source for pair in pairs])
    scores = score(pairs, outputs)
    if retrieval is not None:
        found = retrieval.score(lambda texts: rewrite(model, processor, texts))
        scores |= {f"retrieval_{kind}": value for kind, value in found.items()}
    return scores, outputs


def write_report(
    folder: Path, pairs: Sequence[Pair], path: Path, retrieval: Retrieval | None = None
) -> dict[str, float]:
    """Load the model in ``folder``, rewrite ``pairs``, and write scores and errors to ``path``."""
    from transformers import T5ForConditionalGeneration

    model: Any = T5ForConditionalGeneration.from_pretrained(folder)
    model = model.float().eval()
    processor = load_tokenizer(folder / "spiece.model")
    scores, outputs = scores_of(model, processor, pairs, retrieval)
    wrong = [
        {"kind": p.kind, "source": p.source, "target": p.target, "output": output}
        for p, output in zip(pairs, outputs, strict=True)
        if output != p.target
    ]
    text = json.dumps({"exact": scores, "wrong": wrong}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return scores
