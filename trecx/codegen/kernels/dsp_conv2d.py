"""CONV_2D on the DSP extension, weights at int8 size: filters in byte pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_bytepair import (
    ENTRY_BYTES,
    PREPARE_PAIR,
    WIDEN,
    bytepair_reason,
    layer_fields,
    row_tiles,
    tile_instructions,
)
from trecx.codegen.kernels.dsp_channels import pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

MAX_KERNEL_HEIGHT = 16  # TRECX_WINDOW_MAX_HEIGHT
EIGHT_FAST_SHIFT = 12  # TRECX_EIGHT_FAST_SHIFT
EIGHT_ENTRY_BYTES = 28


@dataclass(frozen=True)
class Window:
    """A window that slides over an image; shapes (height, width, channels), pad (top, left)."""

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)

    @property
    def row_bytes(self) -> int:
        """A padded row in the ring, in whole words."""
        _, width, channels = self.input_shape
        last = (self.output_shape[1] - 1) * self.stride[1] + self.kernel[1]
        return -(-max(self.pad[1] + width, last) * channels // 4) * 4

    @property
    def run(self) -> int:
        """Contiguous inputs of a kernel row."""
        return self.kernel[1] * self.input_shape[2]

    @property
    def scratch_bytes(self) -> int:
        """What trecx_window_start takes."""
        tail_bytes = -(-self.kernel[0] * (self.run % 4) // 4) * 4
        return 3 * tail_bytes + self.kernel[0] * self.row_bytes


def window_of(op: Operator) -> Window:
    return Window(
        op.inputs[0].shape[1:],
        op.output.shape[1:],
        op.inputs[1].shape[1:3],
        op.attrs.stride,
        (op.attrs.padding.top, op.attrs.padding.left),
    )


def window_overlap(op: Operator, rows: int = 1) -> int:
    """Smallest gap for a kernel that reads whole input rows just before it writes output rows.

    Output rows are written, `rows` at a time, when input rows up to the end of the last one's
    window have been read; what is read later must lie behind what has been written.
    """
    _, height, width, channels = op.inputs[0].shape
    _, out_height, out_width, out_channels = op.output.shape
    kernel_height, stride = op.inputs[1].shape[1], op.attrs.stride[0]
    in_row, out_row = width * channels, out_width * out_channels
    last_rows = range(rows - 1, out_height, rows)
    ends = {y: y * stride + kernel_height - op.attrs.padding.top for y in last_rows}
    all_read = min(height, max(ends.values()))
    gap = 0
    for y, end in ends.items():
        if end < all_read:
            gap = max(gap, (y + 1) * out_row - max(end, 0) * in_row)
    return gap


def pointwise_overlap(op: Operator, last_tile: int) -> int:
    """The same for 1x1 kernels that read some pixels just before they write them.

    last_tile: pixels read together at the end.
    """
    pixels = op.output.size // op.output.shape[-1]
    growth = op.output.shape[-1] - op.inputs[0].shape[-1]
    return max(0, (pixels - last_tile) * growth)


def pointwise_reason(op: Operator, any_stride: bool = False) -> str | None:
    """Why a convolution is not a product of pixels and a matrix; None when it is."""
    if reason := plain_window_reason(op):
        return reason
    if tuple(op.inputs[1].shape[1:3]) != (1, 1):
        return "not a 1x1 kernel"
    if op.attrs.stride != (1, 1) and not any_stride:
        return "not stride 1"
    if any(vars(op.attrs.padding).values()):
        return "padding"
    if max(op.inputs[0].shape[3], op.output.shape[3]) >= INT16_LIMIT:
        return "a dimension does not fit 16 bits"
    return None


def plain_window_reason(op: Operator) -> str | None:
    """Why a convolution is not one group without dilation; None when it is."""
    if broken := broken_rule(op):
        return broken
    if op.output.shape[3] < 2:
        return "a single output channel"
    if op.attrs.dilation != (1, 1):
        return "dilation"
    if op.inputs[1].shape[3] != op.inputs[0].shape[3]:
        return "grouped channels"
    return None


def window_reason(op: Operator) -> str | None:
    """Why a convolution's windows cannot be gathered; None when they can."""
    if reason := plain_window_reason(op):
        return reason
    filter_size = op.inputs[1].data[0].size
    if max(filter_size, *op.inputs[0].shape, *op.output.shape) >= INT16_LIMIT:
        return "a dimension does not fit 16 bits"
    if op.inputs[1].shape[1] > MAX_KERNEL_HEIGHT:
        return f"a kernel of {op.inputs[1].shape[1]} rows; {MAX_KERNEL_HEIGHT} are possible"
    return None


@register
class DspConv2DBytepair(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "byte pairs"

    def reason_against(self, op: Operator) -> str | None:
        return window_reason(op) or bytepair_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        return [conv2d_step(op, window_of(op), window_overlap(op), self.scheme)]


def gather_order(weights: np.ndarray, kernel_height: int) -> np.ndarray:
    """Weights (channels, inputs) in the order in which the kernel gathers inputs.

    Whole groups of four of each kernel row, then position by position what is left of all rows.
    """
    rows = weights.reshape(len(weights), kernel_height, -1)
    whole = rows.shape[2] - rows.shape[2] % 4
    heads, tails = rows[:, :, :whole], rows[:, :, whole:]
    parts = [heads.reshape(len(weights), -1), tails.transpose(0, 2, 1).reshape(len(weights), -1)]
    return np.concatenate(parts, axis=1)


def conv2d_step(op: Operator, window: Window, overlap: int | None, scheme: str) -> Step:
    """A call of trecx_conv2d_s8_bytepair. overlap: the gap for the input; None: not allowed."""
    params = {
        **layer_fields(op, lambda weights: gather_order(weights, window.kernel[0])),
        **window_fields(op, window),
        **activation_fields(op),
    }
    entries = ENTRY_BYTES * ((window.output_shape[2] + 1) // 2)
    return Step(
        kernel="trecx_conv2d_s8_bytepair",
        sources=(
            "dsp/conv2d_s8_bytepair.c",
            "dsp/bytepair.c",
            "dsp/channels.c",
            "dsp/window.c",
        ),
        header="conv2d_s8_dsp.h",
        params_type="trecx_conv2d_s8_bytepair_params",
        params=params,
        inputs=(op.inputs[0],),
        outputs=(op.output,),
        scratch_bytes=entries + 24 * params["layer.groups"] + window.scratch_bytes,
        overlap={} if overlap is None else {0: overlap},
        instructions=_conv2d_instructions(params, window),
        scheme=scheme,
    )


def window_fields(op: Operator, window: Window) -> dict[str, object]:
    """Fields of the struct member `window`, a trecx_window."""
    height, width, channels = window.input_shape
    return {
        "window.row_bytes": window.row_bytes,
        "window.input_height": height,
        "window.input_width": width,
        "window.input_channels": channels,
        "window.output_height": window.output_shape[0],
        "window.output_width": window.output_shape[1],
        "window.kernel_height": window.kernel[0],
        "window.stride_height": window.stride[0],
        "window.stride_width": window.stride[1],
        "window.pad_top": window.pad[0],
        "window.pad_left": window.pad[1],
        "window.run": window.run,
        "window.input_zero_point": op.inputs[0].zero_point,
    }


def gather_instructions(window: Window, pixels: int) -> float:
    """Windows of `pixels` pixels to a tile."""
    whole, left = divmod(window.run, 4)
    tails = window.kernel[0] * left
    instructions = window.kernel[0] * (WIDEN[pixels] * whole + 20)
    return instructions + (WIDEN[pixels] * -(-tails // 4) + 14 * tails + 30 if left else 0)


def reading_instructions(window: Window) -> float:
    """All input rows to the ring, in all."""
    height, width, channels = window.input_shape
    return height * (0.7 * width * channels + 30)


def _conv2d_instructions(params: dict, window: Window) -> int:
    out_height, out_width, out_channels = window.output_shape
    row = 0
    for pixels in row_tiles(out_width):
        row += tile_instructions(pixels, params) + gather_instructions(window, pixels) + 40
    prepare = PREPARE_PAIR * ((out_channels + 1) // 2)
    return int(out_height * (row + 40) + reading_instructions(window) + prepare + 200)


@register
class DspConv2D1x1Bytepair(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "byte pairs, 1x1"

    def reason_against(self, op: Operator) -> str | None:
        if reason := pointwise_reason(op):
            return reason
        if op.inputs[0].shape[3] % 4:
            return "input channels are not a multiple of 4"
        return bytepair_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        channels, out_channels = source.shape[3], op.output.shape[3]
        pixels = op.output.size // out_channels
        pairs = (out_channels + 1) // 2
        params = {
            **layer_fields(op),
            "pixels": pixels,
            **activation_fields(op),
        }
        groups = channels // 4
        instructions = PREPARE_PAIR * pairs + 60
        for tile in row_tiles(pixels):
            instructions += tile_instructions(tile, params)
            instructions += WIDEN[tile] * groups + 35
        return [
            Step(
                kernel="trecx_conv2d_1x1_s8_bytepair",
                sources=("dsp/conv2d_1x1_s8_bytepair.c", "dsp/bytepair.c", "dsp/channels.c"),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_1x1_s8_bytepair_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=ENTRY_BYTES * pairs + 24 * groups,
                overlap={0: pointwise_overlap(op, min(pixels, row_tiles(pixels)[-1]))},
                instructions=instructions,
                scheme=self.scheme,
            )
        ]


@register
class DspConv2D1x1Eight(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "two pixels in registers, 1x1"

    def reason_against(self, op: Operator) -> str | None:
        if reason := pointwise_reason(op):
            return reason
        if op.inputs[0].shape[3] != 8:
            return "input channels are not 8"
        if op.output.shape[3] % 2 or op.output.shape[1] * op.output.shape[2] % 2:
            return "an odd number of pixels or output channels"
        packed = pack_channels(op, EIGHT_FAST_SHIFT)
        if isinstance(packed, str):
            return packed
        return None if packed.form.fast_shift else "the requantisation has no fast form"

    def lower(self, op: Operator) -> list[Step]:
        channels = op.output.shape[3]
        pixels = op.output.size // channels
        constants = pack_channels(op, EIGHT_FAST_SHIFT)
        params = {
            "weights": Blob("int8_t", constants.weights(op).reshape(-1)),
            **constants.fields("constants"),
            "pixels": pixels,
            "channels": channels,
            **activation_fields(op),
        }
        return [
            Step(
                kernel="trecx_conv2d_1x1_s8_eight",
                sources=("dsp/conv2d_1x1_s8_eight.c", "dsp/channels.c"),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_1x1_s8_eight_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=EIGHT_ENTRY_BYTES * channels,
                overlap={0: pointwise_overlap(op, 2)},
                instructions=120 * channels + pixels // 2 * (24 + 39 * channels // 2),
                scheme=self.scheme,
            )
        ]
