"""FULLY_CONNECTED by the reference kernel."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import (
    activation_fields,
    folded_bias,
    requantisation_fields,
)
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.ops import macs

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_MAC = 5
INSTRUCTIONS_PER_OUTPUT = 50


@register
class RefFullyConnected(KernelChoice):
    kinds = ("FULLY_CONNECTED",)
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        return [
            Step(
                kernel="trecx_fully_connected_s8",
                sources=("ref/fully_connected_s8.c",),
                header="fully_connected_s8.h",
                params_type="trecx_fully_connected_s8_params",
                params=dense_fields(op),
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                instructions=INSTRUCTIONS_PER_MAC * macs(op)
                + INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]


def dense_fields(op: Operator) -> dict[str, object]:
    """Fields of `trecx_fully_connected_s8_params`."""
    weights = op.inputs[1]
    units, inputs = weights.shape
    return {
        "rows": op.output.size // units,
        "inputs": inputs,
        "units": units,
        "output_offset": op.output.zero_point,
        **activation_fields(op),
        "weights": Blob("int8_t", weights.data.reshape(-1), align=1),
        "bias": Blob("int32_t", folded_bias(op)),
        **requantisation_fields(op),
    }
