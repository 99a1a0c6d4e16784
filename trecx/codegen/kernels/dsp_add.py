"""ADD on the DSP extension: one input through a table, the other by a shift."""

from __future__ import annotations

from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_channels import keeps_negatives
from trecx.codegen.kernels.ref_add import RefAdd
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.quantize import add_params

SMALLEST_RIGHT_SHIFT, LARGEST_RIGHT_SHIFT = 1, 21  # of the general form in trecx/dsp/arith.h
ONE_HALF = (1 << 30, 0)
TABLE_BYTES = 1024
# Instructions measured on an emulated Cortex-M4.
PER_OUTPUT, PER_OUTPUT_FAST, TABLE = 9.5, 7.5, 256 * 24
FAST_SHIFTS = (19, 20)  # of trecx_add_s8_table_params


@register
class DspAddTable(KernelChoice):
    kinds = ("ADD",)
    isa = Isa.DSP
    scheme = "table"

    def reason_against(self, op: Operator) -> str | None:
        reason = RefAdd().reason_against(op)
        if reason:
            return reason
        right = -add_params(op.inputs[0].quant, op.inputs[1].quant, op.output.quant).output_shift
        if SMALLEST_RIGHT_SHIFT <= right <= LARGEST_RIGHT_SHIFT:
            return None
        return f"the sum is shifted right by {right} bits"

    def lower(self, op: Operator) -> list[Step]:
        first, second = op.inputs
        p = add_params(first.quant, second.quant, op.output.quant)
        half = int((p.input2_multiplier, p.input2_shift) == ONE_HALF)
        multipliers = (p.input1_multiplier, p.input1_shift), (p.input2_multiplier, p.input2_shift)
        scaled = multipliers[1 - half]
        fast_shift = _fast_shift(op, -p.output_shift)
        per_output = PER_OUTPUT_FAST if fast_shift else PER_OUTPUT
        params = {
            "count": op.output.size,
            "scaled_multiplier": scaled[0],
            "scaled_shift": scaled[1],
            "output_multiplier": p.output_multiplier,
            "half_input": half,
            "half_zero_point": op.inputs[half].zero_point,
            "scaled_zero_point": op.inputs[1 - half].zero_point,
            "output_zero_point": op.output.zero_point,
            "output_shift": -p.output_shift - 1,
            "fast_shift": fast_shift,
            **activation_fields(op),
        }
        return [
            Step(
                kernel="trecx_add_s8_table",
                sources=("dsp/add_s8_table.c",),
                header="add_s8_dsp.h",
                params_type="trecx_add_s8_table_params",
                params=params,
                inputs=(first, second),
                outputs=(op.output,),
                scratch_bytes=TABLE_BYTES,
                overlap={0: 0, 1: 0},
                instructions=int(per_output * op.output.size) + TABLE,
                scheme=self.scheme,
            )
        ]


def _fast_shift(op: Operator, right: int) -> int:
    """E of the fast requantisation for a right shift of e, or 0 where it does not apply.

    The sum of both inputs stays below 2^28, so that four times as much (d = 1) fits 32 bits.
    """
    possible = right + 1 in FAST_SHIFTS and op.output.size % 4 == 0
    return right + 1 if possible and not keeps_negatives(op) else 0
