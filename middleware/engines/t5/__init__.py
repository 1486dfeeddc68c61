"""The default engine: T5 of any size in few milliseconds a step on a CPU.

``architecture`` reads the configuration, ``weights`` fuses and folds the tensors,
``prepared`` quantizes and keeps them, ``linear`` multiplies with them, ``network``
is the encoder and one decoding step, ``steps`` runs them for a batch, ``decoding`` is
the greedy loop with the guesses of ``drafting``, ``beams`` the other search,
``golden`` checks the whole and ``engine`` puts it together.
"""

from .engine import T5Engine

__all__ = ["T5Engine"]
