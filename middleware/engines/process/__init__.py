"""Runs an engine in a process of its own.

``client`` is the engine that callers use, ``host`` the loop that answers its calls in the other
process, and ``wire`` has the messages between the two. That process is a ``child``, or ``shared``
by several processes; ``launch`` starts it, and ``peer`` tells who is at the other end of a socket.
"""

from .client import ProcessEngine

__all__ = ["ProcessEngine"]
