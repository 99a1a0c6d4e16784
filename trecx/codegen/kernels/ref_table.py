"""QUANTIZE, RELU, RELU6 and LOGISTIC by a table of 256 outputs."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.tables import operator_table

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_OUTPUT = 6


@register
class RefTable(KernelChoice):
    kinds = ("QUANTIZE", "RELU", "RELU6", "LOGISTIC")
    isa = Isa.REF
    scheme = "table"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        table = Blob("int8_t", operator_table(op), align=1)
        return [
            Step(
                kernel="trecx_table_s8",
                sources=("ref/table_s8.c",),
                header="table_s8.h",
                params_type="trecx_table_s8_params",
                params={"count": op.output.size, "table": table},
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: 0},
                instructions=INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
