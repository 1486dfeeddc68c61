"""What ``querylift serve`` sets in its own process: logging, and the limit of open files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..core.printable import printable
from ..errors import UpstreamError
from ..upstream.rate_limited_log import RepetitionLimiter

_SPARE_FILES = 64  # for sockets that listen, the engine, logs and files that are read

_log = logging.getLogger("querylift.serving")


def set_up_logging(level: str, detection: str) -> None:
    """Log to the standard error; ``detection`` is the logger of the dialect's detection."""
    output = logging.StreamHandler()
    output.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[output])
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(ServerLogFilter())
    if level != "error":  # the detected dialect is logged at every other level
        shown = min(logging.getLevelNamesMapping()[level.upper()], logging.INFO)
        logging.getLogger(detection).setLevel(shown)


class PlainFormatter(logging.Formatter):
    """Writes control characters as escapes, as messages may hold parts of requests and answers."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record; tracebacks keep their lines."""
        return printable(super().format(record), keep="\n\t")


class ServerLogFilter(logging.Filter):
    """Drops uvicorn's tracebacks of upstream errors, and repetitions of its warnings.

    The proxy has logged the former before. Of equal warnings, such as those about malformed
    requests, one line in ten seconds is logged, which tells how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._limiter = RepetitionLimiter(clock=clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        if record.exc_info:
            return not isinstance(record.exc_info[1], UpstreamError)
        if record.levelno != logging.WARNING or record.args:  # uvicorn's few constant texts
            return True
        admitted = self._limiter.admit(str(record.msg))
        if admitted is not None and admitted[0]:
            record.msg = f"{record.msg} ({admitted[0]} more such lines were left out)"
        return admitted is not None


def raise_file_limit(connections: int) -> None:
    """Raise the soft limit of open files to the hard one, and warn if it is too low.

    ``connections`` are those that the settings allow, from clients and to the upstream.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # such as an unlimited one on macOS
            _log.debug("the limit of open files stays %d", soft)
    needed = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        _log.warning(
            "the limit of open files is %d, and the settings allow for %d connections: raise it "
            "(ulimit -n, LimitNOFILE in a unit of systemd), or lower max_requests",
            soft,
            connections,
        )
