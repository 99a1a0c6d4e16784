"""AVERAGE_POOL_2D and MAX_POOL_2D by the reference kernels."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.geometry import taps_inside, window_gap
from trecx.codegen.kernels.common import activation_fields, window_fields
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_TAP = 7
INSTRUCTIONS_PER_OUTPUT = 40


@register
class RefPool(KernelChoice):
    kinds = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        channels = op.output.shape[3]
        name = "average_pool_s8" if op.kind == "AVERAGE_POOL_2D" else "max_pool_s8"
        params = {
            **window_fields(op, op.attrs.filter),
            "channels": channels,
            **activation_fields(op),
        }
        return [
            Step(
                kernel=f"trecx_{name}",
                sources=(f"ref/{name}.c",),
                header=f"{name}.h",
                params_type=f"trecx_{name}_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: window_gap(op, by_channel=True)},
                instructions=INSTRUCTIONS_PER_TAP * taps_inside(op, op.attrs.filter) * channels
                + INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
