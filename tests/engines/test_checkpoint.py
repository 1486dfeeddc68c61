"""Where a model is: every way in which a folder or a name can be wrong is told at start-up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from middleware import ModelError
from middleware.engines.checkpoint import BUNDLED, bundled_model, locate

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 9156800\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled model."""
    return Path(shutil.copytree(bundled_model(), tmp_path / "model"))


def index(folder: Path, shards: object) -> None:
    """Replace the weights by an index of shards."""
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(shards))


def test_the_bundled_model_and_a_copy_of_it() -> None:
    """No name, the name ``bundled`` and the folder mean the same model."""
    found = locate()
    assert found == locate(BUNDLED) == locate(bundled_model()) == locate(str(bundled_model()))
    assert found.fetch() == bundled_model()
    assert found.config["model_type"] == "t5"
    assert found.hub_id is None


def edit_config(**changes: object) -> Callable[[Path], object]:
    """Return a change of a folder's configuration."""

    def change(folder: Path) -> object:
        path = folder / "config.json"
        return path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def cut(folder: Path) -> object:
    """Cut the weights' end off, as a broken download does."""
    path = folder / "model.safetensors"
    return path.write_bytes(path.read_bytes()[:-1_000])


def drop_tokenizers(folder: Path) -> None:
    """Take both files of the tokenizer away."""
    for name in ("spiece.model", "tokenizer.json"):
        (folder / name).unlink()


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "neither a folder nor a hub id"),
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text('{"model_'), "cannot be read"),
    "binary config": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "list as config": (lambda f: (f / "config.json").write_text("[]"), "type None"),
    "other model": (edit_config(model_type="bart"), "type 'bart'; supported: t5"),
    "no type": (edit_config(model_type=None), "type None"),
    "no tokenizer": (drop_tokenizers, "has no tokenizer; it needs one of spiece.model"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no weights"),
    "truncated weights": (cut, "is damaged: .* copy it again"),
    "longer weights": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes() + b"more"), "is damaged"),
    "pointer for weights": (
        lambda f: (f / "model.safetensors").write_text(POINTER), "Git LFS pointer"),
    "pointer for tokenizer": (
        lambda f: (f / "tokenizer.json").write_text(POINTER), "tokenizer.json is a Git LFS"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "is empty"),
    "page for weights": (
        lambda f: (f / "model.safetensors").write_text("<html>Not Found</html>" * 99),
        "not a safetensors file"),
    "no header": (
        lambda f: (f / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}" + b"x" * 99),
        "not a safetensors file"),
    "header of no tensors": (
        lambda f: (f / "model.safetensors").write_bytes(b"\7\0\0\0\0\0\0\0" + b'{"a":1}x'),
        "not a safetensors file"),
    "index of missing shards": (
        lambda f: index(f, {"weight_map": {"a": "two.safetensors"}}),
        "do not exist: two.safetensors"),
    "index of nothing": (lambda f: index(f, {"weight_map": {}}), "do not exist"),
    "no index": (lambda f: index(f, []), "not an index of weights"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_folders(folder: Path, kind: str) -> None:
    """Each fault of a folder gets a message that says what is wrong and where."""
    change, message = WRONG[kind]
    change(folder)
    with pytest.raises(ModelError, match=message) as caught:
        locate(folder)
    assert folder.name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "neither"), ("no model", "neither"), ("./own/name", "neither"), ("~/own/name", "neither"),
     ("a/b/c", "neither"), ("https://huggingface.co/a/b", "neither"), ("\0", "neither"),
     ("x" * 5_000, "is not a valid path"), ("~no-such-user-here/x", "is not a valid path")],
)  # fmt: skip
def test_wrong_names(name: str, message: str) -> None:
    """What is neither a folder nor a hub id is told so, without asking the network."""
    with pytest.raises(ModelError, match=message):
        locate(name)


def test_a_file_is_no_folder(folder: Path) -> None:
    """The folder is to be named, not a file in it."""
    with pytest.raises(ModelError, match="is a file; name the folder"):
        locate(folder / "model.safetensors")


def test_sharded_weights_and_other_formats(folder: Path) -> None:
    """An index whose shards are whole is fine; so is a file of torch's own format."""
    index(folder, {"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}})
    first = locate(folder).revision
    path = folder / "one.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert locate(folder).revision != first
    path.rename(folder / "pytorch_model.bin")
    (folder / "model.safetensors.index.json").unlink()
    assert locate(folder).folder == folder


def test_the_revision_follows_the_files(folder: Path) -> None:
    """One bit in the midst of the weights is another revision; the date of a file is not."""
    first = locate(folder).revision
    assert first == locate().revision
    (folder / "model.safetensors").touch()
    assert locate(folder).revision == first
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    second = locate(folder).revision
    edit_config(decoder_start_token_id=1)(folder)
    assert len({first, second, locate(folder).revision}) == 3


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network that refuses, and an empty cache of the hub's files."""
    constants = pytest.importorskip("huggingface_hub.constants")
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache"


@pytest.mark.usefixtures("refused")
@pytest.mark.net
def test_a_hub_that_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    """The error names model and cause at the first refusal: nothing is tried again."""
    with pytest.raises(ModelError, match=r"'own/name'.*hub.*check the name and the network"):
        locate("own/name")
    assert "Retrying" not in caplog.text


@pytest.mark.net
def test_what_the_hub_gave_before_needs_no_network(refused: Path, folder: Path) -> None:
    """A cached model is found with its commit as revision, and fetched from the cache."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = refused / "models--own--name"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    shutil.copytree(folder, root / "snapshots" / commit)
    found = locate("own/name")
    assert (found.revision, found.hub_id) == ("own/name@0123456789ab", "own/name")
    assert found.fetch() == root / "snapshots" / commit
    assert locate("own/name") == found
