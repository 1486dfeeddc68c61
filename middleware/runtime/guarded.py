"""What the decision path asks of others without letting their faults in."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from ..core.memo import Memo, MemoKey
from ..core.reformulation import Verdict
from ..instrumentation.record import Observer, Record

__all__ = ["memo_get", "memo_put", "tell", "where"]

_log = logging.getLogger("querylift.runtime")


def where(error: BaseException) -> str:
    """Return where an error came from, without what it says."""
    return "".join(traceback.format_tb(error.__traceback__)).rstrip()


def memo_get(memo: Memo, key: MemoKey, now: float, *, count: bool = True) -> Verdict | None:
    """Return what the memo knows; a fault of the memo is a miss."""
    try:
        return memo.get(key, now, count=count)
    except Exception as error:
        _failed(error)
        return None


def memo_put(memo: Memo, key: MemoKey, verdict: Verdict, now: float) -> None:
    """Give a verdict to the memo; where that fails it is known to its callers only."""
    try:
        memo.put(key, verdict, now)
    except Exception as error:
        _failed(error)


def tell(observers: Iterable[Observer], record: Record) -> None:
    """Tell each observer, also where one before it raised."""
    for observer in observers:
        try:
            observer(record)
        except Exception:
            _log.exception("an observer failed")


def _failed(error: Exception) -> None:
    # Where, and not what it says: a key is what somebody searched for.
    _log.error("the memo failed: %s\n%s", type(error).__name__, where(error))
