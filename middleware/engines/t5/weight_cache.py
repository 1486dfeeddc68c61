"""Quantizes fused weights and caches them on disk.

Quantizing a large model takes seconds and reads all of it. The cache file is smaller and ready to
use. It is written under a temporary name and renamed, so that no reader sees part of it. It has a
hash of its tensors; a file with a wrong hash is ignored and written again.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ModelError
from ..files import irregular
from .architecture import SMALL, Architecture
from .linear import make_linear, quantize
from .network import Linear
from .weights import MATRICES, fused, opened

_FORMAT = "2"
_PART = ".part"
_PART_TIMEOUT = 3600.0  # seconds after which nobody writes a part any more
_log = logging.getLogger("querylift.engines")
_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def default_folder() -> Path:
    """Return the user's cache folder for weights; it may not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the specification says to ignore it then
        home = os.path.expanduser("~")
        # A user without a home has no cache: nothing can be written below this.
        base = os.path.join(home if os.path.isabs(home) else os.devnull, ".cache")
    return Path(base) / "querylift"


def cache_name(folder: Path, revision: str, weights: str, answers: int) -> str:
    """Return the name of the cache file, which differs by model files, weights and format.

    ``answers`` is the most tokens of an answer in the record of the golden set.
    """
    key = f"{_FORMAT} {revision} {weights} {answers} {folder.resolve()}"
    digest = hashlib.sha256(key.encode())
    for path in sorted(folder.glob("*")):
        if path.suffix in (".safetensors", ".bin"):
            digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return f"t5-{weights}-{digest.hexdigest()[:24]}.safetensors"


def quantized(folder: Path, shape: Architecture, weights: str) -> dict[str, Tensor]:
    """Return the fused tensors of a checkpoint with matrices in ``int8``, ``bf16`` or ``fp32``.

    With ``int8``, a matrix ``name`` has its scales as ``name.scales``. The matrices of a small
    model are float16 then: on 2,000 queries the bundled model gave the answers of float32 to
    94.9 % in int8 and to all in float16, in little more time, as its weights stay in the
    processor's caches. In large models the errors average out, and reading weights takes most of
    the time. Other tensors are float32; the embedding is bfloat16 if that is exact.
    """
    tensors: dict[str, Tensor] = {}
    kind = "fp16" if weights == "int8" and shape.parameters < SMALL else weights
    with opened(folder) as tensor_of:
        for name, tensor in fused(shape, tensor_of):
            if not bool(tensor.isfinite().all()):
                raise ModelError(f"the weights in {folder} have NaN or infinity in {name}")
            if _is_matrix(name):
                if kind == "int8":
                    tensors[name], tensors[f"{name}.scales"] = quantize(tensor)
                else:
                    found = tensor.to(_TYPES[kind])
                    # A matrix beyond the range of float16 stays float32.
                    found = found if bool(found.isfinite().all()) else tensor
                    tensors[name] = found.contiguous().clone()
            else:
                half = tensor.bfloat16()
                exact = name == "embedding" and torch.equal(half.float(), tensor)
                tensors[name] = half if exact else tensor.contiguous().clone()
    return tensors


def _is_matrix(name: str) -> bool:
    return name.rpartition(".")[2] in MATRICES


def linear_layers(tensors: Mapping[str, Tensor]) -> dict[str, Linear]:
    """Return a linear layer for each matrix, by name."""
    return {
        name: make_linear(tensor, tensors.get(f"{name}.scales"))
        for name, tensor in tensors.items()
        if _is_matrix(name)
    }


def read(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a cache file, ``None`` if it is missing or damaged."""
    from safetensors import safe_open

    try:
        if kind := irregular(path):
            raise OSError(errno.EINVAL, f"it is {kind}, and not a file")
        with safe_open(str(path), framework="pt") as file:
            digest = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            # Copied, as a view would keep the whole file in memory. Layers copy matrices.
            others = {name: tensors[name].clone() for name in tensors if not _is_matrix(name)}
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong with it, the model itself is there
        _log.warning("cached weights in %s cannot be read (%s); they are made again", path, error)
        return None
    if digest != _digest(tensors):
        _log.warning("cached weights in %s are damaged; they are made again", path)
        return None
    return tensors | others


def write(path: Path, tensors: Mapping[str, Tensor]) -> bool:
    """Write a cache file; return whether that was possible.

    Without one, the weights are quantized at each start. A part that does not fit on the disk is
    removed, as is one that was left by a process that died over it.
    """
    from safetensors.torch import save_file

    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and (kind := irregular(path)):
            raise OSError(errno.EINVAL, f"{path} is {kind}, and not a file")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_PART)
        os.close(handle)
        _remove_parts_before(Path(temporary))
        save_file(dict(tensors), temporary, metadata={"sha256": _digest(tensors)})
        os.replace(temporary, path)
    except Exception as error:  # the library has errors of its own for a full disk
        _log.warning("the prepared weights cannot be cached in %s: %s", path.parent, error)
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        return False
    return True


def _remove_parts_before(part: Path) -> None:
    """Remove parts that are far older than this one, by the clock of their file system."""
    now = part.stat().st_mtime
    for left in part.parent.glob(f".*{_PART}"):
        with suppress(OSError):
            if now - left.stat().st_mtime > _PART_TIMEOUT:
                left.unlink()


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
