"""The reference engine on the bundled model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

from middleware import (  # noqa: E402
    Cancelled,
    ConfigurationError,
    EngineError,
    Loadable,
    ModelError,
    Reason,
    Refusal,
    Truncated,
)
from middleware.engines.checkpoint import bundled_model  # noqa: E402
from middleware.engines.transformers import TransformersEngine  # noqa: E402

TEXTS = [
    "red shoes",
    "can you please show me papers on shock waves over thin wings at high speed",
    "hwo to tei a tie",
    "phone case without logo",
    "i'm looking for a bike lamp 12v usb, thanks a lot",
    "what is the capital of peru?",
    "crème brûlée recipe",
    "noise cancelling headphones that are not expensive",
]


def nobody_left(index: int) -> bool:
    """All callers still wait."""
    return False


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    """The engine on the bundled model, loaded; torch's threads are put back after."""
    threads = torch.get_num_threads()
    made = TransformersEngine(threads=1)
    made.load()
    yield made
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled model."""
    return Path(shutil.copytree(bundled_model(), tmp_path / "model"))


def test_alone_and_in_a_batch(engine: TransformersEngine) -> None:
    """A text's answer is the same by itself and among seven others, in any order."""
    alone = [engine.generate([text], nobody_left)[0] for text in TEXTS]
    assert list(engine.generate(TEXTS, nobody_left)) == alone
    assert list(engine.generate(TEXTS[::-1], nobody_left)) == alone[::-1]
    assert all(isinstance(answer, str) and answer for answer in alone)
    assert engine.generate([], nobody_left) == []


def test_a_neighbour_does_not_lend_its_length() -> None:
    """The bound on an answer comes from its own text, so that a long neighbour changes nothing."""
    long = " ".join(["papers on shock waves over thin wings"] * 6)
    tight = TransformersEngine(threads=1, max_new_tokens=60, max_input_tokens=120)
    tight.load()
    texts = ["zq zq zq zq", "qq xx", "a a a a a a a", *TEXTS[:2]]
    alone = [tight.generate([text], nobody_left)[0] for text in texts]
    assert list(tight.generate([*texts, long], nobody_left))[: len(texts)] == alone


def test_cancelled_rows(engine: TransformersEngine) -> None:
    """A text may be cancelled before the start or midway; the others are answered as ever."""
    whole = engine.generate(TEXTS, nobody_left)
    early = engine.generate(TEXTS, lambda index: index % 2 == 0)
    assert [early[i] for i in range(8)] == [
        Cancelled() if i % 2 == 0 else whole[i] for i in range(8)
    ]
    asked: list[int] = []

    def leaves_at_the_third_step(index: int) -> bool:
        asked.append(index)
        return index == 1 and asked.count(1) >= 3

    answers = engine.generate(TEXTS[:3], leaves_at_the_third_step)
    assert list(answers) == [whole[0], Cancelled(), whole[2]]
    assert engine.generate(TEXTS, lambda index: True) == [Cancelled()] * 8


def test_a_batch_that_nobody_waits_for_stops_at_once(engine: TransformersEngine) -> None:
    """No more than one step is made once all have left."""
    asked = 0

    def gone(index: int) -> bool:
        nonlocal asked
        asked += 1
        return True

    engine.generate(TEXTS, gone)
    assert asked == len(TEXTS)


def test_refusals(engine: TransformersEngine) -> None:
    """Unknown pieces and too many tokens are refused, and their neighbours are answered."""
    long = "shock waves " * 200
    answers = engine.generate(["what is <unk> then", TEXTS[0], long], nobody_left)
    assert answers[0] == Refusal(Reason.UNENCODABLE)
    assert answers[1] == engine.generate([TEXTS[0]], nobody_left)[0]
    assert answers[2] == Refusal(Reason.TOO_LONG)


def test_an_answer_without_an_end_is_truncated() -> None:
    """The limit of new tokens cuts it off."""
    short = TransformersEngine(threads=1, max_new_tokens=2)
    short.load()
    assert short.generate(["phone case without logo"], nobody_left) == [Truncated()]


def test_options(engine: TransformersEngine) -> None:
    """Options are checked at construction, and what changes answers changes the revision."""
    assert isinstance(engine, Loadable)
    for option in ("max_input_tokens", "max_new_tokens", "threads"):
        with pytest.raises(ConfigurationError, match=option):
            TransformersEngine(None, **{option: 0})  # type: ignore[arg-type]
    made = [
        TransformersEngine(), TransformersEngine(prefix="rewrite: "),
        TransformersEngine(max_new_tokens=9), TransformersEngine(max_input_tokens=9),
    ]  # fmt: skip
    assert len({each.revision for each in made}) == 4
    assert TransformersEngine(threads=2).revision == made[0].revision
    with pytest.raises(EngineError, match="not loaded"):
        made[0].generate(["a"], nobody_left)


def test_prefix(engine: TransformersEngine) -> None:
    """The prefix is part of what the model reads."""
    prefixed = TransformersEngine(threads=1, prefix="can you please show me ")
    prefixed.load()
    whole = "can you please show me blue kitchen lamps"
    assert prefixed.generate(["blue kitchen lamps"], nobody_left) == engine.generate(
        [whole], nobody_left
    )


@pytest.mark.usefixtures("engine")
def test_threads_are_those_asked_for() -> None:
    """Loading sets torch's threads."""
    TransformersEngine(threads=2).load()
    assert torch.get_num_threads() == 2
    TransformersEngine(threads=1).load()
    assert torch.get_num_threads() == 1


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    """A tokenizer with more pieces than the model embeds is refused."""
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(
        vocab_size=100, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="6144 pieces and the model embeds 100"):
        TransformersEngine(folder, threads=1).load()


def test_weights_that_lack_a_tensor(folder: Path) -> None:
    """Tensors that the weights lack are told, and not made up."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    gone = next(name for name in tensors if "EncDecAttention.q" in name)
    del tensors[gone]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 of the model's tensors, .*EncDecAttention\.q"):
        TransformersEngine(folder, threads=1).load()


def test_weights_that_are_no_numbers(folder: Path) -> None:
    """What overflowed on its way here is refused at the start."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "DenseReluDense.wo" in name)
    tensors[name][0, 0] = float("inf")
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"DenseReluDense.* not finite"):
        TransformersEngine(folder, threads=1).load()


def test_a_broken_tokenizer(folder: Path) -> None:
    """A tokenizer that cannot be read is a fault of the model's folder."""
    (folder / "tokenizer.json").write_text("{}")
    (folder / "spiece.model").write_bytes(b"\0" * 64)
    with pytest.raises(ModelError, match="cannot be loaded"):
        TransformersEngine(folder, threads=1).load()
