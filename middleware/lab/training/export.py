"""Write a trained model as a folder that transformers and sentencepiece load offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ...engines.spelling_hints import WORDS_FILE
from .tokenizer import EOS, PAD, UNK, load_tokenizer

_SPECIAL = ("<pad>", "</s>", "<unk>")


def export_tokenizer(pieces: Path, folder: Path) -> None:
    """Copy the SentencePiece file and write the same tokenizer as ``tokenizer.json``.

    The ids are those of SentencePiece. The T5 tokenizer of transformers supports neither byte
    fallback nor a vocabulary without sentinels, so this builds a generic fast tokenizer. Only a
    text that contains a special token, such as ``</s>``, is encoded differently.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        normalizers,
        pre_tokenizers,
        processors,
    )
    from tokenizers.models import Unigram

    processor = load_tokenizer(pieces)
    size = processor.get_piece_size()
    vocabulary = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(size)]
    fast = Tokenizer(Unigram(vocabulary, unk_id=UNK, byte_fallback=True))
    fast.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace(Regex(r"\A +| +\z"), "")]
    )
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    fast.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    fast.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    fast.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", EOS)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pieces, folder / "spiece.model")
    fast.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def export_model(model: Any, pieces: Path, words: Path, folder: Path) -> None:
    """Write the model in bfloat16 with its configuration, tokenizer and words to ``folder``.

    bfloat16 has the range of float32, so no weight can overflow, and training uses it too.
    """
    import torch
    from transformers import GenerationConfig, T5ForConditionalGeneration

    half: Any = T5ForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half = half.to(torch.bfloat16)
    generation: Any = GenerationConfig
    half.generation_config = generation(
        decoder_start_token_id=PAD,
        pad_token_id=PAD,
        eos_token_id=EOS,
        do_sample=False,
        num_beams=1,
        max_new_tokens=64,
    )
    folder.mkdir(parents=True, exist_ok=True)
    half.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    export_tokenizer(pieces, folder)
    shutil.copyfile(words, folder / WORDS_FILE)
