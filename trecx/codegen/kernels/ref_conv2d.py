"""CONV_2D by the reference kernel."""

from __future__ import annotations

from trecx.codegen.kernels.common import (
    bias_values,
    dot_overflow,
    offset_fields,
    requantisation_fields,
)
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.ops import macs

# Measured on a Cortex-M4 at -O2; they only rank the reference against the optimised kernels.
INSTRUCTIONS_PER_MAC = 6
INSTRUCTIONS_PER_TAP = 14
INSTRUCTIONS_PER_OUTPUT = 50


@register
class RefConv2D(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        return dot_overflow(op)

    def lower(self, op: Operator) -> list[Step]:
        source, weights = op.inputs[0], op.inputs[1]
        _, height, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        _, kernel_height, kernel_width, kernel_channels = weights.shape
        params = {
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "output_height": out_height,
            "output_width": out_width,
            "output_channels": out_channels,
            "kernel_height": kernel_height,
            "kernel_width": kernel_width,
            "kernel_channels": kernel_channels,
            "group_outputs": out_channels * kernel_channels // channels,
            "stride_height": op.attrs.stride[0],
            "stride_width": op.attrs.stride[1],
            "dilation_height": op.attrs.dilation[0],
            "dilation_width": op.attrs.dilation[1],
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            **offset_fields(op),
            "weights": Blob("int8_t", weights.data.reshape(-1), align=1),
            "bias": Blob("int32_t", bias_values(op)),
            **requantisation_fields(op),
        }
        taps = op.output.size * kernel_height * kernel_width
        return [
            Step(
                kernel="trecx_conv2d_s8",
                sources=("ref/conv2d_s8.c",),
                header="conv2d_s8.h",
                params_type="trecx_conv2d_s8_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                instructions=INSTRUCTIONS_PER_MAC * macs(op)
                + INSTRUCTIONS_PER_TAP * taps
                + INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
