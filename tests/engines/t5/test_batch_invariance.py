"""An answer depends on its text alone: not on drafts, the batch, or what was before."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("torch")
import sentencepiece
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from middleware.engines.checkpoint import bundled_model
from middleware.engines.t5 import weight_cache
from middleware.engines.t5.decoding import Stats, greedy
from middleware.engines.t5.drafting import Draft, History
from middleware.engines.t5.linear import FloatLinear, HalfLinear, Int8Linear, quantize
from middleware.engines.t5.steps import TorchSteps

from .checkpoints import build
from .test_equal_to_reference import never, steps_of

KINDS = {"int8": Int8Linear, "half": HalfLinear, "bf16": FloatLinear, "fp32": FloatLinear}
HISTORY = History()  # shared by all examples on purpose


@cache
def steps() -> TorchSteps:
    """The bundled model as it is served."""
    torch.set_num_threads(1)
    return steps_of(bundled_model(), "int8")


def decode(
    inputs: list[list[int]], history: History | None, stats: Stats | None = None
) -> list[list[int] | None]:
    """Decode inputs together."""
    with torch.inference_mode():
        return greedy(
            steps(), inputs, [24] * len(inputs), never, start=0, end=1, history=history,
            stats=stats or Stats(), keep_unfinished=True,
        )  # fmt: skip


TOKENS = st.lists(st.integers(3, 6143) | st.integers(300, 320), min_size=1, max_size=20).map(
    lambda tokens: [*tokens, 1]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=8))
def test_batch_and_drafts_change_nothing(inputs: list[list[int]]) -> None:
    """Batched and drafted output is plain greedy's, token by token, on any input."""
    plain = [decode([tokens], None)[0] for tokens in inputs]
    assert decode(inputs, None) == plain
    assert decode(inputs, HISTORY) == plain
    assert [decode([tokens], HISTORY)[0] for tokens in inputs] == plain


@settings(max_examples=15, deadline=None)
@given(st.lists(TOKENS, min_size=2, max_size=6))
def test_bits_do_not_depend_on_the_batch(inputs: list[list[int]]) -> None:
    """What the encoder and a step compute is the same to the bit, alone and together."""
    model = steps()
    with torch.inference_mode():
        session = model.begin(inputs)
        together = session.logits([[0, 5, 6]] * len(inputs), [0] * len(inputs))
        for index, tokens in enumerate(inputs):
            alone = model.begin([tokens])
            bits = [alone.logits([[token]], [place])[0, 0] for place, token in enumerate((0, 5, 6))]
            assert torch.equal(torch.stack(bits), together[index])


@pytest.mark.parametrize("weights", ["int8", "half", "bf16", "fp32"])
def test_untrained_model_drafts_alike(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on a model whose every guess is wrong, with weights of each kind."""
    monkeypatch.setattr(weight_cache, "SMALL", 0 if weights == "int8" else 20_000_000)
    model = steps_of(build(tmp_path, "v1.0"), weights.replace("half", "int8"))
    assert isinstance(model._parts[0]["decoder.0.wo"], KINDS[weights])
    source = random.Random(1)
    inputs = [[source.randrange(3, 6000) for _ in range(length)] + [1] for length in (1, 4, 9, 17)]
    with torch.inference_mode():
        outputs = [
            greedy(model, inputs, [30] * 4, never, start=0, end=1, history=history, stats=Stats(),
                   keep_unfinished=True)
            for history in (None, History())
        ]  # fmt: skip
    assert outputs[0] == outputs[1]


def test_drafts_save_steps() -> None:
    """Copying input comes true, and the counts say so."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(bundled_model() / "spiece.model"))
    tokens = [[*pieces.encode("wireless headphones for small children in blue"), 1]]
    plain, drafted = Stats(), Stats()
    assert decode(tokens, None, plain) == decode(tokens, History(), drafted)
    assert plain.steps == plain.tokens == plain.rows
    assert plain.drafted == plain.accepted == 0
    assert drafted.tokens == plain.tokens == drafted.rows + drafted.accepted
    assert drafted.steps < plain.steps
    assert drafted.encode_s > 0


@given(st.lists(st.integers(2, 9), max_size=12), st.lists(st.integers(2, 9), max_size=12))
def test_guesses_are_bounded(source: list[int], output: list[int]) -> None:
    """No more is guessed than asked for, whatever is asked."""
    history = History(3)
    history.learn(output)
    draft = Draft([*source, 1], history)
    for length in range(len(output) + 1):
        assert len(draft.guess(output[:length], 5)) <= 5
        assert draft.guess(output[:length], 0) == []


def test_rows_do_not_see_each_other() -> None:
    """A product's row is bit for bit the same beside rows a thousand times larger."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(48, 96, generator=generator)
    rows = torch.randn(9, 96, generator=generator) * torch.logspace(-3, 3, 9)[:, None]
    for linear in (Int8Linear(*quantize(weight)), HalfLinear(weight)):
        together = linear(rows)
        for index in range(9):
            assert torch.equal(linear(rows[index : index + 1])[0], together[index])


def test_int8_product_is_close() -> None:
    """Quantization costs about a hundredth of a result's size, also for rows of zeros."""
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(64, 256, generator=generator)
    rows = torch.cat([torch.randn(6, 256, generator=generator), torch.zeros(1, 256)])
    linear, expected = Int8Linear(*quantize(weight)), rows @ weight.T
    assert (linear(rows) - expected).abs().max() < 0.03 * expected.abs().max()
    assert linear(rows)[-1].abs().max() == 0


def test_half_product_is_closer() -> None:
    """Float16 weights err by their own rounding only; nothing overflows behind them."""
    generator = torch.Generator().manual_seed(4)
    weight, rows = (torch.randn(*size, generator=generator) for size in ((64, 256), (7, 256)))
    linear = HalfLinear(weight)
    rounded = weight.half().double()
    assert not torch.equal(rounded.float(), weight)
    torch.testing.assert_close(
        linear(rows * 1e6), (rows.double() * 1e6 @ rounded.T).float(), rtol=1e-4, atol=100
    )


def test_weights_beyond_float16_stay(tmp_path: Path) -> None:
    """A small model with weights that float16 cannot hold keeps those in float32."""
    folder = build(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["decoder.block.1.layer.2.DenseReluDense.wo.weight"][0, 0] = 1e6
    save_file(tensors, folder / "model.safetensors")
    found = steps_of(folder, "int8")._parts[0]
    assert not isinstance(found["decoder.1.wo"], HalfLinear)
    assert isinstance(found["decoder.0.wo"], HalfLinear)
