"""DEPTHWISE_CONV_2D on Helium."""

from __future__ import annotations

import numpy as np

from trecx.codegen.geometry import taps_inside, window_gap
from trecx.codegen.kernels.common import (
    bias_values,
    folded_bias,
    offset_fields,
    requantisation_fields,
    window_fields,
)
from trecx.codegen.kernels.mve_common import (
    MveChoice,
    clamp_instructions,
    corrects_ties,
    left_shift,
    right_shift_requantisation,
    round_up,
    words,
    zero_point_fields,
)
from trecx.codegen.lowering import Blob, Step, register
from trecx.ir.graph import Operator
from trecx.ir.weights import weight_sums

WORK_BYTES = 144  # sizeof(depthwise) in mve/depthwise_conv2d_s8_3x3.c
GROUP_PIXELS = 192  # input pixels whose places are tabulated, at least a row
BAND_BLOCKS = 24  # blocks of eight outputs whose places are tabulated, if rows divide so
PLACES = 2**16  # offsets are 16-bit
SMALLEST_SHIFT, LARGEST_SHIFT = 5, 12  # for which there is a loop of its own
WIDEST_STRIDE2_PLANE = 123  # 8-bit offsets of a gather: two rows and four columns


class _Geometry:
    """Sizes of the planes and tables of the 3x3 kernels; the header states the rules."""

    def __init__(self, op: Operator):
        _, height, width, channels = op.inputs[0].shape
        _, out_height, out_width, _ = op.output.shape
        a = op.attrs
        self.stride = a.stride[1]
        if self.stride == 1:
            reach = (out_height + 2, out_width + 2 + out_width % 2)
        else:
            reach = ((out_height - 1) * a.stride[0] + 3, 2 * out_width + 1)
        self.plane_height = max(a.padding.top + height, reach[0])
        self.plane_width = max(a.padding.left + width, reach[1])
        if self.stride == 1:
            self.plane_width = round_up(self.plane_width, 2)
        self.group_rows = min(height, -(-GROUP_PIXELS // width))
        self.out_height, self.out_width, self.channels = out_height, out_width, channels
        self.band_rows = self._band_rows()
        self.bands = out_height // self.band_rows
        self.blocks, self.units, self.place_bytes = self._band(self.band_rows)
        self.patches = self.units * self.bands * (1 if self.stride == 1 else 2)
        self.group_pixels = self.group_rows * width

    def _band(self, rows: int) -> tuple[int, int, int]:
        """Of a band of output rows: (blocks, units, bytes of the places)."""
        if self.stride == 2:
            neighbours = round_up(rows * -(-self.out_width // 2), 4)
            return neighbours // 4, neighbours, 4 * neighbours
        squares = round_up(-(-rows // 2) * (self.out_width // 2), 2)
        columns = self.out_width % 2 * round_up(-(-rows // 2), 4)
        return squares // 2 + columns // 4, squares + columns, 8 * squares + 4 * columns

    def _band_rows(self) -> int:
        """The largest divisor of the height with few enough blocks that wastes no block."""
        whole = self._band(self.out_height)[0]
        if whole <= BAND_BLOCKS:
            return self.out_height
        step = 2 if self.stride == 1 else 1
        fitting = [self.out_height]
        for rows in range(step, self.out_height, step):
            blocks, units, _ = self._band(rows)
            wasteful = self.out_height % rows or blocks * self.out_height != whole * rows
            if not wasteful and units >= 4 and blocks <= BAND_BLOCKS:
                fitting.append(rows)
        return max(fitting[1:], default=self.out_height)

    @property
    def largest_place(self) -> int:
        return max(
            self.band_rows * self.out_width * self.channels,
            8 * self.channels,
            2 * self.plane_height * self.plane_width,
        )

    @property
    def scratch_bytes(self) -> int:
        return (
            WORK_BYTES
            + 4 * self.patches
            + self.place_bytes
            + 2 * round_up(self.group_pixels, 2)
            + 16
            + 2 * self.plane_height * self.plane_width
        )


@register
class MveDepthwiseConv2D3x3(MveChoice):
    """Channel by channel through a plane, patches by gather; mve/depthwise_conv2d_s8_3x3.c."""

    kinds = ("DEPTHWISE_CONV_2D",)
    scheme = "3x3 planes"

    def misfit(self, op: Operator) -> str | None:
        _, kernel_height, kernel_width, out_channels = op.inputs[1].shape
        stride = op.attrs.stride
        if kernel_height > 3 or kernel_width > 3:
            return f"the kernel is {kernel_height}x{kernel_width}, larger than 3x3"
        if op.attrs.dilation != (1, 1):
            return "the kernel is dilated"
        if out_channels != op.inputs[0].shape[3]:
            return "more than one output channel for an input channel"
        if out_channels % 2:
            return f"{out_channels} channels, an odd number"
        if stride != (1, 1) and stride[1] != 2:
            return f"stride {stride}; (1, 1) and (any, 2) are supported"
        if min(op.output.shape[1:3]) < 2:
            return "the output is less than two pixels high or wide"
        geometry = _Geometry(op)
        if geometry.stride == 2 and geometry.plane_width > WIDEST_STRIDE2_PLANE:
            return f"a padded row has {geometry.plane_width} pixels, more than 123, at stride 2"
        if geometry.largest_place >= PLACES:
            return "too large for 16-bit offsets"
        return left_shift(op)

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        geometry = _Geometry(op)
        params = {
            "input_height": source.shape[1],
            "input_width": source.shape[2],
            "channels": source.shape[3],
            "output_height": op.output.shape[1],
            "output_width": op.output.shape[2],
            "stride_height": op.attrs.stride[0],
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            "plane_height": geometry.plane_height,
            "plane_width": geometry.plane_width,
            "group_rows": geometry.group_rows,
            "band_rows": geometry.band_rows,
            **zero_point_fields(op),
            "packed": Blob("int8_t", channel_records(op).reshape(-1), align=8),
        }
        suffix = "_relu" if by_shift(op) else ""
        return [
            Step(
                kernel=f"trecx_depthwise_conv2d_s8_mve_3x3_stride{geometry.stride}{suffix}",
                sources=("mve/depthwise_conv2d_s8_3x3.c", "mve/memory.c"),
                header="depthwise_conv2d_s8_mve.h",
                params_type="trecx_depthwise_conv2d_s8_mve_3x3_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=geometry.scratch_bytes,
                overlap={0: 0},
                instructions=self._instructions(op, geometry),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _instructions(op: Operator, g: _Geometry) -> int:
        pixels = op.inputs[0].size // g.channels
        block = (25 if g.stride == 1 else 27) + (0 if by_shift(op) else 6)
        groups = -(-pixels // g.group_pixels)
        pair = 9 * groups + 7 * -(-pixels // 8) + 20 + 2 * g.bands * (g.blocks * block + 9) + 60
        tables = 30 * g.units + 5 * g.patches + 4 * g.group_pixels
        planes = g.plane_height * g.plane_width // 4
        return g.channels // 2 * pair + tables + planes + 400 + clamp_instructions(op)


def by_shift(op: Operator) -> bool:
    """Whether the kernel with a loop for every shift is exact.

    It adds the zero point before the shift, so nothing may leave 32 bits there.
    """
    shift = -right_shift_requantisation(op)[1]
    accumulator = np.abs(folded_bias(op).astype(np.int64)) + 128 * weight_sums(op)[1]
    return (
        not corrects_ties(op)
        and int(shift.min()) >= SMALLEST_SHIFT
        and int(shift.max()) <= LARGEST_SHIFT
        and int(accumulator.max()) < 2**30
    )


def channel_records(op: Operator) -> np.ndarray:
    """Kernel rows and requantisation as the header states them: int8 rows, one a channel."""
    weights = op.inputs[1].data[0]
    kernel_height, kernel_width, channels = weights.shape
    multiplier, shift = right_shift_requantisation(op)
    rows = np.zeros((channels, 3, 4), np.int8)
    rows[:, :kernel_height, 1 : 1 + kernel_width] = weights.transpose(2, 0, 1)
    third_taps = np.pad(rows[:, :, 3], ((0, 0), (0, 1)))
    rows[:, 0, 0] = -shift
    parts = [rows.reshape(channels, 12), words(np.stack([folded_bias(op), multiplier], axis=1))]
    if op.attrs.stride[1] == 2:
        parts.insert(0, third_taps)
    return np.concatenate(parts, axis=1)


@register
class MveDepthwiseConv2DLanes(MveChoice):
    """Any shape, four channels at a time; see mve/depthwise_conv2d_s8_lanes.c."""

    kinds = ("DEPTHWISE_CONV_2D",)
    scheme = "channel lanes"

    def misfit(self, op: Operator) -> str | None:
        if op.inputs[1].shape[3] != op.inputs[0].shape[3]:
            return "more than one output channel for an input channel"
        return None

    def lower(self, op: Operator) -> list[Step]:
        source, weights = op.inputs[0], op.inputs[1]
        kernel = weights.shape[1:3]
        params = {
            **window_fields(op, kernel),
            "input_channels": source.shape[3],
            "channel_multiplier": 1,
            **offset_fields(op),
            "weights": Blob("int8_t", weights.data.reshape(-1), align=1),
            "bias": Blob("int32_t", bias_values(op)),
            **requantisation_fields(op),
        }
        pixels, groups = op.output.size // source.shape[3], -(-source.shape[3] // 4)
        return [
            Step(
                kernel="trecx_depthwise_conv2d_s8_mve_lanes",
                sources=("mve/depthwise_conv2d_s8_lanes.c",),
                header="depthwise_conv2d_s8_mve.h",
                params_type="trecx_depthwise_conv2d_s8_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                overlap={0: window_gap(op, by_channel=True)},
                instructions=groups
                * (10 * taps_inside(op, kernel) + pixels * (20 * kernel[0] + 45))
                + 60 * pixels,
                scheme=self.scheme,
            )
        ]
