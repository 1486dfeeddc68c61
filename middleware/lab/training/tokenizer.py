"""The model's SentencePiece tokenizer, trained on clean queries and requests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .pairs import PairSource

PAD, EOS, UNK = 0, 1, 2


def _texts(source: PairSource, seed: int, count: int) -> Iterator[str]:
    """Yield texts without typos, so that misspellings do not become pieces."""
    rng = random.Random(f"tokenizer:{seed}")
    for index in range(count):
        if index % 3 == 2:
            yield source.draw(rng, rng.choice(("wrapped", "letter", "question"))).source
        else:
            yield source.draw(rng, "unchanged").target


def train_tokenizer(
    source: PairSource, path: Path, *, vocabulary: int, seed: int, count: int = 150_000
) -> None:
    """Write a unigram model with byte fallback to ``path`` (a ``.model`` file).

    Text is not normalized, so that copies are exact. Each digit is a piece, so that all numbers
    are encoded alike. Ids: pad 0, end 1, unknown 2.
    """
    import sentencepiece

    sentencepiece.set_random_generator_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_texts(source, seed, count),
            model_writer=handle,
            vocab_size=vocabulary,
            model_type="unigram",
            byte_fallback=True,
            character_coverage=0.9999,
            normalization_rule_name="identity",
            split_digits=True,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_id=-1,
            num_threads=2,
            minloglevel=2,
        )


def load_tokenizer(path: Path) -> Any:
    """Load a SentencePiece model."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def encode_source(processor: Any, text: str, sampled: bool) -> list[int]:
    """Return the ids of a request and its end mark; ``sampled`` draws a random segmentation."""
    ids = (
        processor.encode(text, enable_sampling=True, alpha=0.3, nbest_size=-1)
        if sampled
        else processor.encode(text)
    )
    return [*ids, EOS]
