"""CONV_2D with three kernel rows and vertical stride 2: two output rows share a product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_bytepair import WIDEN
from trecx.codegen.kernels.dsp_conv2d import (
    reading_instructions,
    window_fields,
    window_of,
    window_overlap,
    window_reason,
)
from trecx.codegen.kernels.dsp_conv2d_wide import SOURCES, wide_fields, wide_reason
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

LARGEST_D = 6  # so that sums of two weights fit 16 bits
# Instructions measured on an emulated Cortex-M4.
GROUP, PAIR, TURN, DIFFERENCE, TILE = 10, 54, 3, 24, 160


@register
class DspConv2DRowPair(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "16-bit weights, F(2, 2) on rows"

    def reason_against(self, op: Operator) -> str | None:
        if reason := window_reason(op):
            return reason
        if op.inputs[1].shape[1] != 3 or op.attrs.stride[0] != 2:
            return "not three kernel rows with stride 2"
        if window_of(op).run % 4:
            return "the inputs of a kernel row are not a multiple of 4"
        if op.output.shape[1] % 2 or op.output.shape[2] % 2:
            return "an odd number of output rows or columns"
        return wide_reason(op, LARGEST_D)

    def lower(self, op: Operator) -> list[Step]:
        window = window_of(op)
        height, width, channels = window.output_shape
        pairs = replace(
            window,
            output_shape=(height // 2, width, channels),
            kernel=(5, window.kernel[1]),
            stride=(4, window.stride[1]),
        )
        groups = window.run // 4
        layer = {**wide_fields(op, _stream_order, LARGEST_D), "layer.groups": groups}
        return [
            Step(
                kernel="trecx_conv2d_s8_rowpair",
                sources=("dsp/conv2d_s8_rowpair.c", *SOURCES[1:]),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_s8_rowpair_params",
                params={**layer, **window_fields(op, pairs), **activation_fields(op)},
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=80 * groups + pairs.scratch_bytes,
                overlap={0: window_overlap(op, rows=2)},
                instructions=_instructions(op, groups, layer["layer.fast"])
                + int(reading_instructions(window)),
                scheme=self.scheme,
                widened=True,
            )
        ]


def _stream_order(weights: np.ndarray) -> np.ndarray:
    """Kernel rows g0 + g2, g0, g1, g2, g1 of weights (channels, 3, width, inputs)."""
    first, second, third = (weights[:, i].reshape(len(weights), -1) for i in range(3))
    return np.concatenate([first + third, first, second, third, second], axis=1)


def _instructions(op: Operator, groups: int, fast: int) -> int:
    _, height, width, channels = op.output.shape
    turns = -(-(groups - 1) // 16) + 2 * -(-2 * groups // 16)
    pair = GROUP * 5 * groups + PAIR + TURN * turns + (0 if fast else 16)
    gather = groups * (3 * WIDEN[2] + 2 * DIFFERENCE)
    return height // 2 * (width // 2 * (channels // 2 * pair + gather + TILE) + 80) + 200
