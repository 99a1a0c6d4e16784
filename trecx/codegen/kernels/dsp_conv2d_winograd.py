"""CONV_2D 3x3 with stride 1 by Winograd's F(4x4, 3x3): fast, at eight times the weights' flash."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_channels import Channels, pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT, folded_bias
from trecx.codegen.kernels.dsp_conv2d import plain_window_reason
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.weights import weight_sums

FAST_SHIFT, LARGEST_D = 12, 5  # TRECX_WINOGRAD4_FAST_SHIFT; the sums arrive times 2^6
LANE_OFFSET = 0x4000  # TRECX_WINOGRAD4_LANE_OFFSET
POINTS = 36
TILE = 4
MAX_CHANNELS = 64
# The matrix C of the header: the usual filter transform, times (12, 6, 6, 24, 24, 3).
FILTER_TRANSFORM = np.array(
    [[3, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 3]], np.int64
)
BIAS_POINT, BIAS_FACTOR = 7, 36  # (1, 1): 16 * 36 = 576
# Instructions measured on an emulated Cortex-M4.
TRANSFORM, GROUP, POINT, FINISH = 687, 10, 9, 270


@register
class DspConv2DWinograd4(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "Winograd F(4x4)"

    def reason_against(self, op: Operator) -> str | None:
        if reason := plain_window_reason(op):
            return reason
        if tuple(op.inputs[1].shape[1:3]) != (3, 3) or op.attrs.stride != (1, 1):
            return "not a 3x3 kernel with stride 1"
        if op.output.shape[1] % TILE or op.output.shape[2] % TILE:
            return "the output is not made of whole tiles of 4x4"
        channels = op.inputs[0].shape[3]
        if channels % 4 or channels > MAX_CHANNELS:
            return f"{channels} input channels; multiples of 4 up to {MAX_CHANNELS} are possible"
        if op.output.shape[3] % 2:
            return "an odd number of output channels"
        if max(*op.inputs[0].shape, *op.output.shape) >= INT16_LIMIT:
            return "a dimension does not fit 16 bits"
        packed = pack_channels(op, FAST_SHIFT, LARGEST_D)
        return packed if isinstance(packed, str) else None

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        _, height, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        constants = pack_channels(op, FAST_SHIFT, LARGEST_D)
        assert isinstance(constants, Channels), constants
        row_bytes = (out_width + 2) * channels
        params = {
            "weights": Blob("uint32_t", _transformed_weights(op, constants)),
            **constants.fields("constants"),
            "row_bytes": row_bytes,
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "output_height": out_height,
            "output_width": out_width,
            "output_channels": out_channels,
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            "input_zero_point": source.zero_point,
            **activation_fields(op),
        }
        pairs_of_tiles = -(-out_width // (2 * TILE))
        scratch = 16 * out_channels + 720 + pairs_of_tiles * POINTS * channels * 4 + 6 * row_bytes
        return [
            Step(
                kernel="trecx_conv2d_s8_winograd4",
                sources=("dsp/conv2d_s8_winograd4.c", "dsp/channels.c"),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_s8_winograd4_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=scratch,
                overlap={0: _tile_row_overlap(op)},
                instructions=_instructions(op),
                scheme=self.scheme,
            )
        ]


def _tile_row_overlap(op: Operator) -> int:
    """Smallest gap when the input rows of four output rows are read before these are written."""
    _, height, width, channels = op.inputs[0].shape
    _, out_height, out_width, out_channels = op.output.shape
    gap = 0
    for y in range(TILE, out_height, TILE):
        unread = y + 2 - op.attrs.padding.top  # the two rows before are in the ring
        if unread < height:
            gap = max(gap, y * out_width * out_channels - max(unread, 0) * width * channels)
    return gap


def _transformed_weights(op: Operator, constants: Channels) -> np.ndarray:
    """The weights of trecx_conv2d_s8_winograd4_params as unsigned words."""
    weights = constants.weights(op).astype(np.int64)
    filters, _, _, channels = weights.shape
    points = np.einsum("ik,fklc,jl->fjic", FILTER_TRANSFORM, weights, FILTER_TRANSFORM)
    points = points.reshape(filters, POINTS, channels)
    groups = points.reshape(filters, POINTS, -1, 4)
    start = -LANE_OFFSET * groups[..., :2].sum(axis=(2, 3))
    start[:, BIAS_POINT] += BIAS_FACTOR * _bias(op, constants)
    lanes = groups & 0xFFFF
    words = np.stack([lanes[..., 0] | lanes[..., 2] << 16, lanes[..., 1] | lanes[..., 3] << 16], -1)
    # [pair][point][2 start values], [pair][point][group][2][2 filters]
    paired_start = (start & 0xFFFFFFFF).reshape(-1, 2, POINTS).transpose(0, 2, 1)
    paired = words.reshape(filters // 2, 2, POINTS, -1).transpose(0, 2, 3, 1)
    paired = paired.reshape(filters // 2, POINTS, -1)
    return np.concatenate([paired_start, paired], axis=2).reshape(-1)


def _bias(op: Operator, constants: Channels) -> np.ndarray:
    """Of each channel, for inputs whose zero point has been moved to -128."""
    moved = folded_bias(op) - 128 * weight_sums(op)[0]
    for index, packed in enumerate(constants.standard):
        bias = constants.exceptions[index].bias if packed is None else packed.bias
        if index in constants.constant:
            moved[index] = bias
        else:
            moved[index] += bias - folded_bias(op)[index]
    return moved


def _instructions(op: Operator) -> int:
    _, out_height, out_width, out_channels = op.output.shape
    channels = op.inputs[0].shape[3]
    tiles = out_height * out_width // TILE**2
    rows = out_height // TILE
    pairs = out_channels // 2 * rows * -(-out_width // (2 * TILE))
    multiply = pairs * (POINTS * (POINT + GROUP * channels // 4) + 60)
    reading = op.inputs[0].size + rows * out_width * channels
    return int(tiles * (TRANSFORM * channels // 4 + FINISH * out_channels) + multiply + reading)
