"""CONV_2D on the DSP extension, weights at int8 size: filters in byte pairs."""

from __future__ import annotations

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_bytepair import (
    ENTRY_BYTES,
    PREPARE_PAIR,
    WIDEN,
    bytepair_reason,
    groups_of,
    layer_fields,
    row_tiles,
    tile_instructions,
)
from trecx.codegen.kernels.dsp_channels import pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

MAX_KERNEL_HEIGHT = 16
EIGHT_FAST_SHIFT = 12  # TRECX_EIGHT_FAST_SHIFT
EIGHT_ENTRY_BYTES = 28


def window_overlap(op: Operator) -> int:
    """Smallest gap for a kernel that reads whole input rows just before it writes an output row.

    Output row y is written when input rows up to the end of its window have been read; what is
    read later must lie behind what has been written.
    """
    _, height, width, channels = op.inputs[0].shape
    _, out_height, out_width, out_channels = op.output.shape
    kernel_height, stride = op.inputs[1].shape[1], op.attrs.stride[0]
    in_row, out_row = width * channels, out_width * out_channels
    ends = [y * stride + kernel_height - op.attrs.padding.top for y in range(out_height)]
    all_read = min(height, ends[-1])
    gap = 0
    for y, end in enumerate(ends):
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


def pointwise_reason(op: Operator) -> str | None:
    """Why a convolution is not a product of pixels and a matrix; None when it is."""
    if reason := plain_window_reason(op):
        return reason
    if tuple(op.inputs[1].shape[1:3]) != (1, 1) or op.attrs.stride != (1, 1):
        return "not a 1x1 kernel with stride 1"
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


@register
class DspConv2DBytepair(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "byte pairs"

    def reason_against(self, op: Operator) -> str | None:
        if reason := plain_window_reason(op):
            return reason
        filter_size = op.inputs[1].data[0].size
        if max(filter_size, *op.inputs[0].shape, *op.output.shape) >= INT16_LIMIT:
            return "a dimension does not fit 16 bits"
        if op.inputs[1].shape[1] > MAX_KERNEL_HEIGHT:
            return f"a kernel of {op.inputs[1].shape[1]} rows; {MAX_KERNEL_HEIGHT} are possible"
        return bytepair_reason(op)

    def _row_bytes(self, op: Operator) -> int:
        """A padded row in the ring, to whole words."""
        _, _, width, channels = op.inputs[0].shape
        columns = max(
            op.attrs.padding.left + width,
            (op.output.shape[2] - 1) * op.attrs.stride[1] + op.inputs[1].shape[2],
        )
        return -(-columns * channels // 4) * 4

    def lower(self, op: Operator) -> list[Step]:
        source, weights = op.inputs[0], op.inputs[1]
        _, height, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        _, kernel_height, kernel_width, _ = weights.shape
        run = kernel_width * channels
        groups = groups_of(kernel_height * run)
        params = {
            **layer_fields(op),
            "row_bytes": self._row_bytes(op),
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "output_height": out_height,
            "output_width": out_width,
            "kernel_height": kernel_height,
            "stride_height": op.attrs.stride[0],
            "stride_width": op.attrs.stride[1],
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            "run": run,
            "input_zero_point": source.zero_point,
            **activation_fields(op),
        }
        pairs = (out_channels + 1) // 2
        patches = 3 * (4 * groups + 12) if run % 4 else 0
        ring = kernel_height * self._row_bytes(op) + (12 if run % 4 else 0)
        scratch = ENTRY_BYTES * pairs + 24 * groups + patches + ring
        return [
            Step(
                kernel="trecx_conv2d_s8_bytepair",
                sources=("dsp/conv2d_s8_bytepair.c", "dsp/bytepair.c", "dsp/channels.c"),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_s8_bytepair_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=scratch,
                overlap={0: window_overlap(op)},
                instructions=self._instructions(op, params),
                scheme=self.scheme,
            )
        ]

    def _instructions(self, op: Operator, params: dict) -> int:
        channels = params["layer.channels"]
        row = 0
        for pixels in row_tiles(params["output_width"]):
            gather = WIDEN[pixels] * params["layer.groups"] + 22 * params["kernel_height"]
            if params["run"] % 4:
                words = -(-params["run"] // 4)
                gather += pixels * params["kernel_height"] * (6 * words + 12)
            tile = tile_instructions(pixels, params)
            row += tile + gather + 40
        reading = op.inputs[0].size * 0.7 + 30 * params["input_height"]
        prepare = PREPARE_PAIR * ((channels + 1) // 2)
        return int(params["output_height"] * (row + 40) + reading + prepare + 200)


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
