"""Open-loop load: requests are sent when their time has come, whatever became of earlier ones."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote_plus

__all__ = ["Client", "Sent", "arrivals", "texts"]

_FRAMES = (
    "could you please show me {}",
    "i am looking for {}",
    "{}",
    "what is the best {}",
    "where can i find {}",
)
_WORDS = """
    garden kitchen bicycle window table chair mirror blanket pillow basket wooden folding modern
    wireless headphones waterproof hiking boots leather sofa bottle lamp charger battery camera
    keyboard monitor speaker jacket trousers shirt shoes gloves scarf umbrella suitcase backpack
    tent stove knife spoon plate glass bowl kettle toaster oven fridge heater fan carpet curtain
    shelf drawer cupboard desk bench fence ladder hammer drill screwdriver paint brush bucket
    hose mower shovel seed flower tree soil compost printer scanner tablet phone watch bracelet
    necklace ring perfume soap towel sponge razor comb brush novel atlas calendar notebook pencil
""".split()


def texts(seed: int, count: int | None = None) -> Iterator[str]:
    """Yield distinct requests such as people type, always the same ones for a seed."""
    draw, seen = random.Random(seed), set[str]()
    while count is None or len(seen) < count:
        text = draw.choice(_FRAMES).format(" ".join(draw.sample(_WORDS, 3)))
        if text not in seen:
            seen.add(text)
            yield text


def arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield the times of a Poisson stream, in seconds from its start."""
    draw, at = random.Random(seed), 0.0
    while (at := at + draw.expovariate(rate)) < seconds:
        yield at


@dataclass(slots=True)
class Sent:
    """One request: when it was due and sent, when answered, and what the header said.

    ``left`` is that the client closed before the answer; ``error`` is what went wrong.
    """

    due: float
    sent: float = 0.0
    done: float = 0.0
    status: int = 0
    word: str = ""
    left: bool = False
    error: str = ""

    @property
    def seconds(self) -> float:
        """From sending to the answer's last byte."""
        return self.done - self.sent


class _Connection(asyncio.Protocol):
    """A kept-alive connection with one request at a time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes, bytes]] | None = None
        self.transport: asyncio.Transport | None = None
        self._held = bytearray()
        self._wanted = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes, bytes]]:
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._wanted:
            head, end, _ = bytes(self._held).partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._head, self._wanted = head, len(head) + 4 + int(length or b"0")
        if len(self._held) >= self._wanted and self.answer is not None:
            body = bytes(self._held[len(self._head) + 4 : self._wanted])
            self._held.clear()
            self._wanted = 0
            if not self.answer.done():
                self.answer.set_result((int(self._head[9:12]), self._head, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError("closed without an answer"))


@dataclass
class Client:
    """Asks one server over as many connections as are needed at a time."""

    port: int
    _idle: list[_Connection] = field(default_factory=list)

    async def get(self, target: str, *lines: str) -> tuple[int, bytes, bytes]:
        """Return status, head and body."""
        while True:
            kept = bool(self._idle)
            connection = self._idle.pop() if kept else await self._opened()
            assert connection.transport is not None
            if connection.transport.is_closing():
                continue
            head = "".join(f"{line}\r\n" for line in ("Host: localhost", *lines))
            try:
                answer = await connection.ask(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
            except ConnectionError:
                if kept:  # closed while it lay idle
                    continue
                raise
            except asyncio.CancelledError:
                connection.transport.abort()
                raise
            self._idle.append(connection)
            return answer

    async def _opened(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self.port))[1]

    async def stream(
        self,
        times: Iterable[float],
        asked: Iterator[str],
        *,
        path: str = "/search",
        leavers: random.Random | None = None,
        patience: float = 0.2,
    ) -> list[Sent]:
        """Send a request at each time, and return them all once they are answered.

        With ``leavers``, half of the clients leave at a random moment within ``patience``.
        """
        began, sent, tasks = time.perf_counter(), list[Sent](), set[asyncio.Task[None]]()
        for at in times:
            wait = began + at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            stays = leavers is None or leavers.random() < 0.5
            limit = None if stays or leavers is None else leavers.uniform(0, patience)
            record = Sent(began + at)
            sent.append(record)
            target = f"{path}?q={quote_plus(next(asked))}"
            task = asyncio.create_task(self._one(record, target, limit))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=30)
        return sent

    async def _one(self, record: Sent, target: str, limit: float | None) -> None:
        record.sent = time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                status, head, _ = await self.get(target)
        except TimeoutError:
            record.left = True
        except (OSError, ValueError) as error:
            record.error = type(error).__name__
        else:
            record.status, record.word = status, _word(head)
            if status != 200:
                record.error = str(status)
        record.done = time.perf_counter()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            with suppress(AttributeError):
                connection.transport.close()  # type: ignore[union-attr]
        self._idle.clear()


def _word(head: bytes) -> str:
    """Return where an answer came from (``engine``, ``memo``), or the reason why from nowhere."""
    line = head.lower().partition(b"query-reformulation: ")[2].partition(b"\r\n")[0].decode()
    _, *parameters = line.split(";")
    said = dict(parameter.partition("=")[::2] for parameter in parameters)
    return said.get("src") or said.get("reason") or ""
