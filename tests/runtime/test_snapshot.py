"""The memo's snapshot: what was known is known again, and nothing foreign is taken in."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import ConfigurationError, Memo, MemoKey, Mode, Reason, Verdict
from middleware.runtime.snapshot import load, save
from tests.conftest import at_most


def key(text: str = "red lamp", scope: str = "") -> MemoKey:
    return MemoKey(text, "t5:1", "1/1", Mode.REPLACE, scope)


def filled(file: Path, count: int = 3) -> Path:
    memo = Memo()
    for number in range(count):
        memo.put(key(f"red lamp {number}"), Verdict(f"lamp {number}"), 0.0)
    assert save(file, memo, now=1.0)
    return file


_KEYS = st.builds(
    MemoKey,
    st.text(),
    st.text(max_size=5),
    st.text(max_size=5),
    st.sampled_from(list(Mode)),
    st.text(max_size=5),
)
_VERDICTS = st.one_of(
    st.builds(Verdict, rewrite=st.none() | st.text()),
    st.builds(Verdict, reason=st.sampled_from(list(Reason))),
)


@settings(max_examples=at_most(40), deadline=None)
@given(entries=st.dictionaries(_KEYS, _VERDICTS, max_size=8))
def test_what_was_known_is_known_again(
    entries: dict[MemoKey, Verdict], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the texts hold: line breaks, NULs, other scripts."""
    memo, again = Memo(), Memo()
    for entry, verdict in entries.items():
        memo.put(entry, verdict, 0.0)
    file = tmp_path_factory.mktemp("memo") / "snapshot"
    assert save(file, memo, now=1.0)
    assert load(file, again, now=500.0) == len(entries)
    assert {entry: again.get(entry, 500.0) for entry in entries} == entries


def test_an_entry_lives_no_longer_for_being_saved(tmp_path: Path) -> None:
    memo = Memo(ttl=100.0, rejection_ttl=10.0)
    memo.put(key("kept"), Verdict("lamp"), 0.0)
    memo.put(key("refused"), Verdict(reason=Reason.REJECTED_LOOP), 0.0)
    assert save(tmp_path / "s", memo, now=4.0)
    again = Memo(ttl=1000.0, rejection_ttl=10.0)
    assert load(tmp_path / "s", again, now=50.0) == 2
    assert again.get(key("kept"), 50.0 + 95.9) == Verdict("lamp")
    assert again.get(key("kept"), 50.0 + 96.1) is None
    assert load(tmp_path / "s", again, now=200.0) == 2
    assert again.get(key("refused"), 206.1) is None


def test_it_is_for_its_owner_only_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    file = filled(tmp_path / "deep" / "s")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["s"]


def test_the_first_run_has_none_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(tmp_path / "none", Memo(), now=0.0) == 0
    assert not caplog.records


def _head(**changes: object) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        head, _, body = content.partition(b"\n")
        return json.dumps({**json.loads(head), **changes}).encode() + b"\n" + body

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"lamp", b"lump"),
        lambda content: b'{"format":\n' + content,
        lambda content: b'{"format":' + b"[" * 100_000 + content,
        lambda content: b'{"format":' + bytes(1000),
        _head(format="querylift-memo/0"),
        _head(format=7),
        _head(entries=2),
    ],
)
def test_what_is_damaged_old_or_foreign_is_passed_over_with_a_warning(
    change: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, memo = filled(tmp_path / "s"), Memo()
    file.write_bytes(change(file.read_bytes()))
    assert load(file, memo, now=0.0) == 0
    assert len(memo) == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "is ignored" in caplog.text


@pytest.mark.parametrize(
    "content",
    [b'mode = "replace"\n', b"\x80\x04}\x94.\n", b"null\n", b"x", b"[" * 100_000, b"{}\n", b"\n",
     bytes(5000), b' {"format": "querylift-memo/1"}\n'],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused_and_kept(content: bytes, tmp_path: Path) -> None:
    """Somebody's settings or words, by a slip of the hand: it would be overwritten at the end."""
    file = tmp_path / "s"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="holds something else, which would be lost"):
        load(file, Memo(), now=0.0)
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the folder has to be."""
    (tmp_path / "file").touch()
    assert load(tmp_path / "file" / "s", Memo(), now=0.0) == 0
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    "entry",
    [
        '["a","e","p","replace","","b",null]',
        '["a","e","p","replace","","b","no_such_word",1]',
        '["a","e","p","no such mode","","b",null,1]',
        '[1,"e","p","replace","","b",null,1]',
        '["a","e","p","replace","","b",null,"1"]',
        '["a","e","p","replace","","b",[],1]',
        "{}",
        "nonsense",
    ],
)
def test_entries_that_this_version_cannot_read_are_passed_over(
    entry: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the right checksum, as another version would write it."""
    import hashlib

    body = entry.encode() + b"\n"
    head = {"format": "querylift-memo/1", "entries": 1, "sha256": hashlib.sha256(body).hexdigest()}
    (tmp_path / "s").write_bytes(json.dumps(head).encode() + b"\n" + body)
    memo = Memo()
    assert load(tmp_path / "s", memo, now=0.0) == 0
    assert len(memo) == 0
    assert "is ignored" in caplog.text


def test_a_place_that_cannot_be_written_is_told_and_the_old_one_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled(tmp_path / "s")
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not save(file, Memo(), now=0.0)
    assert (file.read_bytes(), os.listdir(tmp_path)) == (before, ["s"])
    assert not save(file / "below", Memo(), now=0.0)
    assert caplog.text.count("cannot be written") == 2


def test_a_memo_takes_no_more_than_it_holds(tmp_path: Path) -> None:
    file = filled(tmp_path / "s", 50)
    small = Memo(max_entries=10)
    load(file, small, now=0.0)
    assert len(small) == 10
    assert small.get(key("red lamp 49"), 0.0) == Verdict("lamp 49")


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from middleware.core.memo import Memo
    from middleware.runtime import snapshot

    def killed(descriptor):
        os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = killed
    snapshot.save(Path(sys.argv[1]), Memo(), now=0.0)
"""


@pytest.mark.skipif(os.name != "posix", reason="a system without SIGKILL")
@pytest.mark.process
def test_one_that_is_killed_over_writing_leaves_the_old_one_and_soon_nothing_else(
    tmp_path: Path,
) -> None:
    file = filled(tmp_path / "s")
    before = file.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(file)],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == before
    assert len(os.listdir(tmp_path)) == 2
    mine = tmp_path / ".s.1"  # of a process that lives
    mine.write_bytes(b"")
    assert save(file, Memo(), now=0.0)
    assert sorted(os.listdir(tmp_path)) == [".s.1", "s"]
    assert load(file, Memo(), now=0.0) == 0
