"""SOFTMAX by the reference kernel."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.tables import softmax_exp_table

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_VALUE = 60
INSTRUCTIONS_PER_ROW = 100


@register
class RefSoftmax(KernelChoice):
    kinds = ("SOFTMAX",)
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        depth = op.output.shape[-1]
        rows = op.output.size // depth
        table = softmax_exp_table(op.inputs[0].scale, op.attrs.beta)
        return [
            Step(
                kernel="trecx_softmax_s8",
                sources=("ref/softmax_s8.c",),
                header="softmax_s8.h",
                params_type="trecx_softmax_s8_params",
                params={
                    "rows": rows,
                    "depth": depth,
                    "exp_count": table.size,
                    "exp_table": Blob("int32_t", table),
                },
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: 0},
                instructions=rows * (INSTRUCTIONS_PER_ROW + INSTRUCTIONS_PER_VALUE * depth),
                scheme=self.scheme,
            )
        ]
