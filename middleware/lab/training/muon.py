"""Muon: momentum whose matrices are orthogonalized (Jordan et al. 2024, github KellerJordan/Muon).

Matrices of one shape are stacked, so that the small ones cost one call.
"""

from __future__ import annotations

from typing import Any

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalize(stack: Any, steps: int = 5) -> Any:
    """Push the singular values of each matrix in a (n, rows, columns) stack towards one.

    Runs in bfloat16, whose rounding the iteration forgives; returns the stack's own type.
    """
    tall = stack.shape[1] > stack.shape[2]
    x = stack.transpose(1, 2) if tall else stack
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x.transpose(1, 2) if tall else x).to(stack.dtype)


class Muon:
    """Optimizer for the hidden matrices of a network.

    Invariants: ``momenta`` has one tensor for each parameter, in their order.
    Concurrency: one owner, the training loop.
    """

    def __init__(self, parameters: list[Any], momentum: float = 0.95) -> None:
        import torch

        self._parameters = parameters
        self._momentum = momentum
        self.momenta = [torch.zeros_like(parameter) for parameter in parameters]
        self._groups: dict[tuple[int, ...], list[int]] = {}
        for index, parameter in enumerate(parameters):
            self._groups.setdefault(tuple(parameter.shape), []).append(index)

    def step(self, rate: float) -> None:
        """Apply one update of spectral size ``rate`` to every matrix with a gradient."""
        import torch

        with torch.no_grad():
            for (rows, columns), group in self._groups.items():
                updates = []
                for index in group:
                    gradient, momentum = self._parameters[index].grad, self.momenta[index]
                    momentum.lerp_(gradient, 1 - self._momentum)
                    updates.append(gradient.lerp(momentum, self._momentum))
                directions = orthogonalize(torch.stack(updates))
                scale = rate * max(1.0, rows / columns) ** 0.5
                for index, direction in zip(group, directions, strict=True):
                    self._parameters[index].add_(direction, alpha=-scale)
