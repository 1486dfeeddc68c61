"""The trainer on a tiny model: learning, resuming, exporting."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from middleware import MissingExtraError
from middleware.engines.spelling_hints import WORDS_FILE, Lexicon
from middleware.lab.training import trainer as trainer_module
from middleware.lab.training.export import export_model
from middleware.lab.training.lexicon import write_words
from middleware.lab.training.model import Shape, build_model, letter_features
from middleware.lab.training.pairs import PairSource
from middleware.lab.training.report import rewrite, score, write_report
from middleware.lab.training.tokenizer import encode_source, load_tokenizer, train_tokenizer
from middleware.lab.training.trainer import (
    Trainer,
    TrainingSettings,
    block_batches,
    muon_optimizer,
    validation_pairs,
)
from tests.lab.training.test_data import make_corpora

SHAPE = Shape(vocabulary=420, width=32, feed_forward=48, heads=2, kv=16,
              encoder_layers=2, decoder_layers=1)  # fmt: skip
SETTINGS = TrainingSettings(steps=40, seed=3, threads=1, batch_tokens=400, warmup_steps=5,
                    muon_rate=0.01, decay_share=0.35, bfloat16=False,
                    checkpoint_seconds=1e9, validate_seconds=1e9)  # fmt: skip


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 200 pairs, so that a run of few steps crosses from one to the next."""
    monkeypatch.setattr(trainer_module, "BLOCK", 200)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer trained on the small corpora."""
    path = tmp_path_factory.mktemp("pieces") / "spiece.model"
    train_tokenizer(PairSource(make_corpora()), path, vocabulary=420, seed=1, count=600)
    return path


@pytest.fixture(scope="module")
def processor(pieces: Path) -> Any:
    """The tokenizer, loaded."""
    return load_tokenizer(pieces)


def make_trainer(folder: Path, processor: Any, settings: TrainingSettings = SETTINGS) -> Trainer:
    """A trainer on the small corpora, on a clock of its own."""
    clock: Iterator[float] = itertools.count(0.0, 1.0)
    source = PairSource(make_corpora())
    return Trainer(folder, SHAPE, settings, source, processor, clock=lambda: next(clock))


def weights(trainer: Trainer) -> dict[str, Any]:
    """A copy of the model's weights."""
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def test_loss_goes_down(tmp_path: Path, processor: Any) -> None:
    """Forty steps on the small corpora lower the loss well below its start."""
    trainer = make_trainer(tmp_path, processor)
    losses = [trainer.step(batch) for batch in itertools.islice(trainer.batches(), 40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_resumed_run_equals_one_never_stopped(tmp_path: Path, processor: Any) -> None:
    """A run stopped and resumed from its checkpoint ends with the very same weights."""
    whole = make_trainer(tmp_path / "whole", processor, replace(SETTINGS, steps=24))
    whole.run()
    first = make_trainer(tmp_path / "cut", processor, replace(SETTINGS, steps=24))
    for batch in itertools.islice(first.batches(), 11):
        first.step(batch)
    first.save()
    second = make_trainer(tmp_path / "cut", processor, replace(SETTINGS, steps=24))
    assert second.progress.step == 11
    second.run()
    assert second.progress.step == whole.progress.step == 24
    assert second.progress.block == whole.progress.block > 0
    mine, theirs = weights(second), weights(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_checkpoint_of_another_shape_is_refused(tmp_path: Path, processor: Any) -> None:
    """A checkpoint of a model of another shape is an error, not a silent start anew."""
    make_trainer(tmp_path, processor).save()
    source = PairSource(make_corpora())
    with pytest.raises(ValueError, match="another shape"):
        Trainer(tmp_path, replace(SHAPE, feed_forward=64), SETTINGS, source, processor)


def test_rate_warms_up_and_ends_at_zero(tmp_path: Path, processor: Any) -> None:
    """The learning rate climbs over the warm-up, holds, and falls to nothing at the end."""
    trainer = make_trainer(tmp_path, processor)
    rates = []
    for step in range(41):
        trainer.progress.step = step
        rates.append(trainer.rate())
    assert rates[0] == pytest.approx(0.2)
    assert rates[10] == 1.0
    assert rates[40] == 0.0
    assert rates[26:] == sorted(rates[26:], reverse=True)


def test_time_decides_where_no_steps_are_given(tmp_path: Path, processor: Any) -> None:
    """Without a number of steps the training clock ends the run."""
    trainer = make_trainer(tmp_path, processor, replace(SETTINGS, steps=None, minutes=0.1))
    trainer.run()
    assert trainer.share_done() >= 1
    assert trainer.progress.step == 6


def test_blocks_are_seeded_and_bounded(processor: Any) -> None:
    """A block is decided by seed and number, and its batches keep to the token budget."""
    source = PairSource(make_corpora())
    first = block_batches(source, processor, SETTINGS, 2)
    assert first == block_batches(source, processor, SETTINGS, 2)
    assert first != block_batches(source, processor, SETTINGS, 3)
    assert sum(len(batch) for batch in first) == 200
    for batch in first:
        assert len(batch) * max(len(s) + len(t) for s, t in batch) <= SETTINGS.batch_tokens


def test_validation_is_logged(tmp_path: Path, processor: Any) -> None:
    """Validation scores each kind on held-out pairs and appends one line to the log."""
    trainer = make_trainer(tmp_path, processor)
    trainer.validation = validation_pairs(PairSource(make_corpora(), validation=True), 1, 2)
    trainer.validate(1.5)
    row = json.loads((tmp_path / "log.jsonl").read_text())
    assert row["loss"] == 1.5
    assert {"unchanged", "typo1", "wrapped", "all"} <= set(row)


def test_fresh_model_already_attends_to_what_comes_next(processor: Any) -> None:
    """The wired start copies most of a text under teacher forcing before any training."""
    shape = replace(SHAPE, width=192, heads=3, kv=64)
    model = build_model(shape, 1).eval()
    right = total = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randperm(400, generator=generator)[:10][None] + 10
        with torch.no_grad():
            logits = model(input_ids=ids, labels=ids).logits
        right += int((logits.argmax(-1) == ids)[:, 1:].sum())
        total += 9
    assert right / total > 0.9


def test_pieces_start_near_what_they_spell() -> None:
    """A misspelled piece starts nearer to its word than to a word of other letters."""
    pieces = ["<pad>", "</s>", "<unk>", "▁yellow", "▁yellwo", "▁market"]
    model = build_model(replace(SHAPE, width=192), 1, pieces)
    vectors = torch.nn.functional.normalize(model.shared.weight.detach()[:6], dim=1)
    assert float(vectors[3] @ vectors[4]) > float(vectors[3] @ vectors[5]) + 0.2
    assert dict(letter_features("▁ab")).keys() == {"^", "^a", "^.b", "a", "ab", "b"}


def test_muon_trains_matrices() -> None:
    """Muon lowers the loss of a toy regression, and each step turns every direction alike."""
    generator = torch.Generator().manual_seed(1)
    inputs, wanted = (torch.randn(64, size, generator=generator) for size in (8, 4))
    matrix = torch.nn.Parameter(torch.zeros(8, 4))
    optimizer = muon_optimizer([matrix])
    losses = []
    for _ in range(60):
        optimizer.param_groups[0]["lr"] = 0.02
        loss: Any = (inputs @ matrix - wanted).square().mean()
        loss.backward()
        before = matrix.detach().clone()
        optimizer.step()
        step = torch.linalg.svdvals(matrix.detach() - before) / (0.02 * 2**0.5)
        assert 0.5 < float(step.min()) <= float(step.max()) < 1.4
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    best = torch.linalg.lstsq(inputs, wanted).solution
    least = float((inputs @ best - wanted).square().mean())
    assert losses[-1] - least < 0.1 * (losses[0] - least)


def test_a_torch_without_muon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the torch that is installed and the extra that brings a newer one."""
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(MissingExtraError, match=r"training with torch .*querylift\[train\]"):
        muon_optimizer([])


def words_beside(pieces: Path) -> Path:
    """A word list as training writes it."""
    path = pieces.parent / WORDS_FILE
    write_words(["chair", "table"], path)
    return path


def test_export_loads_and_rewrites_alike(tmp_path: Path, pieces: Path, processor: Any) -> None:
    """The exported folder loads offline and gives the rounded model's greedy output."""
    trainer = make_trainer(tmp_path / "run", processor)
    trainer.run()
    export_model(trainer.model, pieces, words_beside(pieces), tmp_path / "model")
    assert list(Lexicon.of(tmp_path / "model") or ()) == ["chair", "table"]
    loaded: Any = T5ForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert loaded.dtype == torch.bfloat16
    texts = ["table chair", "please show me yellow garden", "who wrote the book", "engin 12"]
    rounded = trainer.model.to(torch.bfloat16).float()
    outputs = rewrite(loaded.float(), processor, texts, longest=12)
    assert outputs == rewrite(rounded, processor, texts, longest=12)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    odd = ["naïve  two   blanks ", "中文 😀", "C++ a<b>", "12 GB 3.5mm don't", "ﬁne ①½"]
    for text in [*texts, *odd]:
        ids = tokenizer(text).input_ids
        assert ids == [*processor.encode(text), 1]
        assert tokenizer.decode(ids, skip_special_tokens=True) == processor.decode(ids)


def test_report_keeps_what_went_wrong(tmp_path: Path, pieces: Path) -> None:
    """The report has a score for each kind and every pair that was missed."""
    export_model(build_model(SHAPE, 1), pieces, words_beside(pieces), tmp_path / "model")
    pairs = validation_pairs(PairSource(make_corpora(), validation=True), 1, 1)
    scores = write_report(tmp_path / "model", pairs, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exact"] == scores
    missed = round(sum((1 - scores[pair.kind]) for pair in pairs))
    assert len(report["wrong"]) == missed


def test_score_weighs_kinds() -> None:
    """A perfect rewriter scores one everywhere, and a plain copy only where nothing changes."""
    pairs = validation_pairs(PairSource(make_corpora(), validation=True), 1, 4)
    scores = score(pairs, [pair.target for pair in pairs])
    assert scores["all"] == pytest.approx(1.0)
    assert 0 < scores["copied"] < 1


def test_texts_survive_the_tokenizer(processor: Any) -> None:
    """Any text comes back from the pieces as it was, other scripts and signs included."""
    for text in ("WH-1000XM4", "c++ ≠ c#", "Ünïcode 中文 😀", "a_b.c(d)", "ﬁ ①"):
        assert processor.decode(processor.encode(text)) == text
        assert encode_source(processor, text, True)[-1] == 1
