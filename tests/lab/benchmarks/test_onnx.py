"""The loop runs on ONNX Runtime's steps and finds what it finds on torch's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from transformers import T5ForConditionalGeneration

from middleware.engines.t5.architecture import Architecture
from middleware.engines.t5.decoding import Stats, greedy
from middleware.engines.t5.drafting import History
from middleware.lab.benchmarks.engines_under_test import ENGINES_UNDER_TEST
from middleware.lab.benchmarks.onnx_steps import OnnxSteps
from tests.engines.t5.checkpoints import FAMILIES, build
from tests.engines.t5.test_equal_to_reference import INPUTS, never, reference_ids


def decode(
    steps: Any, inputs: list[list[int]], history: History | None, stats: Stats
) -> list[list[int] | None]:
    """Decode inputs together, up to 24 tokens."""
    return greedy(
        steps, inputs, [24] * len(inputs), never, start=0, end=1, history=history, stats=stats,
        keep_unfinished=True,
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_loop_on_onnx_steps(family: str, tmp_path: Path) -> None:
    """In float32 tokens are transformers' own: alone, together, and with drafts."""
    folder = build(tmp_path, family)
    shape = Architecture.of(json.loads((folder / "config.json").read_text("utf-8")))
    steps = OnnxSteps(folder, shape, threads=1, int8=False)
    model: Any = T5ForConditionalGeneration.from_pretrained(folder).eval()
    # The second time drafts come true, which rows of a batch then do at places of their own.
    inputs = [list(tokens) for tokens in INPUTS] * 2
    expected = [reference_ids(model, tokens, 24) for tokens in inputs]
    history, plain, drafted = History(), Stats(), Stats()
    assert [decode(steps, [tokens], None, plain)[0] for tokens in inputs] == expected
    assert decode(steps, inputs, None, Stats()) == expected
    assert [decode(steps, [tokens], history, drafted)[0] for tokens in inputs] == expected
    assert decode(steps, inputs, history, Stats()) == expected
    assert 0 < drafted.accepted < drafted.drafted
    assert drafted.steps < plain.steps


@pytest.mark.parametrize("name", ["onnx", "onnx-drafting"])
def test_engines_do_the_work_asked_for(name: str, tmp_path: Path) -> None:
    """In int8 each decodes exactly as many tokens as are forced."""
    engine_under_test = ENGINES_UNDER_TEST[name](build(tmp_path), 1, [(7, 3)])
    call = engine_under_test.time_call([[5, 6, 7, 1], [8, 9, 1]], 8, forced=True)
    assert call.steps == (2 if name == "onnx-drafting" else 8)
    assert call.total_s > call.encode_s > 0
