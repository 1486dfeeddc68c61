"""Runs an engine in a process of its own.

``client`` is the engine that callers use, ``host`` the loop that answers its calls in the other
process, ``start`` starts that process, and ``wire`` holds the messages between the two.
"""

from .client import ProcessEngine

__all__ = ["ProcessEngine"]
