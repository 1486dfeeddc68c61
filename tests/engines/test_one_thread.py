"""An engine refuses a second thread, and may go from one thread to another in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from middleware import Answer, EngineError
from middleware.engines.claims import one_thread


class Slow:
    """An engine that waits inside of a call until it is told to go on."""

    name = "slow"
    revision = "1"

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()

    @one_thread
    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        self.entered.set()
        assert self.go_on.wait(10)
        if "fail" in texts:
            raise ValueError("as asked")
        return list(texts)


def never(index: int) -> bool:
    return False


@pytest.mark.parametrize("text", ["a", "fail"])
def test_a_second_thread_is_refused_while_the_first_is_in_a_call(text: str) -> None:
    engine = Slow()

    def call() -> None:
        try:
            engine.generate([text], never)
        except ValueError:
            assert text == "fail"

    first = threading.Thread(target=call)
    first.start()
    assert engine.entered.wait(10)
    with pytest.raises(EngineError, match="slow is called by two threads at once"):
        engine.generate(["b"], never)
    engine.go_on.set()
    first.join()
    assert engine.generate(["b"], never) == ["b"]
