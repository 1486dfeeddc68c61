"""The engine computes what transformers computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from middleware.engines.checkpoint import bundled_model
from middleware.engines.t5 import T5Engine
from middleware.engines.t5.architecture import Architecture
from middleware.engines.t5.decoding import Stats, greedy
from middleware.engines.t5.drafting import History
from middleware.engines.t5.steps import TorchSteps
from middleware.engines.t5.weight_cache import linear_layers, quantized
from middleware.engines.transformers import TransformersEngine

from .checkpoints import FAMILIES, QUERIES, build, edit_config

INPUTS = ([37, 512, 9, 1], [1], [400, 401, 402, 403, 404, 405, 406, 407, 408, 1], [5, 5, 5, 1])


def never(index: int) -> bool:
    """Nobody leaves."""
    return False


def steps_of(folder: Path, weights: str = "fp32", **options: Any) -> TorchSteps:
    """Return a checkpoint's steps without the engine around them."""
    import json

    shape = Architecture.of(json.loads((folder / "config.json").read_text("utf-8")))
    with torch.inference_mode():
        tensors = quantized(folder, shape, weights)
        return TorchSteps(
            shape, linear_layers(tensors), tensors, max_tokens=40, max_input=40, **options
        )


def reference_ids(model: Any, tokens: list[int], count: int) -> list[int]:
    """Return transformers' greedy tokens."""
    output = model.generate(
        input_ids=torch.tensor([tokens]), max_new_tokens=count, num_beams=1, do_sample=False
    )
    ids: list[int] = output[0].tolist()[1:]
    return ids[: ids.index(1)] if 1 in ids else ids


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_tokens_of_each_family(family: str, tmp_path: Path) -> None:
    """In float32, logits are within 1e-3 of transformers' and greedy tokens are equal."""
    folder = build(tmp_path, family)
    model: Any = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    steps = steps_of(folder)
    for tokens in INPUTS:
        with torch.inference_mode():
            plain, drafted = (
                greedy(steps, [tokens], [24], never, start=0, end=1, history=history,
                       stats=Stats(), keep_unfinished=True)[0]
                for history in (None, History())
            )  # fmt: skip
            assert plain == drafted == reference_ids(model, tokens, 24)
            forced = [0, *plain][:8]
            expected = model(
                input_ids=torch.tensor([tokens]), decoder_input_ids=torch.tensor([forced])
            ).logits[0]
            found = steps.begin([tokens]).logits([forced], [0])[0]
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
        assert expected.abs().max() > 0.1  # else closeness would say nothing


def test_families_differ(tmp_path: Path) -> None:
    """A wrong output scale is seen: it is the switch that configurations hide."""
    folder = build(tmp_path, "v1.0")
    steps = steps_of(folder)
    edit_config(folder, scale_decoder_outputs=False, tie_word_embeddings=False)
    other = steps_of(folder)
    with torch.inference_mode():
        logits = [s.begin([INPUTS[0]]).logits([[0]], [0]) for s in (steps, other)]
    torch.testing.assert_close(logits[0] * 8, logits[1], rtol=1e-3, atol=1e-3)


def test_bundled_model_greedy() -> None:
    """On the bundled model float32 answers are transformers' own, and int8's nearly all."""
    reference, ours, small = TransformersEngine(), T5Engine(weights="fp32"), T5Engine()
    for engine in (reference, ours, small):
        engine.load()
    expected = [reference.generate([query], never)[0] for query in QUERIES]
    assert [ours.generate([query], never)[0] for query in QUERIES] == expected
    found = [small.generate([query], never)[0] for query in QUERIES]
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= len(QUERIES) - 1


@pytest.mark.parametrize("beams", [2, 5])
def test_bundled_model_beams(beams: int) -> None:
    """Beam search finds transformers' beams in float32."""
    ours = T5Engine(weights="fp32", beams=beams)
    ours.load()
    tokenizer = AutoTokenizer.from_pretrained(bundled_model())
    model: Any = T5ForConditionalGeneration.from_pretrained(bundled_model(), dtype=torch.float32)
    for query in QUERIES[:5]:
        ids = tokenizer([query], return_tensors="pt").input_ids
        limit = min(64, 2 * ids.shape[1] + 16)
        output = model.generate(input_ids=ids, num_beams=beams, max_new_tokens=limit)[0].tolist()
        assert 1 in output
        expected = str(tokenizer.decode(output[1 : output.index(1)])).strip()
        assert ours.generate([query], never) == [expected]


def test_untraced_is_the_same() -> None:
    """The compiled step is the module itself, only faster."""
    folder = bundled_model()
    traced, plain = steps_of(folder, "int8"), steps_of(folder, "int8", trace=False)
    with torch.inference_mode():
        outputs = [
            greedy(steps, [list(tokens) for tokens in INPUTS], [20] * len(INPUTS), never, start=0,
                   end=1, history=None, stats=Stats(), keep_unfinished=True)
            for steps in (traced, plain)
        ]  # fmt: skip
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("archive", [True, False])
def test_old_weight_files(tmp_path: Path, archive: bool) -> None:
    """``pytorch_model.bin`` is read as well, without running what a pickle may hold.

    Before torch 1.6 it was no archive.
    """
    folder = build(tmp_path / "new")
    old = tmp_path / "old"
    old.mkdir()
    model: Any = T5ForConditionalGeneration.from_pretrained(folder)
    file = old / "pytorch_model.bin"
    torch.save(model.state_dict(), file, _use_new_zipfile_serialization=archive)
    (old / "config.json").write_bytes((folder / "config.json").read_bytes())
    with torch.inference_mode():
        logits = [steps_of(path).begin([INPUTS[0]]).logits([[0]], [0]) for path in (folder, old)]
    assert torch.equal(logits[0], logits[1])
