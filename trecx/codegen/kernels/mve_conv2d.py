"""CONV_2D on Helium."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.mve_common import (
    LANES,
    clamp_instructions,
    corrects_ties,
    packed_filters,
    reason_against_requantisation,
    round_up,
    zero_point_fields,
)
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator


def rows_read_before(op: Operator, y: int) -> int:
    """Input rows that a row-by-row kernel has read when it writes output row y."""
    window = (op.inputs[1].shape[1] - 1) * op.attrs.dilation[0] + 1
    top = y * op.attrs.stride[0] - op.attrs.padding.top
    return min(max(top + window, 0), op.inputs[0].shape[1])


def row_gap(op: Operator) -> int:
    """Overlap gap of a kernel that writes a row when it has read the rows it needs (see Step)."""
    _, height, width, channels = op.inputs[0].shape
    _, out_height, out_width, out_channels = op.output.shape
    gap = 0
    for y in range(out_height):
        read = rows_read_before(op, y)
        if read < height:
            gap = max(gap, (y + 1) * out_width * out_channels - read * width * channels)
    return gap


@register
class MveConv2D3x3(KernelChoice):
    """Four pixels times two filters, lines in a ring; see mve/conv2d_s8_3x3.c."""

    kinds = ("CONV_2D",)
    isa = Isa.MVE
    scheme = "3x3 lines"

    def reason_against(self, op: Operator) -> str | None:
        _, kernel_height, kernel_width, kernel_channels = op.inputs[1].shape
        channels = op.inputs[0].shape[3]
        padding = op.attrs.padding
        if (kernel_height, kernel_width) != (3, 3):
            return f"the kernel is {kernel_height}x{kernel_width}, not 3x3"
        if op.attrs.dilation != (1, 1):
            return "the kernel is dilated"
        if kernel_channels != channels:
            return "the convolution is grouped"
        if channels % LANES:
            return f"{channels} input channels are no multiple of {LANES}"
        if max(op.attrs.stride) > 2:
            return f"stride {op.attrs.stride}; strides of 1 and 2 are supported"
        if max(padding.top, padding.left) > 2:
            return "more than two pixels of padding"
        return reason_against_requantisation(op)

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        _, height, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        stride = op.attrs.stride[1]
        params = {
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "output_height": out_height,
            "output_width": out_width,
            "output_channels": out_channels,
            "stride_height": op.attrs.stride[0],
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            **zero_point_fields(op),
            "packed": Blob("int8_t", self._packed(op), align=8),
        }
        chunks = channels // LANES
        line = max(op.attrs.padding.left + width, (round_up(out_width, 4) - 1) * stride + 3)
        tiled = out_width % 4 or out_channels % 2
        tile = 8 * -(-out_channels // 2) if tiled else 0
        return [
            Step(
                kernel=f"trecx_conv2d_s8_mve_3x3_stride{stride}",
                sources=("mve/conv2d_s8_3x3.c",),
                header="conv2d_s8_mve.h",
                params_type="trecx_conv2d_s8_mve_3x3_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=68 + 20 * chunks + 48 * chunks * line + tile,
                overlap={0: row_gap(op)},
                instructions=self._instructions(op),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _packed(op: Operator) -> np.ndarray:
        weights = op.inputs[1].data
        filters = weights.shape[0]
        chunked = weights.reshape(filters, 3, 3, -1, LANES).transpose(0, 3, 1, 2, 4)
        return packed_filters(op, chunked.reshape(filters, -1, LANES), 2)

    @staticmethod
    def _instructions(op: Operator) -> int:
        _, height, width, channels = op.inputs[0].shape
        _, out_height, out_width, out_channels = op.output.shape
        chunks, pairs = channels // LANES, -(-out_channels // 2)
        kernel_row = 36 if op.attrs.stride[1] == 1 else 39
        block = (3 * kernel_row + 1) * chunks + (23 if corrects_ties(op) else 21)
        blocks = -(-out_width // 4)
        row = blocks * (pairs * block + 24 + 5 * chunks) + 130 + 40 * chunks
        staging = height * chunks * (4 * width + 12)
        return out_height * row + staging + clamp_instructions(op)
