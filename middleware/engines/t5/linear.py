"""Linear layers with int8, float16, bfloat16 or float32 weights, without biases.

All of them compute a row of the result from that row of the input alone, to the last bit. So a
token's result does not depend on the batch or on the draft, and drafted and batched output
equals plain output. For int8 this takes one scale per row, by the row's largest value: torch's
own dynamic quantization takes one scale for the whole input. Integer sums are exact.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .tracing import quiet

_ROWS = 4  # the number of rows is a multiple of this
_TINY = 1e-30  # a row of zeros is divided by this


@cache
def int8_kernel() -> str | None:
    """Return torch's engine for int8 products: fbgemm (x86), qnnpack (ARM) or ``None``.

    An engine is used only if a small product with it is right. Nothing was run on ARM; the tests
    run qnnpack on x86.
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
    """Return the largest quantized activation: 127, or 63 without VNNI.

    Without VNNI, x86 adds two products of bytes in 16 bits, which overflows unless activations
    have one bit less.
    """
    try:
        vnni = "avx512_vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        vnni = False
    return 127 if vnni and torch.backends.cpu.get_cpu_capability() == "AVX512" else 63


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 weights, and the scale of each row of ``weight`` by its largest value."""
    scales = weight.abs().amax(1).clamp_min(_TINY).double() / 127
    values = (weight.double() / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    return values, scales.float()


class Int8Linear(nn.Module):
    """``x @ weight.T`` with int8 weights, a scale per row of them, and int8 activations."""

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
        """Return the product with each row divided by its largest value, and those values."""
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
        """Return the product up to a positive factor per row, which finds the largest."""
        return self.raw(x)[0]


class QnnpackLinear(Int8Linear):
    """The same with qnnpack, which chooses the scale itself, from the range of the whole input.

    Rows are divided by their largest value, so that they lie within -1 and 1. One more row with
    both makes the range, and so the scale, the same for every input.
    """

    kernel = "qnnpack"

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        super().__init__(values, scales)
        self.ends = torch.zeros(1, values.shape[1])
        self.ends[0, :2] = torch.tensor([1.0, -1.0])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the product with each row divided by its largest value, and those values."""
        largest = x.abs().amax(-1, keepdim=True).clamp_min(_TINY)
        rows = torch.cat((x / largest, self.ends))
        product: Tensor = torch.ops.quantized.linear_dynamic(rows, self.packed)
        return product[:-1], largest


class FloatLinear(nn.Module):
    """``x @ weight.T``, computed in the type of the weights; input and result are float32."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight.contiguous()  # not a parameter, as it is not trained or saved

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of rows ``x [rows, in]``."""
        count = x.shape[0]
        # With fewer than four rows, or a number that four does not divide, sums have another order
        # (measured with torch's MKL on one and two threads) and rows other results.
        x = nn.functional.pad(x, (0, 0, 0, -count % _ROWS))
        return nn.functional.linear(x.to(self.weight.dtype), self.weight).float()[:count]

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return the product of ``x``, added to ``residual``."""
        return residual + self.forward(x)

    def normed(self, x: Tensor, factor: Tensor) -> Tensor:
        """Return the product of ``x * factor``, ``factor [rows, 1]`` being the norm's."""
        return self.forward(x * factor)

    def direction(self, x: Tensor) -> Tensor:
        """Return the product; see ``Int8Linear.direction``."""
        return self.forward(x)


class HalfLinear(FloatLinear):
    """``x @ weight.T`` with float16 weights; inputs and sums are float32.

    T5's activations overflow in float16, its weights do not. For one to eight rows and 192 columns
    it takes up to 1.7 times as long as ``Int8Linear``, with a fiftieth of the error.
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
    """Return a layer with int8 weights and their scales, or with float weights."""
    fbgemm = int8_kernel() == Int8Linear.kernel
    if scales is not None:
        return Int8Linear(values, scales) if fbgemm else QnnpackLinear(values, scales)
    if values.dtype == torch.float16:  # only fbgemm has this product
        return HalfLinear(values) if fbgemm else FloatLinear(values.float())
    return FloatLinear(values)
