"""What an engine process runs and whom it trusts: no folder and no process of somebody else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from middleware import ConfigurationError, EngineError
from middleware.engines.process import ProcessEngine
from middleware.engines.process.peer import Peer

from .command_engine import CommandEngine, never
from .test_process import end_all, loaded, wait_for_end

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a system without local sockets")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users"
)
with_peers = pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="a system that does not tell who listens"
)

ROOT = Path(__file__).parents[2]
NOBODY = 65_534
NAMES = (
    "multiprocessing", "pickle", "socket", "selectors", "json", "subprocess", "struct", "signal",
    "logging", "threading", "runpy", "sitecustomize", "usercustomize", "torch", "rapidfuzz",
)  # fmt: skip
SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
from middleware.engines.process import ProcessEngine
from tests.engines.command_engine import CommandEngine, never
if __name__ == "__main__":
    engine = ProcessEngine(CommandEngine, {place!r}, idle_timeout=0.1)
    engine.load()
    print(engine.generate(["a"], never))
    engine.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    # An engine process may be removing its socket at the end.
    with TemporaryDirectory(prefix="ql-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of modules named like Python's own, each of which tells that it was run."""
    inside = tmp_path / "hostile"
    inside.mkdir()
    for name in NAMES:
        (inside / f"{name}.py").write_text(
            f"open({str(tmp_path / 'run')!r}, 'a').write({name + ' '!r})\nraise SystemExit(7)\n"
        )
    return inside


@pytest.mark.parametrize("flags", [[], ["-P"], ["-I"], ["-E"], ["-s"], ["-Es", "-O"]])
@pytest.mark.parametrize("shared", [False, True])
def test_no_module_of_the_current_folder_is_run(
    hostile: Path, folder: Path, flags: list[str], shared: bool
) -> None:
    place = str(folder / "engine") if shared else None
    script = folder / "main.py"
    script.write_text(SCRIPT.format(root=str(ROOT), place=place))
    ran = subprocess.run(
        [sys.executable, *flags, str(script)],
        cwd=hostile,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.returncode) == ("['lifted a']\n", 0), ran.stderr
    assert not (hostile.parent / "run").exists()


@pytest.mark.parametrize(
    ("flags", "variables"), [([], {}), (["-P"], {}), ([], {"PYTHONSAFEPATH": "1"}), (["-s"], {})]
)
@pytest.mark.parametrize("command", [["rewrite", "--engine", "t5", "red lamp"], ["--version"]])
def test_the_command_runs_no_module_of_the_current_folder(
    hostile: Path, flags: list[str], variables: dict[str, str], command: list[str]
) -> None:
    """Started as ``python -m``, which would look there first."""
    (hostile / "runpy.py").unlink()  # Python itself imports that before any code of ours
    ran = subprocess.run(
        [sys.executable, *flags, "-m", "middleware", *command],
        cwd=hostile,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert not (hostile.parent / "run").exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o707, 0o722, 0o770, 0o703, 0o2770])
def test_a_folder_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(ConfigurationError, match="others may write to its folder; run 'chmod"):
        ProcessEngine(CommandEngine, folder / "engine")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o711, 0o750])
def test_a_folder_that_only_we_may_write_is_taken(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    ProcessEngine(CommandEngine, folder / "engine")


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_of_another_user_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        ProcessEngine(CommandEngine, folder / "engine")


def test_a_folder_that_is_opened_later_is_refused_then(folder: Path) -> None:
    engine = ProcessEngine(CommandEngine, folder / "engine")
    folder.chmod(0o777)
    with pytest.raises(EngineError, match="others may write to its folder"):
        engine.load()
    assert os.listdir(folder) == []
    folder.chmod(0o700)
    try:
        loaded(engine)
    finally:
        end_all([engine])


def test_a_link_in_place_of_the_lock_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "engine.lock").symlink_to(tmp_path / "made")
    with pytest.raises(EngineError):
        ProcessEngine(CommandEngine, folder / "engine").load()
    assert not (tmp_path / "made").exists()


# What listens at the socket, as which user, what it says at first, and whether it then waits.
_HOST = """
import contextlib, os, socket, struct, sys, time
place, user, greeting = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(place)
    os.chmod(place, 0o666)
    if user:
        os.setuid(user)
    listener.listen()
    print("listens", flush=True)
    client, _ = listener.accept()
    with contextlib.suppress(ConnectionError):  # the client may leave without reading
        if greeting:
            client.sendall(struct.pack("!i", len(greeting)) + greeting)
        while received := client.recv(1000):
            print(received, flush=True)
    print("end", flush=True)
    time.sleep(60)
"""


@contextmanager
def listening(
    folder: Path, user: int = 0, greeting: Mapping[str, object] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run something that listens at the socket of a folder."""
    said = "" if greeting is None else json.dumps(greeting)
    command = [sys.executable, "-c", _HOST, str(folder / "engine"), str(user), said]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listens\n"
            yield process
        finally:
            process.kill()


READY = {"engine": "command:7", "policy": None}


@as_root
@with_peers
@pytest.mark.parametrize("greets", [False, True])
@pytest.mark.parametrize("user", [NOBODY, 1, 12_345])
def test_a_process_of_another_user_is_told_nothing(folder: Path, user: int, greets: bool) -> None:
    greeting = {"ready": 1, **READY} if greets else None
    with listening(folder, user, greeting) as process:
        engine = ProcessEngine(CommandEngine, folder / "engine", hang_timeout=0.1)
        with pytest.raises(EngineError, match=f"another user .number {user}., and is not trusted"):
            engine.load()
        assert process.stdout is not None
        assert process.stdout.readline() == "end\n", "not a byte was sent to it"
        assert process.poll() is None


@with_peers
@pytest.mark.parametrize("told", ["victim", 0, -1, 1, 2**40, "text", None])
def test_a_process_is_killed_by_what_the_system_says_and_not_by_what_it_says(
    folder: Path, told: object
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as victim:
        try:
            pid = victim.pid if told == "victim" else told
            with listening(folder, greeting={"ready": pid, **READY}) as process:
                engine = ProcessEngine(CommandEngine, folder / "engine", hang_timeout=0.1)
                assert loaded(engine) == process.pid
                with pytest.raises(EngineError, match="its process was killed"):
                    engine.generate(["a"], lambda index: True)
                assert process.wait(10) == -signal.SIGKILL
                assert victim.poll() is None
        finally:
            victim.kill()


@with_peers
def test_a_process_that_has_ended_is_not_mistaken_for_another(folder: Path) -> None:
    with listening(folder) as process, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "engine"))
        peer = Peer(client)
        assert peer.pid == process.pid
        process.kill()
        process.wait()
        peer.pid = os.getpid()  # as if its number had come to this process
        assert peer.kill()
        peer.close()
        assert not peer.kill()


@pytest.mark.parametrize("fault", [OSError, None])
def test_where_a_process_cannot_be_pinned_its_socket_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: type[OSError] | None
) -> None:
    """On systems without such handles: it is left alone, and the next client starts another."""

    def refuse(*_: object) -> int:
        assert fault is not None
        raise fault("not on this system")

    if fault is None:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    else:
        monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    engine = ProcessEngine(CommandEngine, folder / "engine", hang_timeout=0.1, idle_timeout=0.1)
    first = loaded(engine)
    try:
        with pytest.raises(EngineError, match="did not stop"):
            engine.generate(["hang"], lambda index: True)
        os.kill(first, 0)
        assert engine.generate(["a"], never) == ["lifted a"]
        assert engine.pid != first
    finally:
        os.kill(first, signal.SIGKILL)
        wait_for_end(first)
        end_all([engine])


def as_user(user: int, work: Callable[[], bool]) -> bool:
    """Return what ``work`` returns in a forked process of another user."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        status = 2
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            status = int(not work())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@as_root
@with_peers
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("user", "served"), [(0, True), (NOBODY, False), (12_345, False)])
def test_a_client_of_another_user_is_not_served(folder: Path, user: int, served: bool) -> None:
    """Even if somebody has opened the socket to all."""
    engine = ProcessEngine(CommandEngine, folder / "engine")
    loaded(engine)
    folder.chmod(0o711)
    (folder / "engine").chmod(0o666)

    def greeted() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(folder / "engine"))
            return client.recv(100) != b""

    try:
        assert as_user(user, greeted) is served
        assert engine.generate(["a"], never) == ["lifted a"]
    finally:
        end_all([engine])


def test_an_old_process_does_not_remove_the_socket_of_the_next(folder: Path) -> None:
    """One that was given up may go on one day, and find that it has no clients."""
    first = ProcessEngine(CommandEngine, folder / "engine", idle_timeout=0.2)
    pid = loaded(first)
    (folder / "engine").unlink()
    second = ProcessEngine(CommandEngine, folder / "engine")
    try:
        assert loaded(second) != pid
        first.close()
        wait_for_end(pid)
        assert (folder / "engine").exists()
        third = ProcessEngine(CommandEngine, folder / "engine")
        assert loaded(third) == second.pid
        third.close()
    finally:
        end_all([first, second])


def test_a_start_that_takes_long_is_waited_for(folder: Path) -> None:
    """The lock is asked for again until it is free."""
    from middleware.engines.process.shared import locked

    engine = ProcessEngine(CommandEngine, folder / "engine")
    with locked(str(engine._address)):
        began = time.monotonic()
        with locked(str(engine._address), wait=False) as held:
            assert not held
        assert time.monotonic() - began < 5
    end_all([engine] if loaded(engine) else [])


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, Path.mkdir, lambda p: p.symlink_to("x")])
def test_what_is_no_socket_is_refused_and_kept(folder: Path, make: Callable[[Path], None]) -> None:
    """At the start, and if it is put there later: it may be somebody's file."""
    engine = ProcessEngine(CommandEngine, folder / "engine")
    make(folder / "engine")
    before = os.lstat(folder / "engine")
    with pytest.raises(ConfigurationError, match="something else lies there; name a path"):
        ProcessEngine(CommandEngine, folder / "engine")
    with pytest.raises(EngineError, match="something else lies there"):
        engine.load()
    assert os.lstat(folder / "engine").st_ino == before.st_ino
