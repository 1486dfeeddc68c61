"""Calls to the memo and to observers whose faults must not reach the decision path."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from ..core.memo import Memo, MemoKey
from ..core.reformulation import Verdict
from ..instrumentation.record import Observer, Record

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
