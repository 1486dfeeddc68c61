"""The process that runs an engine for others, which reach it through a local socket.

Messages are JSON, one a message of ``multiprocessing.connection``, so that nothing is
unpickled that came through the socket. A client says what engine it expects, and then sends texts
and hears answers in turn; between them it may say which of the texts nobody wants any more.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener
from typing import Any

from ..core.outcome import Mode, Reason
from ..core.reformulation import Verdict
from ..errors import EngineError
from ..policy.acceptance import Acceptance
from .base import Engine, Loadable, Refusal
from .judging import Judged, judged
from .process import lower_priority

__all__ = ["IDLE_TIMEOUT", "as_json", "from_json", "identity", "locked", "main", "receive", "send"]

IDLE_TIMEOUT = 10.0
"""Seconds without a client until the process ends."""

_REASONS = {reason.value: reason for reason in Reason}
_BATCH = 8  # texts of all clients in one engine call
_LOOK_EVERY = 0.5  # seconds between looks at whether there is one


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send a message. Errors: ``OSError`` where the other side is gone."""
    connection.send_bytes(json.dumps(message).encode("ascii"))


def receive(connection: Connection) -> dict[str, Any]:
    """Return the next message. Errors: ``EOFError``, ``OSError``."""
    return dict(json.loads(connection.recv_bytes()))


@contextmanager
def locked(address: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a socket's address, which one process has at a time.

    The death of a process frees it. Gives whether it is held: where somebody else has it, and
    ``wait`` is false, it is not.
    """
    import fcntl  # not on every system

    descriptor = os.open(f"{address}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def identity(engine: Engine) -> str:
    """Return what a client and a host must have in common."""
    return f"{engine.name}:{engine.revision}"


Told = str | list[str] | dict[str, str | None] | None
"""An answer in JSON: a refusal is a list with its reason, a verdict an object."""


def as_json(answer: Judged) -> Told:
    """Return an answer or verdict in the words of JSON."""
    if isinstance(answer, Verdict):
        return {"rewrite": answer.rewrite, "reason": answer.reason}
    return [str(answer.reason)] if isinstance(answer, Refusal) else answer


def from_json(answer: Told) -> Judged:
    """Return what ``as_json`` was given."""
    if isinstance(answer, dict):
        reason = answer["reason"]
        return Verdict(answer["rewrite"], None if reason is None else _REASONS[reason])
    return Refusal(_REASONS[answer[0]]) if isinstance(answer, list) else answer


@dataclass(eq=False, slots=True)
class _Job:
    """The texts of one call of one client; ``unwanted`` are indexes that nobody wants any more."""

    client: Connection
    texts: Sequence[str]
    modes: Sequence[Mode] | None
    unwanted: set[int] = field(default_factory=set)


class _Host:
    """Runs the engine on the calling thread; each client has a thread that listens to it."""

    def __init__(
        self,
        engine: Engine,
        listener: Listener,
        idle_timeout: float,
        acceptance: Acceptance | None,
    ) -> None:
        self._acceptance = acceptance
        self._engine = engine
        self._listener = listener
        self._idle_timeout = idle_timeout
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._clients: set[Connection] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether a client is there."""
        return bool(self._clients)

    def run(self) -> None:
        """Answer until there was no client for a while."""
        seen = time.monotonic()
        while time.monotonic() - seen < self._idle_timeout:
            try:
                jobs = [self._jobs.get(timeout=_LOOK_EVERY)]
            except queue.Empty:
                if self._clients:
                    seen = time.monotonic()
                continue
            seen = time.monotonic()
            while sum(len(job.texts) for job in jobs) < _BATCH and not self._jobs.empty():
                jobs.append(self._jobs.get())
            self._answer(jobs)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()
            except OSError:
                continue  # one that left before it was taken
            threading.Thread(target=self._listen, args=(client,), daemon=True).start()

    def _listen(self, client: Connection) -> None:
        job: _Job | None = None
        try:
            hello = receive(client)
            if hello.get("hello") != identity(self._engine):
                send(client, {"error": f"it runs {identity(self._engine)}"})
                return
            self._clients.add(client)
            mine = None if self._acceptance is None else self._acceptance.revision
            judges = mine is not None and hello.get("policy") == mine
            send(client, {"ready": os.getpid(), "judges": judges})
            while True:
                message = receive(client)
                if "texts" in message:
                    modes = message.get("modes")
                    job = _Job(
                        client, message["texts"], None if modes is None else list(map(Mode, modes))
                    )
                    self._jobs.put(job)
                elif job is not None:
                    job.unwanted.update(message["unwanted"])
        except (OSError, EOFError, ValueError):
            if job is not None:
                job.unwanted.update(range(len(job.texts)))
        finally:
            self._clients.discard(client)
            client.close()

    def _answer(self, jobs: list[_Job]) -> None:
        places = [(job, index) for job in jobs for index in range(len(job.texts))]

        def cancelled(place: int) -> bool:
            job, index = places[place]
            return index in job.unwanted

        try:
            answers = self._engine.generate([job.texts[index] for job, index in places], cancelled)
            if len(answers) != len(places):
                raise EngineError(f"not one answer each for {len(places)} texts")
        except Exception as error:
            for job in jobs if len(jobs) == 1 else ():
                _tell(job, {"error": f"{type(error).__name__}: {error}"})
            for job in jobs if len(jobs) > 1 else ():  # one of them may have spoilt it for all
                self._answer([job])
            return
        for job in jobs:
            mine, answers = answers[: len(job.texts)], answers[len(job.texts) :]
            said: Sequence[Judged] = mine
            if job.modes is not None and self._acceptance is not None:
                said = judged(job.texts, job.modes, mine, self._acceptance)
            _tell(job, {"answers": [as_json(answer) for answer in said]})


def _tell(job: _Job, message: dict[str, Any]) -> None:
    try:
        send(job.client, message)
    except (OSError, ValueError):
        return  # it has left


def main() -> None:
    """Load the engine that standard input says how to make, and serve it; what the child runs.

    Standard input is the parent's own pipe: a pickle of address, maker, linger and acceptance.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address, make, idle_timeout, acceptance = pickle.load(sys.stdin.buffer)
    if os.fork():
        os._exit(0)  # so that nobody has to wait for the end of the process
    lower_priority()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no message
    try:
        engine: Engine = make()
        if isinstance(engine, Loadable):
            engine.load()
        mask = os.umask(0o177)  # for this user only
        listener = Listener(address, "AF_UNIX", backlog=64)
        os.umask(mask)
    except Exception as error:
        with suppress(OSError):  # who started it may be gone
            told.write(json.dumps({"error": str(error), "kind": type(error).__name__}))
        return
    finally:
        with suppress(OSError):
            told.write("\n")
            told.close()
    # Whoever waits for the end of the messages of who started it need not wait for this one.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    host = _Host(engine, listener, idle_timeout, acceptance)
    while True:
        host.run()
        try:
            with locked(address, wait=False) as alone:
                if not alone:  # somebody begins another one, and the socket's place is theirs
                    os._exit(0)
                if not host.busy:
                    os.unlink(address)
                    os._exit(0)
        except OSError:  # the folder is gone
            os._exit(0)
