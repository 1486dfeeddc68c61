"""Compiles torch modules by tracing them.

torch only maintains its tracer, and newer releases warn about it. Only this module uses it. With
a release that lacks it, modules run uncompiled, with the same results: a query of T5-base took
1.4 to 1.5 times as long on two cores (172 ms for 112, 197 ms for 139).
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

_log = logging.getLogger("querylift.engines")
_lock = threading.Lock()  # the warning filters belong to the whole process


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress torch's deprecation warnings, about which users can do nothing."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compiled(
    module: nn.Module, examples: list[tuple[Any, ...]], *, trace: bool = True
) -> Callable[..., Any]:
    """Return a function that computes what ``module`` does, for inputs of any sizes.

    The module is traced with the first of ``examples`` (argument tuples). The result is run with
    all of them, so that no query has to wait for its optimization. Without ``trace``, or if
    tracing fails, return the module itself.
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
            _log.warning(
                "a module could not be compiled; it runs uncompiled, which is slower", exc_info=True
            )
            run = module
    for example in examples:
        for _ in range(3):
            run(*example)
    return run
