"""ADD on Helium."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.mve_common import (
    MveChoice,
    clamp_instructions,
    corrects_ties,
    zero_point_fields,
)
from trecx.codegen.lowering import Blob, Step, register
from trecx.ir.graph import Operator, Tensor
from trecx.ir.quantize import ADD_LEFT_SHIFT, add_params, multiply_by_quantized_multiplier

HALF = (2**30, 0)  # multiplier and shift of the input with the larger scale
DEEPEST_EARLY_SHIFT = -23  # zero point * 2^23 and the product still fit 32 bits


@register
class MveAdd(MveChoice):
    """One input by multiplication, the other by a table; see mve/add_s8.c."""

    kinds = ("ADD",)
    scheme = "eight values"

    def misfit(self, op: Operator) -> str | None:
        if any(t.is_constant for t in op.inputs):
            return "an operand is constant"
        if any(t.shape != op.output.shape for t in op.inputs):
            return "the operands' shapes differ"
        p = add_params(op.inputs[0].quant, op.inputs[1].quant, op.output.quant)
        if p.output_shift >= 0:
            return "the output's factor is not below one half"
        if HALF not in (
            (p.input1_multiplier, p.input1_shift),
            (p.input2_multiplier, p.input2_shift),
        ):
            return "neither input has the factor one half"
        return None

    def lower(self, op: Operator) -> list[Step]:
        first, second = self._larger_scale_first(op)
        p = add_params(first.quant, second.quant, op.output.quant)
        params = {
            "count": op.output.size,
            "multiplier": p.output_multiplier,
            "shift": p.output_shift,
            **{k: v for k, v in zero_point_fields(op).items() if k != "input_zero_point"},
            "table": Blob("int32_t", rescaled_table(first, second, p)),
        }
        early = not corrects_ties(op) and p.output_shift >= DEEPEST_EARLY_SHIFT
        eight = 19 if early else 22
        return [
            Step(
                kernel="trecx_add_s8_mve" + ("_relu" if early else ""),
                sources=("mve/add_s8.c",),
                header="add_s8_mve.h",
                params_type="trecx_add_s8_mve_params",
                params=params,
                inputs=(first, second),
                outputs=(op.output,),
                overlap={0: 0, 1: 0},
                instructions=eight * -(-op.output.size // 8) + 50 + clamp_instructions(op),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _larger_scale_first(op: Operator) -> tuple[Tensor, Tensor]:
        first, second = op.inputs
        p = add_params(first.quant, second.quant, op.output.quant)
        if (p.input1_multiplier, p.input1_shift) == HALF:
            return first, second
        return second, first


def rescaled_table(first: Tensor, second: Tensor, p) -> np.ndarray:
    """int32 words by the second input's value as an unsigned byte; see add_s8_mve.h."""
    values = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    centred = (values - second.zero_point) << ADD_LEFT_SHIFT
    rescaled = multiply_by_quantized_multiplier(centred, p.input2_multiplier, p.input2_shift)
    return (rescaled - (first.zero_point << (ADD_LEFT_SHIFT - 1))).astype(np.int32)
