"""Matrix products for a step: int8, float16, bfloat16 or float32 weights, one result a row.

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
    "FloatLinear",
    "HalfLinear",
    "Int8Linear",
    "QnnpackLinear",
    "int8_kernel",
    "levels",
    "make_linear",
    "quantize",
]

_EVEN = 4
_TINY = 1e-30  # a row of zeros is divided by this


@cache
def int8_kernel() -> str | None:
    """Return torch's engine for int8 products here: fbgemm on x86, qnnpack on ARM, or ``None``.

    What is there is tried, and not used where it fails. On ARM nothing was run; qnnpack was, and
    holds what the tests ask, on x86, where it is not chosen.
    """
    for name, product in (("fbgemm", Int8Linear), ("qnnpack", QnnpackLinear)):
        if name in torch.backends.quantized.supported_engines:
            try:
                linear = product(torch.full((8, 16), 127, dtype=torch.int8), torch.ones(8))
                found = linear(torch.ones(2, 16))
            except RuntimeError:
                continue
            if torch.allclose(found, torch.full_like(found, 16 * 127), rtol=0.01):
                return name
    return None


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


class Int8Linear(nn.Module):
    """``x @ weight.T`` with int8 weights, a scale an output row, and int8 activations."""

    kernel = "fbgemm"

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        super().__init__()
        with quiet():
            quantized = torch._make_per_channel_quantized_tensor(
                values, scales.double(), torch.zeros(len(scales), dtype=torch.long), 0
            )
            torch.backends.quantized.engine = self.kernel
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


class QnnpackLinear(Int8Linear):
    """The same by qnnpack, which has no product with a scale of one's own choice.

    It takes the scale of the whole input's range: a row that reaches to both ends, added to the
    others that reach to one, makes that the same for every input.
    """

    kernel = "qnnpack"

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        super().__init__(values, scales)
        self.ends = torch.zeros(1, values.shape[1])
        self.ends[0, :2] = torch.tensor([1.0, -1.0])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the product of the rows divided by their largest value, and that value."""
        largest = x.abs().amax(-1, keepdim=True).clamp_min(_TINY)
        rows = torch.cat((x / largest, self.ends))
        product: Tensor = torch.ops.quantized.linear_dynamic(rows, self.packed)
        return product[:-1], largest


class FloatLinear(nn.Module):
    """``x @ weight.T`` in the weight's own type; input and result are float32."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight.contiguous()  # no parameter: nothing is trained, saved or moved

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of rows ``x [rows, in]``."""
        count = x.shape[0]
        # Rows fewer than four, or an odd lot of them, are summed in another order (measured
        # with torch's MKL on one and two threads): a row's result would depend on its company.
        x = nn.functional.pad(x, (0, 0, 0, -count % _EVEN))
        return nn.functional.linear(x.to(self.weight.dtype), self.weight).float()[:count]

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return the product of ``x``, added to ``residual``."""
        return residual + self.forward(x)

    def normed(self, x: Tensor, factor: Tensor) -> Tensor:
        """Return the product of ``x * factor``, ``factor [rows, 1]`` being the norm's."""
        return self.forward(x * factor)

    def direction(self, x: Tensor) -> Tensor:
        """Return the product but for a positive factor a row: enough to find its largest."""
        return self.forward(x)


class HalfLinear(FloatLinear):
    """A product with float16 weights, which are widened on the way: inputs and sums are float32.

    In float16 T5's activations overflow; its weights do not come near. Each row is summed
    alike in any company. It takes up to 1.7 times as long as an ``Int8Linear`` for one to
    eight rows and 192 columns, and errs a fiftieth as much.
    """

    def __init__(self, weight: Tensor) -> None:
        nn.Module.__init__(self)
        with quiet():
            torch.backends.quantized.engine = "fbgemm"
            self.packed: Any = torch.ops.quantized.linear_prepack_fp16(weight.float(), None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of rows ``x [rows, in]``."""
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self.packed)
        return product


def make_linear(values: Tensor, scales: Tensor | None) -> Int8Linear | FloatLinear:
    """Return the product with int8 ``values`` and their ``scales``, or with float ``values``."""
    fbgemm = int8_kernel() == Int8Linear.kernel
    if scales is not None:
        return Int8Linear(values, scales) if fbgemm else QnnpackLinear(values, scales)
    if values.dtype == torch.float16:  # a product that only fbgemm has
        return HalfLinear(values) if fbgemm else FloatLinear(values.float())
    return FloatLinear(values)
