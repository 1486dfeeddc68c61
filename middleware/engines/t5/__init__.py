"""The default engine: T5 of any size in few milliseconds a step on a CPU.

:mod:`.architecture` reads the configuration, :mod:`.weights` fuses and folds the tensors,
:mod:`.prepared` quantizes and keeps them, :mod:`.linear` multiplies with them, :mod:`.network`
is the encoder and one decoding step, :mod:`.steps` runs them for a batch, :mod:`.decoding` is
the greedy loop with the guesses of :mod:`.drafting`, :mod:`.beams` the other search,
:mod:`.golden` checks the whole and :mod:`.engine` puts it together.
"""

from .engine import T5Engine

__all__ = ["T5Engine"]
