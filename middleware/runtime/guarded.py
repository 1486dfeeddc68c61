"""Calls to the memo, observers and lookups whose faults must not reach the decision path."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Iterable

from ..core.memo import Memo, MemoKey
from ..core.reformulation import Verdict
from ..instrumentation.record import Observer, Record
from .flights import FlightResult, Wake

_log = logging.getLogger("querylift.runtime")


def where(error: BaseException) -> str:
    """Return an error's traceback without its message."""
    return "".join(traceback.format_tb(error.__traceback__)).rstrip()


def memo_put(memo: Memo, key: MemoKey, verdict: Verdict, now: float) -> None:
    """Store a verdict; log a fault of the memo."""
    try:
        memo.put(key, verdict, now)
    except Exception as error:
        log_memo_fault(error)


def log_memo_fault(error: Exception) -> None:
    """Log a fault of the memo without its message, which may quote a query."""
    _log.error("the memo failed: %s\n%s", type(error).__name__, where(error))


def notify(observers: Iterable[Observer], record: Record) -> None:
    """Give a record to each observer; log those that raise."""
    for observer in observers:
        try:
            observer(record)
        except Exception:
            _log.exception("an observer failed")


def wake_all(outbox: deque[tuple[Wake, FlightResult]]) -> None:
    """Call the wakes in a scheduler's outbox, and log those that raise; the lock is not held."""
    while True:
        try:
            wake, result = outbox.popleft()
        except IndexError:
            return
        try:
            wake(result)
        except Exception:
            _log.exception("a lookup could not be woken")
