"""The one place that knows how a module becomes fast to call.

torch's tracer is in maintenance and newer releases warn about it. Everything that touches it
is here: a release without it loses speed, as modules then run as they are, and nothing else
(a query of T5-base took 1.4 to 1.5 times as long on two cores, 172 ms for 112 and 197 for 139).
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["compiled", "quiet"]

_log = logging.getLogger("querylift.engines")
_lock = threading.Lock()  # the filters of warnings are the process's


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's notices of deprecation from the users, who can do nothing about them."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compiled(
    module: nn.Module, examples: list[tuple[Any, ...]], *, trace: bool = True
) -> Callable[..., Any]:
    """Return a function that computes what ``module`` does, for any sizes of its inputs.

    The module is traced with the first of ``examples`` and run with all of them, so that
    the first query does not pay for optimization. Without ``trace``, or where tracing
    fails, the module itself is returned.
    """
    module.eval()
    run: Callable[..., Any] = module
    if trace:
        try:
            with quiet(), torch.no_grad():
                trace_module: Any = torch.jit.trace
                traced = trace_module(module, examples[0], check_trace=False)
                run = torch.jit.freeze(traced)
        except Exception:
            _log.warning("a step could not be traced; it runs untraced, slower", exc_info=True)
            run = module
    for example in examples:
        for _ in range(3):
            run(*example)
    return run
