"""The files of the bundled model: complete, small, loadable, and honest about themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import sentencepiece
from transformers import AutoTokenizer, T5ForConditionalGeneration

from middleware.lab.training.data import SOURCES
from middleware.lab.training.report import rewrite

FOLDER = Path(__file__).parents[3] / "middleware" / "models"


@pytest.fixture(scope="module")
def model() -> Any:
    """The bundled model in full precision."""
    loaded: Any = T5ForConditionalGeneration.from_pretrained(FOLDER)
    return loaded.float().eval()


def test_folder_is_complete_and_small() -> None:
    """All files that loaders ask for are there, in at most 25 MB together."""
    names = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "spiece.model",
        "tokenizer.json",
        "tokenizer_config.json",
        "MODEL_CARD.md",
    }
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 25_000_000


def test_shape(model: Any) -> None:
    """The model is a gated-GELU T5 of 2 to 15 million parameters, its encoder the deeper part."""
    config = model.config
    assert 2_000_000 < model.num_parameters() < 15_000_000
    assert config.num_layers > config.num_decoder_layers
    assert config.feed_forward_proj == "gated-gelu"
    assert (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) == (0, 1, 0)


def test_both_tokenizers_agree() -> None:
    """transformers' tokenizer and SentencePiece give the same ids and texts."""
    fast = AutoTokenizer.from_pretrained(FOLDER)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / "spiece.model"))
    assert (pieces.pad_id(), pieces.eos_id(), pieces.unk_id()) == (0, 1, 2)
    for text in ("noise cancelling WH-1000XM4", " two  blanks", "c++ <int> é 中文 😀", "3.5mm\tﬁ"):
        ids = fast(text).input_ids
        assert ids == [*pieces.encode(text), 1]
        assert fast.decode(ids, skip_special_tokens=True) == pieces.decode(ids)


def test_it_copies_and_unwraps(model: Any) -> None:
    """Of plain queries most stay as they are, and most requests around them go."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / "spiece.model"))
    queries = [
        "red leather sofa",
        "usb cable 3 m",
        "lung cancer treatment",
        "garden table without chairs",
        "python list sort",
        "winter boots for women",
        "solar panel 100w",
        "blood pressure in children",
    ]
    kept = rewrite(model, pieces, queries)
    bare = rewrite(model, pieces, [f"can you please show me {query}" for query in queries])
    assert sum(a == b for a, b in zip(kept, queries, strict=True)) >= 7
    assert sum(a == b for a, b in zip(bare, queries, strict=True)) >= 5


def test_card_names_every_source() -> None:
    """The card lists a licence line for each group of sources that training reads."""
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    named = {"nq_": "Natural Questions", "webquestions": "WebQuestions", "miracl": "MIRACL",
             "wellformedness": "wellformedness", "cqadupstack": "CQADupStack", "trec_": "TREC",
             "disfl": "Disfl-QA", "banking77": "Banking77", "wikipedia": "Wikipedia",
             "cspell": "cspell", "esci": "ESCI", "scifact": "SciFact"}  # fmt: skip
    for source in SOURCES:
        assert any(part in source and name in card for part, name in named.items())
