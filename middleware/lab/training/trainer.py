"""The training loop: seeded blocks of pairs, batches by tokens, Muon and AdamW, checkpoints."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from .model import Shape, build_model
from .pairs import KINDS, Pair, PairSource
from .report import pad, scores_of
from .retrieval import Retrieval
from .tokenizer import EOS, PAD, encode_source

BLOCK = 8192
Example = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The settings of a run; learning rates are per step, ``minutes`` is the whole run.

    Time is processor time divided by ``threads``: on a busy machine, or after a pause, a run
    takes longer but trains as much.
    """

    minutes: float = 60.0
    steps: int | None = None
    seed: int = 1
    threads: int = 2
    batch_tokens: int = 4096
    longest: int = 96
    muon_rate: float = 0.005
    adam_rate: float = 2e-3
    warmup_steps: int = 40
    decay_share: float = 0.9
    smoothing: float = 0.02
    sampled_share: float = 0.15
    checkpoint_seconds: float = 120.0
    validate_seconds: float = 360.0
    validate_pairs: int = 40
    bfloat16: bool = True


@dataclass(slots=True)
class TrainingProgress:
    """The place of a run: the next batch is ``batch`` of ``block``, after ``seconds``."""

    step: int = 0
    block: int = 0
    batch: int = 0
    seconds: float = 0.0


def block_batches(
    source: PairSource, processor: Any, settings: TrainingSettings, block: int
) -> list[list[Example]]:
    """Return the batches of one block; a batch has examples of similar lengths.

    They depend only on the seed and the number of the block, so that a resumed run sees the
    same data.
    """
    rng = random.Random(f"{settings.seed}:block:{block}")
    # The sampler of SentencePiece has one state per process.
    import sentencepiece

    sentencepiece.set_random_generator_seed(settings.seed * 100_003 + block)
    examples: list[Example] = []
    while len(examples) < BLOCK:
        pair = source.draw(rng)
        ids = encode_source(processor, pair.source, rng.random() < settings.sampled_share)
        labels = [*processor.encode(pair.target), EOS]
        if len(ids) <= settings.longest and len(labels) <= settings.longest:
            examples.append((ids, labels))
    examples.sort(key=lambda e: (len(e[0]) + len(e[1]) + rng.random() * 2, len(e[1])))
    batches: list[list[Example]] = []
    batch: list[Example] = []
    widest = 0
    for example in examples:
        widest = max(widest, len(example[0]) + len(example[1]))
        if batch and (len(batch) + 1) * widest > settings.batch_tokens:
            batches.append(batch)
            batch, widest = [], len(example[0]) + len(example[1])
        batch.append(example)
    batches.append(batch)
    rng.shuffle(batches)
    return batches


def batch_loss(model: Any, batch: Sequence[Example], smoothing: float, bfloat16: bool) -> Any:
    """Return the mean cross-entropy per target token of a batch, with label smoothing."""
    import torch

    ids = pad([source for source, _ in batch], PAD)
    labels = pad([target for _, target in batch], -100)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = model(
            input_ids=ids,
            attention_mask=(ids != PAD).long(),
            decoder_input_ids=pad([[PAD, *target[:-1]] for _, target in batch], PAD),
        ).logits
    wanted = labels != -100
    return torch.nn.functional.cross_entropy(
        logits[wanted].float(), labels[wanted], label_smoothing=smoothing
    )


def validation_pairs(source: PairSource, seed: int, each: int) -> list[Pair]:
    """Return ``each`` validation pairs of every kind, from texts that training does not see."""
    rng = random.Random(f"{seed}:held")
    return [source.draw(rng, kind) for kind in KINDS for _ in range(each)]


class Trainer:
    """A training run: its model, optimizers and place in the data.

    Invariants: the checkpoint has all state that the next step depends on, so that a resumed
    run equals one that never stopped. Only the learning rate depends on time, and not where
    ``steps`` is given.
    Concurrency: one owning thread. Checkpoints are replaced atomically.
    """

    def __init__(
        self,
        folder: Path,
        shape: Shape,
        settings: TrainingSettings,
        source: PairSource,
        processor: Any,
        validation: Sequence[Pair] = (),
        clock: Callable[[], float] | None = None,
        retrieval: Retrieval | None = None,
    ) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        self.settings, self.source, self.processor = settings, source, processor
        self.shape, self.retrieval = shape, retrieval
        self.validation = validation
        self.clock = clock or (lambda: time.process_time() / settings.threads)
        self.path = folder / "checkpoint.pt"
        self.log = folder / "log.jsonl"
        self.progress = TrainingProgress()
        pieces = [processor.id_to_piece(index) for index in range(shape.vocabulary)]
        self.model = build_model(shape, settings.seed, pieces)
        self.model.train()
        matrices, others = split_parameters(self.model)
        self.muon = muon_optimizer(matrices)
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)
        if self.path.exists():
            self._restore(torch.load(self.path, weights_only=True))

    def share_done(self) -> float:
        """Return the finished share of the run, by ``steps`` if given, else by training time."""
        if self.settings.steps is not None:
            return self.progress.step / self.settings.steps
        return self.progress.seconds / (self.settings.minutes * 60)

    def rate(self) -> float:
        """Return the factor of both learning rates: warm-up, plateau, then linear to zero."""
        warm = min(1.0, (self.progress.step + 1) / self.settings.warmup_steps)
        left = (1 - self.share_done()) / self.settings.decay_share
        return max(0.0, min(warm, left, 1.0))

    def batches(self) -> Iterator[list[Example]]:
        """Yield batches from the current place on, without end."""
        while True:
            block = block_batches(self.source, self.processor, self.settings, self.progress.block)
            while self.progress.batch < len(block):
                yield block[self.progress.batch]
            self.progress.block, self.progress.batch = self.progress.block + 1, 0

    def step(self, batch: Sequence[Example]) -> float:
        """Do one training step on a batch, and return its loss."""
        import torch

        loss = batch_loss(self.model, batch, self.settings.smoothing, self.settings.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.adam.param_groups[0]["params"], 1.0)
        factor = self.rate()
        self.muon.param_groups[0]["lr"] = self.settings.muon_rate * factor
        self.muon.step()
        self.adam.param_groups[0]["lr"] = self.settings.adam_rate * factor
        self.adam.step()
        self.model.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.batch += 1
        return float(loss.detach())

    def run(self, report: Callable[[float, float], None] = lambda share, loss: None) -> None:
        """Train to the end; ``report`` is called with the finished share and the mean loss."""
        saved = validated = last = self.clock()
        mean = math.nan
        for batch in self.batches():
            if self.share_done() >= 1:
                break
            loss = self.step(batch)
            mean = loss if math.isnan(mean) else 0.98 * mean + 0.02 * loss
            now = self.clock()
            self.progress.seconds += now - last
            report(self.share_done(), mean)
            if now - saved >= self.settings.checkpoint_seconds:
                self.save()
                saved = now
            if self.validation and now - validated >= self.settings.validate_seconds:
                self.validate(mean)
                validated = self.clock()
            # Validation and saving do not count as training time.
            last = self.clock()
        self.save()
        if self.validation:
            self.validate(mean)

    def validate(self, loss: float) -> dict[str, float]:
        """Score the validation pairs, and append a line to the log."""
        scores, _ = scores_of(self.model, self.processor, self.validation, self.retrieval)
        row = {
            "step": self.progress.step,
            "minutes": round(self.progress.seconds / 60, 1),
            "loss": round(loss, 4),
            **{kind: round(score, 3) for kind, score in scores.items()},
        }
        with self.log.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
        return scores

    def save(self) -> None:
        """Write the checkpoint atomically."""
        import torch

        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "shape": asdict(self.shape),
            "progress": list(astuple(self.progress)),
        }
        torch.save(state, temporary)
        os.replace(temporary, self.path)

    def _restore(self, state: dict[str, Any]) -> None:
        if state["shape"] != asdict(self.shape):
            raise ValueError(f"the checkpoint in {self.path} is of another shape: {state['shape']}")
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.progress = TrainingProgress(*state["progress"])


def split_parameters(model: Any) -> tuple[list[Any], list[Any]]:
    """Return the hidden matrices (for Muon), and embeddings, norms and biases (for AdamW)."""
    matrices: list[Any] = []
    others: list[Any] = []
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and "shared" not in name and "relative" not in name
        (matrices if hidden and "lm_head" not in name else others).append(parameter)
    return matrices, others


def muon_optimizer(matrices: list[Any]) -> Any:
    """Return torch's Muon optimizer (Jordan et al. 2024) for a network's hidden matrices.

    Errors: ``MissingExtraError`` where torch is older than 2.9, which has no Muon.
    """
    import torch

    muon: Any = getattr(torch.optim, "Muon", None)
    if muon is None:
        raise MissingExtraError(f"training with torch {torch.__version__}", "train")
    return muon(matrices, momentum=0.95, weight_decay=0.0)
