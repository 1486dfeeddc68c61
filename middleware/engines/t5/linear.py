"""Matrix products for a step: int8, bfloat16 or float32 weights, one result a row.

The int8 product quantizes each row of its input by that row's own largest value. torch's
own dynamic quantization takes one scale for the whole tensor, so that a token's result would
depend on what else is computed with it: drafted and batched output would differ from plain.
The integer sums are exact, and so a row's result is the same in any company.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .tracing import quiet

__all__ = [
    "FineLinear",
    "FloatLinear",
    "Int8Linear",
    "int8_supported",
    "levels",
    "make_linear",
    "quantize",
    "quantize_finely",
]

_TINY = 1e-30  # a row of zeros is divided by this


@cache
def int8_supported() -> bool:
    """Tell whether torch has the int8 product here: it does on x86, by fbgemm.

    It was run and measured on x86 with VNNI; elsewhere it is tried, and not used where it fails.
    """
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return False
    try:
        linear = Int8Linear(torch.full((8, 16), 127, dtype=torch.int8), torch.ones(8))
        return bool((linear(torch.ones(2, 16)) == 16 * 127).all())
    except RuntimeError:
        return False


@cache
def levels() -> int:
    """Return how many steps an activation has on each side of zero: 127, or 63 without VNNI.

    Before VNNI, x86 adds two products of bytes in 16 bits, which overflow unless
    activations leave a bit free.
    """
    try:
        vnni = "avx512_vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        vnni = False
    return 127 if vnni and torch.backends.cpu.get_cpu_capability() == "AVX512" else 63


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 weights and a scale for each row of ``weight``, by its largest value."""
    scales = weight.abs().amax(1).clamp_min(_TINY).double() / 127
    values = (weight.double() / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    return values, scales.float()


def quantize_finely(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 weights ``[coarse; fine]`` with twice as many rows, and their scales."""
    values, scales = quantize(weight)
    rest, rest_scales = quantize(weight - values * scales[:, None])
    return torch.cat([values, rest]), torch.cat([scales, rest_scales])


class Int8Linear(nn.Module):
    """``x @ weight.T`` with int8 weights, a scale an output row, and int8 activations."""

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        super().__init__()
        with quiet():
            quantized = torch._make_per_channel_quantized_tensor(
                values, scales.double(), torch.zeros(len(scales), dtype=torch.long), 0
            )
            torch.backends.quantized.engine = "fbgemm"
            self.packed: Any = torch.ops.quantized.linear_prepack(quantized, None)
        self.steps = levels()
        self.step = 1.0 / levels()
        self.zero = levels() + 1

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the product of the rows divided by their largest value, and that value."""
        largest = x.abs().amax(-1, keepdim=True).clamp_min(_TINY)
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            x / largest, self.step, self.zero, self.packed
        )
        return product, largest

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of rows ``x [rows, in]``."""
        product, largest = self.raw(x)
        return product * largest

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return the product of ``x``, added to ``residual``."""
        product, largest = self.raw(x)
        return torch.addcmul(residual, product, largest)

    def normed(self, x: Tensor, factor: Tensor) -> Tensor:
        """Return the product of ``x * factor``, ``factor [rows, 1]`` being the norm's."""
        product, largest = self.raw(x)
        return product * (largest * factor)

    def direction(self, x: Tensor) -> Tensor:
        """Return the product but for a positive factor a row: enough to find its largest."""
        return self.raw(x)[0]


class FineLinear(Int8Linear):
    """An int8 product of twice the digits: weights and activations are sums of two bytes.

    Costs twice an :class:`Int8Linear`, and errs a hundredth as much, a row at a time like it.
    Invariant: ``values`` are ``[coarse; fine]``, the fine ones with scales of their own.
    """

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the product of the rows divided by their largest value, and that value."""
        largest = x.abs().amax(-1, keepdim=True).clamp_min(_TINY)
        scaled = x / largest
        coarse = (scaled * self.steps).round() / self.steps
        # What is left is at most half a step, and is brought up to the whole range.
        fine = (scaled - coarse) * (2 * self.steps)
        both = torch.cat([coarse, fine])
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            both, self.step, self.zero, self.packed
        )
        upper, lower = product.chunk(2)
        upper_coarse, upper_fine = upper.chunk(2, -1)
        return upper_coarse + upper_fine + lower.chunk(2, -1)[0] / (2 * self.steps), largest


class FloatLinear(nn.Module):
    """``x @ weight.T`` in the weight's own type; input and result are float32."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight.contiguous()  # no parameter: nothing is trained, saved or moved

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of rows ``x [rows, in]``."""
        if self.weight.dtype != torch.float32:
            return nn.functional.linear(x.to(self.weight.dtype), self.weight).float()
        return nn.functional.linear(x, self.weight)

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return the product of ``x``, added to ``residual``."""
        return residual + self.forward(x)

    def normed(self, x: Tensor, factor: Tensor) -> Tensor:
        """Return the product of ``x * factor``, ``factor [rows, 1]`` being the norm's."""
        return self.forward(x * factor)

    def direction(self, x: Tensor) -> Tensor:
        """Return the product but for a positive factor a row: enough to find its largest."""
        return self.forward(x)


def make_linear(
    values: Tensor, scales: Tensor | None, *, fine: bool = False
) -> Int8Linear | FloatLinear:
    """Return the product with int8 ``values`` and their ``scales``, or with float ``values``."""
    if scales is None:
        return FloatLinear(values)
    return FineLinear(values, scales) if fine else Int8Linear(values, scales)
