"""Finds a model's files and checks them.

The checks read only the configuration, the tokenizer and the header of the weights. A wrong
folder is reported within milliseconds at start-up, not at the first request.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .checkpoint_files import check_files
from .config_fields import check_fields
from .connectivity import can_connect
from .files import read_text_bounded
from .spelling_hints import WORDS_FILE

BUNDLED = "bundled"
"""The name of the model inside the package."""

_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(\w[\w./-]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_CONFIG = 4 * 2**20  # bytes
_MODEL_TYPES = ("t5", "mt5")
_HUB_CONNECT = 1.0  # seconds for the hub to accept a connection
_HUB_TIMEOUT = 3.0  # seconds for the hub to answer whether it has the model
_FETCHED = ["*.json", "*.model", WORDS_FILE, "*.safetensors", "pytorch_model*.bin"]


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
        check_files(found)
        return found


def bundled_model() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(__file__).parent.parent / "models"


def locate(model: str | os.PathLike[str] | None = None) -> Checkpoint:
    """Return the checkpoint that ``model`` names: ``bundled``, a folder or a hub's ``owner/name``.

    ``owner/name@revision`` pins a hub's model to a branch, a tag or a commit of 40 digits. Only a
    hub id uses the network, and only for its ``config.json``.
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
    named = _HUB_ID.fullmatch(model) if isinstance(model, str) else None
    if named is None:
        raise ModelError(
            f"model {str(model)!r} is neither a folder nor a hub id; name a folder with "
            f"config.json and model.safetensors, an 'owner/name' of the Hugging Face hub, "
            f"also with '@revision', or {BUNDLED!r}"
        )
    return _hub(*named.groups())


def _local(folder: Path) -> Checkpoint:
    config = _config(folder / "config.json")
    return Checkpoint(config, check_files(folder), folder=folder)


def _hub(hub_id: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    def from_cache() -> str | None:
        found = try_to_load_from_cache(
            hub_id, "config.json", constants.HF_HUB_CACHE, revision=revision
        )
        return found if isinstance(found, str) else None

    name = f"{hub_id}@{revision}" if revision else hub_id
    fault: Exception | None = None
    # What a commit holds never changes, so that there is nothing to ask the hub for.
    known = from_cache() if revision and _COMMIT.fullmatch(revision) else None
    try:
        if known is None:
            # Checked first, as the library retries a download for half a minute.
            url = hf_hub_url(hub_id, "config.json", revision=revision)
            if not can_connect(url, timeout=_HUB_CONNECT):
                raise ModelError(f"no connection within {_HUB_CONNECT:g} s")
            get_hf_file_metadata(url, timeout=_HUB_TIMEOUT)
    except Exception as error:
        fault = error
    try:
        if known is None and fault is None:
            known = hf_hub_download(hub_id, "config.json", revision=revision)
        elif known is None:
            # Look for the file itself, as the library would use the network even now.
            known = from_cache()
        if known is None:
            raise fault or FileNotFoundError("config.json")
    except Exception as error:
        raise ModelError(
            f"model {name!r} is not a folder, and could not be loaded from the Hugging Face hub "
            f"({_line(fault or error)}); check the name and the network, or name a folder"
        ) from (fault or error)
    path = Path(known)
    # The hub's cache keeps each commit in a folder of that commit's name.
    commit = path.parent.name
    return Checkpoint(_config(path), f"{hub_id}@{commit[:12]}", hub_id=hub_id, commit=commit)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read_text_bounded(path, _MAX_CONFIG))
    except FileNotFoundError:
        raise ModelError(
            f"model folder {path.parent} has no config.json; name the folder that "
            "save_pretrained wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        told = (error.strerror if isinstance(error, OSError) else None) or error
        raise ModelError(f"{path} cannot be read: {told}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in _MODEL_TYPES:
        raise ModelError(
            f"{path} is for a model of type {kind!r}; supported: {', '.join(_MODEL_TYPES)}"
        )
    check_fields(path, config)
    return dict(config)
