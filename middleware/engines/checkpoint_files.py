"""Checks the files of a model's folder, and tells one set of files from another.

Only the tokenizer, the header of the weights and samples of them are read.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..errors import ModelError
from .files import read_text_bounded
from .spelling_hints import WORDS_FILE

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_TOKENIZERS = ("spiece.model", "tokenizer.json")
_LFS_POINTER = b"version https://git-lfs"
_CHUNK = 2**20
_CHUNKS = 64  # that a fingerprint reads of a file; smaller files are read whole
_MAX_INDEX = 16 * 2**20  # bytes; the largest models' have a few MiB
_MAX_HEADER = 100_000_000  # bytes, as the format says
_MAX_WORDS = 256 * 2**20  # bytes of a tokenizer or of a list of words


def check_files(folder: Path) -> str:
    """Check that weights and tokenizer exist and are complete; return the files' revision."""
    tokenizers = [folder / name for name in _TOKENIZERS if (folder / name).is_file()]
    if not tokenizers:
        raise ModelError(
            f"model folder {folder} has no tokenizer; it needs one of {', '.join(_TOKENIZERS)}"
        )
    weights = weight_files(folder)
    words = [path for path in (folder / WORDS_FILE,) if path.is_file()]
    for path in (*tokenizers, *words):
        if path.stat().st_size > _MAX_WORDS:
            raise ModelError(f"{path} has more than {_MAX_WORDS // 2**20} MiB; copy it again")
    for path in (*tokenizers, *weights):
        _check_whole(path)
    return _fingerprint([folder / "config.json", *tokenizers, *words, *weights])


def weight_files(folder: Path) -> list[Path]:
    """Return the file of a model's weights, or all of them if there are several.

    Errors: ``ModelError`` if there is none, or if one of several is missing.
    """
    first = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        raise ModelError(f"model folder {folder} has no weights; it needs {_WEIGHTS[0]}")
    return _shards(first) if first.suffix == ".json" else [first]


def _shards(index: Path) -> list[Path]:
    """Return the files that an index of sharded weights names, each once."""
    try:
        names = sorted(set(json.loads(read_text_bounded(index, _MAX_INDEX))["weight_map"].values()))
        paths = [index.parent / Path(name).name for name in names]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} is not an index of weights: {error!r}") from None
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise ModelError(f"{index} names files that do not exist: {', '.join(missing) or 'none'}")
    return paths


def _check_whole(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_LFS_POINTER))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    if start == _LFS_POINTER:
        raise ModelError(
            f"{path} is a Git LFS pointer, three lines in place of a file that was not "
            "downloaded; run 'git lfs pull' there"
        )
    if not start:
        raise ModelError(f"{path} is empty; copy it again")
    if path.suffix == ".safetensors":
        _check_safetensors(path)


def _check_safetensors(path: Path) -> None:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < min(size, _MAX_HEADER) else {}
        end = max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
        expected = 8 + length + int(end)
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        raise ModelError(f"{path} is not a safetensors file; copy it again") from None
    if expected != size:
        raise ModelError(
            f"{path} is damaged: it has {size} bytes, its header says {expected}; copy it again"
        )


def _fingerprint(paths: list[Path]) -> str:
    """Return a short hash of the files' sizes and contents; large files are sampled evenly."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        step = max(_CHUNK, (size - _CHUNK) // (_CHUNKS - 1))
        with path.open("rb") as file:
            for start in range(0, size, step):
                file.seek(start)
                digest.update(file.read(_CHUNK))
    return digest.hexdigest()[:12]
