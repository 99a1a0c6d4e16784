"""DEPTHWISE_CONV_2D by the reference kernel."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.geometry import taps_inside, window_gap
from trecx.codegen.kernels.common import (
    bias_values,
    offset_fields,
    requantisation_fields,
    window_fields,
)
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_MAC = 12
INSTRUCTIONS_PER_OUTPUT = 120


@register
class RefDepthwiseConv2D(KernelChoice):
    kinds = ("DEPTHWISE_CONV_2D",)
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        source, weights = op.inputs[0], op.inputs[1]
        multiplier = op.output.shape[3] // source.shape[3]
        kernel = weights.shape[1:3]
        params = {
            **window_fields(op, kernel),
            "input_channels": source.shape[3],
            "channel_multiplier": multiplier,
            **offset_fields(op),
            "weights": Blob("int8_t", weights.data.reshape(-1), align=1),
            "bias": Blob("int32_t", bias_values(op)),
            **requantisation_fields(op),
        }
        return [
            Step(
                kernel="trecx_depthwise_conv2d_s8",
                sources=("ref/depthwise_conv2d_s8.c",),
                header="depthwise_conv2d_s8.h",
                params_type="trecx_depthwise_conv2d_s8_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                overlap={0: window_gap(op, by_channel=multiplier == 1)},
                instructions=INSTRUCTIONS_PER_MAC * taps_inside(op, kernel) * op.output.shape[3]
                + INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
