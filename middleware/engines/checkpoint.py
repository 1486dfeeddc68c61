"""Where a model's files are, and whether they can be what they should be.

The checks here read only the configuration and the header of the weights, so that a
wrong folder is told in milliseconds at start-up and not when the first request comes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from middleware.errors import ModelError

__all__ = ["BUNDLED", "Checkpoint", "bundled_model", "locate"]

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
_HUB_TIMEOUT = 3.0  # seconds for the first small file


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that was found: a local folder, or a hub id whose files are fetched on load.

    ``revision`` changes when the weights do. Exactly one of ``folder`` and ``hub_id`` is set.
    """

    config: dict[str, Any]
    revision: str
    folder: Path | None = None
    hub_id: str | None = None

    def fetch(self) -> Path:
        """Return the folder with all files, downloading them first for a hub id; blocks.

        Errors: :class:`ModelError` when the hub cannot be reached or lacks a file.
        """
        if self.folder is not None:
            return self.folder
        from huggingface_hub import snapshot_download

        try:
            found = Path(
                snapshot_download(
                    self.hub_id or "",
                    allow_patterns=["*.json", "*.model", "*.safetensors", "pytorch_model*.bin"],
                )
            )
        except Exception as error:
            raise ModelError(f"model {self.hub_id}: download failed: {error}") from error
        _check_files(found)
        return found


def bundled_model() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(__file__).parent.parent / "models"


def locate(model: str | os.PathLike[str] | None = None) -> Checkpoint:
    """Return the checkpoint that ``model`` names: ``bundled``, a folder or a hub's ``owner/name``.

    Only a hub id reaches for the network, and then only for its ``config.json``.
    Errors: :class:`ModelError` saying what is wrong, where, and how to mend it.
    """
    if model is None or model == BUNDLED:
        return _local(bundled_model())
    path = Path(model).expanduser()
    if path.is_dir():
        return _local(path)
    if path.is_file():
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
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(hub_id, "config.json", etag_timeout=_HUB_TIMEOUT))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"model {hub_id!r} is no folder here, and could not be had from the Hugging Face hub "
            f"({reason}); check the name and the network, or name a folder"
        ) from error
    # The hub's cache keeps each commit in a folder of that commit's name.
    return Checkpoint(_config(path), f"{hub_id}@{path.parent.name[:12]}", hub_id=hub_id)


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
    """Check that weights and a tokenizer are there and whole; return the weights' revision."""
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelError(
            f"model folder {folder} has no tokenizer; it needs one of {', '.join(_TOKENIZERS)}"
        )
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"model folder {folder} has no weights; it needs {_WEIGHTS[0]}")
    if weights.suffix == ".safetensors":
        _check_safetensors(weights)
    return _fingerprint(weights)


def _check_safetensors(path: Path) -> None:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < size else None
        assert isinstance(header, dict)
        end = max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
    except (OSError, ValueError, AssertionError, KeyError, TypeError):
        raise ModelError(
            f"{path} is no safetensors file; copy it again (a Git LFS pointer is a text of three "
            "lines that stands for a file that was not fetched)"
        ) from None
    if 8 + length + end != size:
        raise ModelError(
            f"{path} is damaged: {size} bytes where its header speaks of {8 + length + end}; "
            "copy it again"
        )


def _fingerprint(path: Path) -> str:
    """Return a short hash of a file's size, its first and its last megabyte."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(2**20))
        file.seek(max(0, path.stat().st_size - 2**20))
        digest.update(file.read())
    return digest.hexdigest()[:12]
