"""Finds a model's files and checks them.

The checks read only the configuration, the tokenizer and the header of the weights. A wrong
folder is reported within milliseconds at start-up, not at the first request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .connectivity import can_connect
from .spelling_hints import WORDS_FILE

BUNDLED = "bundled"
"""The name of the model inside the package."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_TOKENIZERS = ("spiece.model", "tokenizer.json")
_MODEL_TYPES = ("t5", "mt5")
_HUB_CONNECT = 1.0  # seconds for the hub to accept a connection
_HUB_TIMEOUT = 3.0  # seconds for the hub to answer whether it has the model
_FETCHED = ["*.json", "*.model", WORDS_FILE, "*.safetensors", "pytorch_model*.bin"]
_LFS_POINTER = b"version https://git-lfs"
_CHUNK = 2**20
_CHUNKS = 64  # that a fingerprint reads of a file; smaller files are read whole


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that was found: a local folder, or a hub id whose files are downloaded on load.

    ``revision`` changes when the weights, the tokenizer or the configuration do. Exactly one
    of ``folder`` and ``hub_id`` is set, and ``commit`` with the latter.
    """

    config: dict[str, Any]
    revision: str
    folder: Path | None = None
    hub_id: str | None = None
    commit: str | None = None

    def fetch(self) -> Path:
        """Return the folder with all files, after downloading those of a hub id; blocks.

        Errors: ``ModelError`` if the hub cannot be reached or lacks a file.
        """
        if self.folder is not None:
            return self.folder
        try:  # files that were downloaded before need no network
            return self._snapshot(local=True)
        except Exception:
            pass
        try:
            return self._snapshot(local=False)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"model {self.hub_id}: download failed: {_line(error)}") from error

    def _snapshot(self, *, local: bool) -> Path:
        from huggingface_hub import snapshot_download

        found = Path(
            snapshot_download(
                self.hub_id or "",
                revision=self.commit,
                allow_patterns=_FETCHED,
                local_files_only=local,
            )
        )
        _check_files(found)
        return found


def bundled_model() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(__file__).parent.parent / "models"


def locate(model: str | os.PathLike[str] | None = None) -> Checkpoint:
    """Return the checkpoint that ``model`` names: ``bundled``, a folder or a hub's ``owner/name``.

    Only a hub id uses the network, and only for its ``config.json``.
    Errors: ``ModelError`` that says what is wrong, where, and how to mend it.
    """
    if model is None or model == BUNDLED:
        return _local(bundled_model())
    try:
        path = Path(model).expanduser()
        kind = "folder" if path.is_dir() else "file" if path.is_file() else ""
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such user
        raise ModelError(f"model {str(model)!r} is not a valid path: {error}") from None
    if kind == "folder" and str(model):
        return _local(path)
    if kind == "file":
        raise ModelError(f"model {path} is a file; name the folder that holds it")
    if not isinstance(model, str) or not _HUB_ID.fullmatch(model) or model.startswith(("./", "~")):
        raise ModelError(
            f"model {str(model)!r} is neither a folder nor a hub id; name a folder with "
            f"config.json and model.safetensors, an 'owner/name' of the Hugging Face hub, or "
            f"{BUNDLED!r}"
        )
    return _hub(model)


def _local(folder: Path) -> Checkpoint:
    config = _config(folder / "config.json")
    return Checkpoint(config, _check_files(folder), folder=folder)


def _hub(hub_id: str) -> Checkpoint:
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    fault: Exception | None = None
    try:
        # Checked first, as the library retries a download for half a minute.
        url = hf_hub_url(hub_id, "config.json")
        if not can_connect(url, timeout=_HUB_CONNECT):
            raise ModelError(f"no connection within {_HUB_CONNECT:g} s")
        get_hf_file_metadata(url, timeout=_HUB_TIMEOUT)
    except Exception as error:
        fault = error
    try:
        if fault is None:
            path = Path(hf_hub_download(hub_id, "config.json"))
        else:  # look for the file itself, as the library would use the network even now
            cached = try_to_load_from_cache(hub_id, "config.json", constants.HF_HUB_CACHE)
            if not isinstance(cached, str):
                raise fault
            path = Path(cached)
    except Exception as error:
        raise ModelError(
            f"model {hub_id!r} is not a folder, and could not be loaded from the Hugging Face hub "
            f"({_line(fault or error)}); check the name and the network, or name a folder"
        ) from (fault or error)
    # The hub's cache keeps each commit in a folder of that commit's name.
    commit = path.parent.name
    return Checkpoint(_config(path), f"{hub_id}@{commit[:12]}", hub_id=hub_id, commit=commit)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"model folder {path.parent} has no config.json; name the folder that "
            "save_pretrained wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in _MODEL_TYPES:
        raise ModelError(
            f"{path} is for a model of type {kind!r}; supported: {', '.join(_MODEL_TYPES)}"
        )
    return dict(config)


def _check_files(folder: Path) -> str:
    """Check that weights and tokenizer exist and are complete; return the files' revision."""
    tokenizers = [folder / name for name in _TOKENIZERS if (folder / name).is_file()]
    if not tokenizers:
        raise ModelError(
            f"model folder {folder} has no tokenizer; it needs one of {', '.join(_TOKENIZERS)}"
        )
    weights = weight_files(folder)
    for path in (*tokenizers, *weights):
        _check_whole(path)
    words = [path for path in (folder / WORDS_FILE,) if path.is_file()]
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
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        paths = [index.parent / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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
            header = json.loads(file.read(length)) if length < size else {}
        end = max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
        expected = 8 + length + int(end)
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
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
