"""What a case came to, and how two of that differ."""

from __future__ import annotations

import tomllib
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cases import Case
from .wire import LAST, Arrived

__all__ = ["DIFFERENCES", "Difference", "compare", "known", "lines_of", "parse_answers"]

DIFFERENCES = Path(__file__).with_name("differences.toml")

# Written by each proxy for itself: the framing, the address of the upstream, and the time.
_OWN_REQUEST_LINES = frozenset(
    {b"host", b"connection", b"content-length", b"transfer-encoding", b"cdn-loop"}
)
_OWN_ANSWER_LINES = frozenset(
    {b"connection", b"content-length", b"transfer-encoding", b"date", b"server", b"server-timing"}
    | {b"query-reformulation"}
)
_SHOWN = 60  # bytes of a value
_LINES = 8  # of one side of a difference


@dataclass(frozen=True)
class Answer:
    """An answer that a client got; ``body`` is ``None`` if it was cut off."""

    status: int
    lines: tuple[tuple[bytes, bytes], ...]
    body: bytes | None


@dataclass(frozen=True)
class Difference:
    """What only ours came to, what only nginx came to, and why ours is right."""

    ours: tuple[str, ...]
    nginx: tuple[str, ...]
    why: str = ""

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return both sides without the reason."""
        return self.ours, self.nginx


def known(file: Path = DIFFERENCES) -> dict[tuple[str, str], Difference]:
    """Return the differences that are listed, by kind and name."""
    listed = tomllib.loads(file.read_text("utf-8"))
    reasons = listed.pop("reasons")
    return {
        (kind, name): Difference(
            tuple(entry["ours"]), tuple(entry["nginx"]), reasons.get(entry["why"], entry["why"])
        )
        for kind, entries in listed.items()
        for name, entry in entries.items()
    }


def compare(case: Case, ours: Sequence[str], theirs: Sequence[str]) -> Difference | None:
    """Return what only one of both has, or ``None``."""
    if case.varies:
        return Difference(tuple(ours), ())
    first, second = Counter(ours), Counter(theirs)
    if first == second:
        return None
    only_ours, only_theirs = first - second, second - first
    return Difference(_many(only_ours.elements()), _many(only_theirs.elements()))


def _many(lines: Iterable[str]) -> tuple[str, ...]:
    """Return lines; of many, the first ones, how many, and a checksum."""
    found = list(lines)
    if len(found) > _LINES:
        checksum = zlib.crc32("\n".join(found).encode())
        found[_LINES:] = [f"... ({len(found)} lines, {checksum:08x})"]
    return tuple(found)


def lines_of(case: Case, arrived: Iterable[Arrived], received: bytes) -> list[str]:
    """Return what a case came to: the requests that arrived, the answers, and if it was kept."""
    lines = []
    for number, request in enumerate(arrived):
        at = f"request {number}"
        lines.append(f"{at}: {_shown(request.method)} {_shown(request.target)}")
        lines.append(f"{at} body: {_shown(request.body)}")
        lines += [f"{at} has {line}" for line in _end_to_end(request.lines, _OWN_REQUEST_LINES)]
    try:
        answers = parse_answers(received, case.heads)
    except (ValueError, IndexError):
        return [*lines, f"no HTTP: {_shown(received)}"]
    final = bool(answers) and answers[-1].status == 200 and answers[-1].body == LAST
    for number, answer in enumerate(answers[:-1] if final else answers):
        at = f"answer {number}"
        lines.append(f"{at}: {answer.status}")
        if answer.body is None:
            lines.append(f"{at} is cut off")
        elif answer.status >= 400 and all(name != b"x-from" for name, _ in answer.lines):
            lines.append(f"{at} is the proxy's own")
            continue
        else:
            lines.append(f"{at} body: {_shown(answer.body)}")
        lines += [f"{at} has {line}" for line in _end_to_end(answer.lines, _OWN_ANSWER_LINES)]
    return lines if case.loose else [*lines, "kept" if final else "closed"]


def parse_answers(data: bytes, heads: frozenset[int]) -> list[Answer]:
    """Return all answers that a client received on a connection, the last one perhaps cut off.

    Errors: ``ValueError`` or ``IndexError`` for what is no HTTP.
    """
    answers: list[Answer] = []
    finals = 0
    while data:
        top, end, data = data.partition(b"\r\n\r\n")
        if not end:
            raise ValueError(top)
        first, *rest = top.split(b"\r\n")
        if not first.startswith(b"HTTP/1.1 "):
            raise ValueError(first)
        status = int(first[9:12])
        pairs = [(n.lower(), v.strip()) for n, _, v in (line.partition(b":") for line in rest)]
        known = dict(pairs)
        body: bytes | None = b""
        if status >= 200 and finals not in heads and status not in (204, 304):
            body, data = _body(known, data)
        finals += status >= 200
        answers.append(Answer(status, tuple(pairs), body))
    return answers


def _body(known: dict[bytes, bytes], data: bytes) -> tuple[bytes | None, bytes]:
    """Return a body, ``None`` if it is cut off, and what follows."""
    if b"transfer-encoding" in known:
        body = b""
        while True:
            line, end, data = data.partition(b"\r\n")
            if not end or len(data) < (size := int(line.split(b";")[0], 16)) + 2:
                return None, b""
            body, rest, data = body + data[:size], data[size : size + 2], data[size + 2 :]
            if rest != b"\r\n":
                raise ValueError(rest)
            if not size:
                return body, data
    if b"content-length" in known:
        size = int(known[b"content-length"])
        return (data[:size], data[size:]) if len(data) >= size else (None, b"")
    return data, b""


def _end_to_end(pairs: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> list[str]:
    """Return the lines that are not about one connection; those of one name keep their order."""
    kept = sorted((pair for pair in pairs if pair[0] not in dropped), key=lambda pair: pair[0])
    return [f"{_shown(name)}: {_shown(value)}" for name, value in kept]


def _shown(data: bytes) -> str:
    """Return bytes in ASCII; of many, the first ones, how many, and a checksum."""
    if len(data) <= _SHOWN:
        return data.decode("latin-1").encode("unicode_escape").decode("ascii")
    return f"{_shown(data[:20])}... ({len(data)} bytes, {zlib.crc32(data):08x})"
