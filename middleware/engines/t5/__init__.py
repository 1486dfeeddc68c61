"""The default engine: runs a T5 of any size on a CPU, in few milliseconds a step.

How a text is rewritten: the encoder reads its tokens once. The decoder then writes the rewrite,
some tokens a step. In each step ``drafting`` guesses the next tokens, which is easy as a rewrite
mostly copies the text. The model computes, in the same step, the best token after each of them.
The guesses that equal the best tokens are accepted, up to the first that does not (``decoding``).
So the output is that of plain greedy decoding, token by token, in fewer steps.

``architecture`` reads the configuration. ``weights`` reads and fuses the tensors. ``weight_cache``
quantizes them and keeps a copy on disk. ``linear`` has the matrix products. ``network`` has the
encoder and the decoder's step as modules, which ``tracing`` compiles and ``steps`` runs for a
batch. ``beams`` is beam search, the alternative to ``decoding``. ``golden_set`` checks quantized
weights against float32. ``engine`` puts all of it together.
"""

from .engine import T5Engine

__all__ = ["T5Engine"]
