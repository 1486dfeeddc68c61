"""Token ids are those of transformers' tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from middleware import ModelError
from middleware.engines.checkpoint import bundled_model
from middleware.engines.t5.architecture import Architecture
from middleware.engines.t5.tokenizer import Tokenizer, open_tokenizer

SHAPE = Architecture.of(json.loads((bundled_model() / "config.json").read_text("utf-8")))
OURS = open_tokenizer(bundled_model(), SHAPE)
THEIRS = AutoTokenizer.from_pretrained(bundled_model())


def json_only(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder without a SentencePiece file."""
    shutil.copyfile(bundled_model() / "tokenizer.json", folder / "tokenizer.json")
    return open_tokenizer(folder, SHAPE)


# ``^`` and ``$`` of a fast tokenizer's patterns match at every line: blanks inside were lost.
@example("a \n")
@example("a \n b")
@settings(max_examples=1000)
@given(st.text(max_size=40).filter(lambda text: "</s>" not in text and "<" not in text))
def test_equal_on_any_text(text: str) -> None:
    """Scripts, controls, blanks and emoji alike; what is encoded comes back."""
    ids = OURS.encode(text)
    assert ids is not None
    assert ids == THEIRS(text).input_ids
    assert OURS.decode(ids[:-1]) == str(THEIRS.decode(ids, skip_special_tokens=True)).strip()


def test_json_form_is_equal(tmp_path: Path) -> None:
    """``tokenizer.json`` serves where there is no SentencePiece file."""
    other = json_only(tmp_path)
    for text in ("noise cancelling WH-1000XM4", " two  blanks", "é 中文 😀", ""):
        ids = OURS.encode(text)
        assert ids is not None
        assert other.encode(text) == ids
        assert other.decode(ids[:-1]) == OURS.decode(ids[:-1])
    assert other.encode("a </s> b") is None


def test_special_pieces_of_the_json_form_are_no_text(tmp_path: Path) -> None:
    """``<extra_id_0>`` and its like, which T5's own vocabulary counts among its pieces."""
    said = json.loads((bundled_model() / "tokenizer.json").read_text("utf-8"))
    piece = dict(said["added_tokens"][-1], id=400, content=said["model"]["vocab"][400][0])
    said["added_tokens"].append(piece)
    (tmp_path / "tokenizer.json").write_text(json.dumps(said), "utf-8")
    other = open_tokenizer(tmp_path, SHAPE)
    assert other.decode([401]) is not None
    assert other.decode([401, 400]) is None


def test_special_token_spelled_out_stays_text() -> None:
    """A user's ``</s>`` never becomes the end token in the middle."""
    ids = OURS.encode("a </s> b")
    assert ids is not None
    assert ids.count(SHAPE.end) == 1


def test_what_is_no_text() -> None:
    """Unknown and control tokens, and halves of characters, are no text."""
    assert OURS.decode([400, 2]) is None
    assert OURS.decode([0, 400]) is None
    assert OURS.decode([SHAPE.vocabulary + 5]) is None
    half = OURS.encode("😀")
    assert half is not None
    assert OURS.decode(half[:-2]) is None


def test_not_a_tokenizer(tmp_path: Path) -> None:
    """A file that is no tokenizer is named."""
    (tmp_path / "spiece.model").write_text("nothing", "utf-8")
    with pytest.raises(ModelError, match="tokenizer"):
        open_tokenizer(tmp_path, SHAPE)
