"""The engine's contract: refusals, cancelling, options, start-up checks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import load_file, save_file

from middleware import (
    Cancelled,
    ConfigurationError,
    EngineError,
    ModelError,
    Reason,
    Refusal,
    Truncated,
)
from middleware.engines.checkpoint import bundled_model
from middleware.engines.spelling_hints import WORDS_FILE
from middleware.engines.t5 import T5Engine, engine, golden_set, weight_cache
from middleware.engines.t5.architecture import Architecture
from middleware.engines.t5.tokenizer import open_tokenizer
from middleware.engines.transformers import TransformersEngine

from .checkpoints import QUERIES, build, edit_config
from .test_equal_to_reference import never, steps_of


@pytest.fixture(scope="module")
def bundled() -> T5Engine:
    """The bundled model, loaded."""
    made = T5Engine()
    made.load()
    return made


def test_answers_and_counts(bundled: T5Engine) -> None:
    """Texts come back in order, with what it took."""
    answers = bundled.generate(["red leather sofa", "usb cable 3 m"], never)
    assert answers == ["red leather sofa", "usb cable 3 m"]
    stats = bundled.last_stats
    assert stats is not None
    assert (stats.texts, stats.tokens > 6, stats.steps >= 1) == (2, True, True)
    assert stats.accepted <= stats.drafted


def test_too_long_is_refused_before_encoding(bundled: T5Engine) -> None:
    """More than 128 tokens is a reason, not an error, and costs no step."""
    assert bundled.generate(["word " * 200], never) == [Refusal(Reason.TOO_LONG)]
    assert bundled.last_stats is not None
    assert (bundled.last_stats.steps, bundled.last_stats.encode_s) == (0, 0)


def test_nothing_to_do(bundled: T5Engine) -> None:
    """No texts, no answers."""
    assert bundled.generate([], never) == []


def test_cancelled_texts_are_not_decoded(bundled: T5Engine) -> None:
    """A cancelled text takes no further step; the others are answered as ever."""
    alone = bundled.generate([QUERIES[1]], never)
    assert bundled.generate([QUERIES[0], QUERIES[1]], lambda index: index == 0) == [
        Cancelled(),
        *alone,
    ]
    asked: list[int] = []

    def after_one_step(index: int) -> bool:
        asked.append(index)
        return len(asked) > 1

    assert bundled.generate([QUERIES[3]], after_one_step) == [Cancelled()]
    assert bundled.last_stats is not None
    assert bundled.last_stats.steps == 1


def test_an_answer_without_an_end_is_truncated() -> None:
    """The limit of new tokens cuts it off."""
    short = T5Engine(max_new_tokens=2)
    short.load()
    assert short.generate([QUERIES[3]], never) == [Truncated()]


def test_beams_can_be_cancelled() -> None:
    """The other search asks as well."""
    beams = T5Engine(beams=2)
    beams.load()
    assert beams.generate([QUERIES[0]], lambda index: True) == [Cancelled()]
    assert beams.generate([QUERIES[0]], never) == ["red leather sofa"]


def test_prefix_reaches_the_model() -> None:
    """The prefix counts as input."""
    made = T5Engine(prefix="word " * 126)
    made.load()
    assert made.generate(["red leather sofa"], never) == [Refusal(Reason.TOO_LONG)]


@pytest.mark.parametrize(
    "options",
    [
        {"max_input_tokens": 0},
        {"max_new_tokens": -1},
        {"threads": 0},
        {"beams": 0},
        {"beams": 6},
        {"beams": True},
        {"weights": "int4"},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    """Each wrong option is named when the engine is made."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        T5Engine(**options)


def test_revision_tells_answers_apart() -> None:
    """What may change an answer changes the revision; drafting does not."""
    same = {T5Engine().revision, T5Engine(drafting=False).revision}
    others = {
        T5Engine(**options).revision
        for options in ({"weights": "bf16"}, {"beams": 2}, {"prefix": "a"}, {"max_new_tokens": 9})
    }
    assert len(same) == 1
    assert len(others | same) == 5


def test_unsupported_activation(tmp_path: Path) -> None:
    """What is unsupported is named, at once."""
    edit_config(build(tmp_path), feed_forward_proj="gated-swoosh", dense_act_fn="swoosh")
    with pytest.raises(ModelError, match="gated-swoosh"):
        T5Engine(tmp_path)


def test_sizes_that_disagree(tmp_path: Path) -> None:
    """Weights of another shape than the configuration's are told from it at load."""
    edit_config(build(tmp_path), d_ff=128)
    with pytest.raises(ModelError, match=r"DenseReluDense.*128"):
        T5Engine(tmp_path).load()


def test_missing_tensor(tmp_path: Path) -> None:
    """A missing tensor is named."""
    edit_config(build(tmp_path), num_decoder_layers=3)
    with pytest.raises(ModelError, match=r"decoder\.block\.2"):
        T5Engine(tmp_path).load()


def test_an_output_that_is_missing(tmp_path: Path) -> None:
    """Where the configuration says that it is no embedding, none takes its place."""
    build(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config.pop("scale_decoder_outputs", None)  # as transformers 4 wrote it
    config["tie_word_embeddings"] = False
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    T5Engine(tmp_path).load()
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="lm_head"):
        T5Engine(tmp_path).load()


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    """Weights with NaN never serve."""
    build(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["decoder.block.0.layer.2.DenseReluDense.wo.weight"][0, 0] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="NaN"):
        T5Engine(tmp_path).load()


@pytest.mark.parametrize("weights", ["int8", "bf16", "fp32"])
def test_overflow_while_running_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    """Numbers that overflow in a step raise, and do not stay in the cache."""
    for module in (engine, weight_cache):
        monkeypatch.setattr(module, "SMALL", 0)
    made = T5Engine(build(tmp_path / "model"), weights=weights, cache_dir=tmp_path / "cache")
    made.load()
    assert made._steps is not None
    before = made.generate([QUERIES[0]], never)
    embedding = made._steps._parts[1]
    broken = embedding.clone()
    broken[0] = float("inf")
    embedding_was = embedding.clone()
    with torch.inference_mode():
        embedding.copy_(broken)
    with pytest.raises(EngineError, match="NaN"):
        made.generate([QUERIES[0]], never)
    with torch.inference_mode():
        embedding.copy_(embedding_was)
    assert made.generate([QUERIES[0]], never) == before


def test_not_loaded() -> None:
    """Generating before loading says so."""
    with pytest.raises(EngineError, match="not loaded"):
        T5Engine().generate(["a"], never)


def test_forked_process_is_told(bundled: T5Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process than the one that loaded it, the engine refuses instead of hanging."""
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(EngineError, match="forked"):
        bundled.generate(["a"], never)


class TestWeightCache:
    """The copy on disk, and the golden answers in it."""

    @pytest.fixture(autouse=True)
    def _every_model_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "SMALL", 0)
        monkeypatch.setattr(weight_cache, "SMALL", 0)

    def test_copy_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A second start reads the copy and quantizes nothing."""
        first = T5Engine(cache_dir=tmp_path, threads=1)
        first.load()
        assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
        monkeypatch.setattr(weight_cache, "quantized", lambda *_: pytest.fail("quantized again"))
        second = T5Engine(cache_dir=tmp_path, threads=1)
        second.load()
        assert second.generate(QUERIES, never) == first.generate(QUERIES, never)

    def test_damaged_copy_is_made_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One flipped bit in the copy is found."""
        T5Engine(cache_dir=tmp_path, threads=1).load()
        (path,) = tmp_path.iterdir()
        whole = path.read_bytes()
        path.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
        T5Engine(cache_dir=tmp_path, threads=1).load()
        assert "damaged" in caplog.text
        assert weight_cache.read(path) is not None
        path.write_bytes(whole[:5000])
        assert weight_cache.read(path) is None

    def test_weights_that_miss_the_golden_answers(self, tmp_path: Path) -> None:
        """Whole but wrong weights never serve, and the error says what to do."""
        T5Engine(cache_dir=tmp_path, threads=1).load()
        (path,) = tmp_path.iterdir()
        tensors = weight_cache.read(path)
        assert tensors is not None
        tensors["decoder.1.wo"] = -tensors["decoder.1.wo"]
        assert weight_cache.write(path, tensors)
        with pytest.raises(ModelError, match=r"do not reproduce.*bf16"):
            T5Engine(cache_dir=tmp_path, threads=1).load()

    def test_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        """Without a place for the copy the engine serves all the same."""
        (tmp_path / "file").write_text("in the way", "utf-8")
        made = T5Engine(cache_dir=tmp_path / "file" / "cache", threads=1)
        made.load()
        assert made.generate(["red leather sofa"], never) == ["red leather sofa"]

    def test_other_weights_have_another_name(self, tmp_path: Path) -> None:
        """Weights that were replaced are not served from the old copy."""
        folder = build(tmp_path)
        before = weight_cache.cache_name(folder, "r", "int8", 15)
        os.utime(folder / "model.safetensors", ns=(1, 1))
        after = weight_cache.cache_name(folder, "r", "int8", 15)
        others = (("r", "bf16", 15), ("r", "int8", 7), ("s", "int8", 15))
        assert after not in {before, *(weight_cache.cache_name(folder, *other) for other in others)}

    def test_shorter_answers_have_a_copy_of_their_own(self, tmp_path: Path) -> None:
        """The golden answers in it are as long as answers may be."""
        for most in (64, 3, 64):
            made = T5Engine(cache_dir=tmp_path, threads=1, max_new_tokens=most)
            made.load()
        assert len(list(tmp_path.iterdir())) == 2


def test_wrong_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled step that finds other tokens than the model is refused."""
    steps = steps_of(bundled_model(), "int8")
    with torch.inference_mode():
        record = golden_set.record(steps, [[400, 401, 1]])
        assert golden_set.verify(steps, record) > 0.999
        monkeypatch.setattr(
            steps, "best", lambda tokens, *_: (tokens.view(-1) * 0 + 7, torch.zeros(1))
        )
        with pytest.raises(ModelError, match="trace=False"):
            golden_set.verify(steps, record)


def test_int8_missing_falls_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where torch has no int8 product the engine says so and serves in float32."""
    from middleware.engines.t5 import linear

    monkeypatch.setattr(linear, "int8_kernel", lambda: None)
    made = T5Engine()
    made.load()
    assert "int8" in caplog.text
    assert made.generate(["red leather sofa"], never) == ["red leather sofa"]


def test_the_kernels_of_arm_answer_alike_in_any_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With qnnpack, which torch has here as well: near float32, and drafts change nothing."""
    from middleware.engines.t5 import linear

    if "qnnpack" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch was built without qnnpack")
    monkeypatch.setattr(linear, "int8_kernel", lambda: "qnnpack")
    assert isinstance(linear.make_linear(torch.ones(8, 16).half(), None), linear.FloatLinear)
    for module in (engine, weight_cache):
        monkeypatch.setattr(module, "SMALL", 0)
    answers = []
    for drafting in (True, False):
        made = T5Engine(cache_dir=tmp_path, threads=1, drafting=drafting)
        made.load()  # which holds it against float32's golden answers
        assert made._steps is not None
        assert isinstance(made._steps._parts[0]["head"], linear.QnnpackLinear)
        answers += [list(made.generate(QUERIES, never))]
        answers += [[made.generate([query], never)[0] for query in QUERIES]]
    assert all(found == answers[0] for found in answers)


def test_bundled_folder_is_left_alone(bundled: T5Engine) -> None:
    """Nothing is written into the package."""
    assert not [path for path in bundled_model().iterdir() if path.name.startswith((".", "t5-"))]


def test_a_model_with_words_is_given_hints(tmp_path: Path) -> None:
    """What the model reads is the text with hints, in both engines; other words, other model."""
    plain, hinted = (shutil.copytree(bundled_model(), tmp_path / name) for name in "ab")
    (plain / WORDS_FILE).unlink(missing_ok=True)
    (hinted / WORDS_FILE).write_text("sofa\nleather\nrid\n")
    for engine_class in (T5Engine, TransformersEngine):
        bare, made = engine_class(plain), engine_class(hinted)
        assert bare.revision != made.revision
        for each in (bare, made):
            each.load()
        assert made.generate(["red lether sofa"], never) == bare.generate(
            ["red | rid lether | leather sofa"], never
        )


def test_hints_never_make_a_text_too_long(tmp_path: Path) -> None:
    """A text that is short enough by itself is read without hints where those are too many."""
    folder = build(tmp_path)
    (folder / WORDS_FILE).write_text("leather\n")
    tokens = len(build_tokens(folder, "lether lether"))
    for engine_class in (T5Engine, TransformersEngine):
        made = engine_class(folder, max_input_tokens=tokens)
        made.load()
        (answer,) = made.generate(["lether lether"], never)
        assert not isinstance(answer, Refusal)


def build_tokens(folder: Path, text: str) -> list[int]:
    """Return a text's tokens with the end token."""
    shape = Architecture.of(json.loads((folder / "config.json").read_text("utf-8")))
    tokens = open_tokenizer(folder, shape).encode(text)
    assert tokens is not None
    return tokens
