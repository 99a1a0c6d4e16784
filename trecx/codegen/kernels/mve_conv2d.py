"""CONV_2D on Helium."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from trecx.codegen.kernels.common import folded_bias
from trecx.codegen.kernels.mve_common import (
    LANES,
    MveChoice,
    clamp_instructions,
    corrects_ties,
    grouped_filters,
    left_shift,
    requantisation_bytes,
    requantisation_words,
    round_up,
    words,
    zero_point_fields,
)
from trecx.codegen.lowering import Blob, Step, register
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
class MveConv2D3x3(MveChoice):
    """Four pixels times two filters, lines in a ring; see mve/conv2d_s8_3x3.c."""

    kinds = ("CONV_2D",)
    scheme = "3x3 lines"

    def misfit(self, op: Operator) -> str | None:
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
        return too_many_channels(op) or left_shift(op)

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
                kernel=self._kernel(op),
                sources=("mve/conv2d_s8_3x3.c", "mve/memory.c"),
                header="conv2d_s8_mve.h",
                params_type="trecx_conv2d_s8_mve_3x3_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=56 + 20 * chunks + 48 * chunks * line + tile,
                overlap={0: row_gap(op)},
                instructions=self._instructions(op),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _kernel(op: Operator) -> str:
        stride = op.attrs.stride[1]
        if op.inputs[0].shape[3] != LANES:
            return f"trecx_conv2d_s8_mve_3x3_stride{stride}"
        suffix = "" if corrects_ties(op) else "_relu"
        return f"trecx_conv2d_s8_mve_3x3x16_stride{stride}{suffix}"

    @staticmethod
    def _packed(op: Operator) -> np.ndarray:
        weights = op.inputs[1].data
        filters = weights.shape[0]
        chunked = weights.reshape(filters, 3, 3, -1, LANES).transpose(0, 3, 1, 2, 4)
        pairs, members = grouped_filters(chunked.reshape(filters, -1, LANES), 2)
        ends = np.array([[op.output.zero_point, 1]] * len(pairs))
        ends[-1, 1] = 0
        parts = [pairs, requantisation_words(op, members), words(ends)]
        return np.concatenate(parts, axis=1).reshape(-1)

    @staticmethod
    def _instructions(op: Operator) -> int:
        _, height, width, channels = op.inputs[0].shape
        _, out_height, out_width, out_channels = op.output.shape
        chunks, pairs = channels // LANES, -(-out_channels // 2)
        kernel_row = 36 if op.attrs.stride[1] == 1 else 39
        block = 3 * kernel_row * chunks + (22 if corrects_ties(op) else 20)
        blocks = -(-out_width // 4)
        if chunks == 1:
            row = blocks * (pairs * block + 10) + 70
        else:
            row = blocks * (pairs * (block + chunks) + 13 + 5 * chunks) + 80 + 30 * chunks
        staging = height * chunks * (4 * width + 12)
        return out_height * row + staging + clamp_instructions(op)


def too_many_channels(op: Operator) -> str | None:
    """The outputs of four pixels are scattered by 16-bit offsets."""
    channels = op.output.shape[3]
    if 4 * channels <= 2**16:
        return None
    return f"{channels} output channels are more than {2**14}"


def smallest_tile(pixels: int, channels: int) -> int:
    """Bytes of the scratch tile for blocks that must not be written directly."""
    return 8 * -(-channels // 2) if pixels % 4 or channels % 2 else 0


def balanced_group(pixels: int, largest: int) -> int:
    """A multiple of 4, at most `largest`, that splits the pixels into groups of similar size."""
    groups = -(-pixels // largest)
    return round_up(-(-pixels // groups), 4)


@register
class MveConv2DPatch(MveChoice):
    """Windows staged in groups, then a matrix product; see mve/conv2d_s8_patch.c."""

    kinds = ("CONV_2D",)
    scheme = "patches"
    staged_bytes: ClassVar[int] = 4096  # of a group
    staged_whole: ClassVar[int] = 4608  # up to this, all patches are one group

    def misfit(self, op: Operator) -> str | None:
        if op.inputs[1].shape[3] != op.inputs[0].shape[3]:
            return "the convolution is grouped"
        return too_many_channels(op) or left_shift(op)

    def lower(self, op: Operator) -> list[Step]:
        source, weights = op.inputs[0], op.inputs[1]
        _, height, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        _, kernel_height, kernel_width, _ = weights.shape
        a = op.attrs
        chunks = max(2, -(-math.prod(weights.shape[1:]) // LANES))
        pixels = out_height * out_width
        group = self._group(pixels, LANES * chunks)
        pairs, members = grouped_filters(padded_vectors(op, chunks), 2)
        packed = np.concatenate([pairs, requantisation_bytes(op, members)], axis=1)
        line_bytes, windows = 0, 0
        if not is_pointwise(op):
            reach = (out_width - 1) * a.stride[1] + (kernel_width - 1) * a.dilation[1] + 1
            line_bytes = round_up(channels * max(a.padding.left + width, reach), 4)
            lines = (kernel_height - 1) * a.dilation[0] + 1
            windows = LANES * chunks + 32 + round_up(lines * line_bytes + 16, 4)
        params = {
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "output_height": out_height,
            "output_width": out_width,
            "output_channels": out_channels,
            "kernel_height": kernel_height,
            "kernel_width": kernel_width,
            "stride_height": a.stride[0],
            "stride_width": a.stride[1],
            "dilation_height": a.dilation[0],
            "dilation_width": a.dilation[1],
            "pad_top": a.padding.top,
            "pad_left": a.padding.left,
            **zero_point_fields(op),
            "chunks": chunks,
            "group": group,
            "line_bytes": line_bytes,
            "packed": Blob("int8_t", packed.reshape(-1), align=8),
        }
        return [
            Step(
                kernel=self._kernel(op, chunks),
                sources=("mve/conv2d_s8_patch.c", "mve/product_s8.c", "mve/memory.c"),
                header="conv2d_s8_mve.h",
                params_type="trecx_conv2d_s8_mve_patch_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=120
                + group * chunks * LANES
                + windows
                + smallest_tile(pixels, out_channels),
                overlap={0: group_gap(op, group_ends(pixels, group))},
                instructions=self._instructions(op, chunks, group),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _kernel(op: Operator, chunks: int) -> str:
        if chunks > 2:
            return "trecx_conv2d_s8_mve_patch"
        return "trecx_conv2d_s8_mve_patch_32" + ("" if corrects_ties(op) else "_relu")

    def _group(self, pixels: int, patch_bytes: int) -> int:
        if round_up(pixels, 4) * patch_bytes <= self.staged_whole:
            return round_up(pixels, 4)
        group = balanced_group(pixels, max(4, self.staged_bytes // patch_bytes // 4 * 4))
        return round_up(group, 8) if patch_bytes == 2 * LANES else group  # two blocks at a time

    @staticmethod
    def _instructions(op: Operator, chunks: int, group: int) -> int:
        pixels = op.output.shape[1] * op.output.shape[2]
        ends = group_ends(pixels, group)
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        product = sum(_product_instructions(op, chunks, count) for count in counts)
        return product + _staging_instructions(op, chunks, counts) + clamp_instructions(op)


def _product_instructions(op: Operator, chunks: int, patches: int) -> int:
    """Of one group of staged patches."""
    channels, ties = op.output.shape[3], corrects_ties(op)
    pairs = -(-channels // 2)
    if chunks == 2:
        by_two = patches % 8 == 0 and channels <= 36 and op.output.zero_point == -128
        two_blocks = 81 if by_two else 90 if ties else 86
        return pairs * (-(-patches // 4) * two_blocks // 2 + 19) + 70
    in_threes = 3 * (-patches % 4)
    if patches < in_threes or channels % 2:
        in_threes = 0
    calls = 1 + (in_threes > 0)
    streamed, short = 14 * (chunks - 2) + 25, 11 * (chunks - 2) + 21
    if chunks > 8 or ties:
        streamed += chunks + 10
    if chunks > 16 or ties:
        short += chunks + 10
    epilogue = 22 if ties else 20
    fours = -(-(patches - in_threes) // 4) * (streamed + epilogue)
    threes = in_threes // 3 * (short + epilogue)
    return pairs * (fours + threes + 19 * calls) + 70 * calls


def _staging_instructions(op: Operator, chunks: int, counts: list[int]) -> int:
    """Of all groups; counts: their patches."""
    pixels = sum(counts)
    kernel_height, kernel_width, channels = op.inputs[1].shape[1:]
    if is_pointwise(op):
        if max(op.attrs.stride) > 1 or channels % LANES:
            return pixels * (28 + 7 * chunks)
        if chunks == 2:
            return 6 * pixels + 60 * len(counts)
        left_over = sum(-3 * count % 12 for count in counts)
        return pixels * (7 * chunks // 2 + 2) + left_over * 8 * chunks + 30 * chunks * len(counts)
    if (kernel_height, kernel_width, channels) == (3, 3, 3):
        window = 7
    elif (kernel_width * channels) % 2 == 0 and op.attrs.stride[1] * channels % 2 == 0:
        window = 22 + 5 * chunks
    else:
        window = kernel_height * (12 + 5 * -(-kernel_width * channels // LANES)) + 12 * chunks
    line = 3 * -(-op.inputs[0].shape[2] * channels // LANES)
    row = kernel_height * (line + 8) + 80
    return pixels * window + op.output.shape[1] * row + 60 * len(counts) + 200


def is_pointwise(op: Operator) -> bool:
    """1x1, every output pixel from a pixel of the input."""
    inside = all(
        (out - 1) * stride < size
        for out, stride, size in zip(
            op.output.shape[1:3], op.attrs.stride, op.inputs[0].shape[1:3], strict=True
        )
    )
    padding = op.attrs.padding
    return inside and op.inputs[1].shape[1:3] == (1, 1) and padding.top == padding.left == 0


def padded_vectors(op: Operator, vectors: int) -> np.ndarray:
    """Each filter filled up with zeros to whole vectors: int8, (filters, vectors, 16)."""
    flat = op.inputs[1].data.reshape(op.inputs[1].shape[0], -1)
    filled = np.pad(flat, ((0, 0), (0, LANES * vectors - flat.shape[1])))
    return filled.reshape(len(flat), vectors, LANES)


def group_ends(pixels: int, group: int) -> list[int]:
    """Number of output pixels written after each group."""
    return [*range(group, pixels, group), pixels]


def group_gap(op: Operator, ends: list[int]) -> int:
    """Overlap gap of a kernel that reads what a group of output pixels needs, then writes them.

    ends: for each group, the number of output pixels written after it.
    """
    _, height, width, channels = op.inputs[0].shape
    _, _, out_width, out_channels = op.output.shape
    gap = 0
    for end in ends[:-1]:
        if is_pointwise(op):
            y, x = divmod(end, out_width)
            unread = (y * op.attrs.stride[0] * width + x * op.attrs.stride[1]) * channels
        else:
            rows = rows_read_before(op, (end - 1) // out_width)
            if rows == height:
                break
            unread = rows * width * channels
        gap = max(gap, end * out_channels - unread)
    return gap


@register
class MveConv2DNarrow(MveChoice):
    """1x1, up to 16 channels: pixels in registers, filters streamed; see mve/conv2d_s8_narrow.c."""

    kinds = ("CONV_2D",)
    scheme = "narrow 1x1"

    def misfit(self, op: Operator) -> str | None:
        channels = op.inputs[0].shape[3]
        if not is_pointwise(op):
            return "the kernel is not 1x1 without padding"
        if op.inputs[1].shape[3] != channels:
            return "the convolution is grouped"
        if channels > LANES:
            return f"{channels} input channels are more than {LANES}"
        return left_shift(op)

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        _, _, width, channels = source.shape
        _, out_height, out_width, out_channels = op.output.shape
        stride_height, stride_width = op.attrs.stride
        row_step = stride_height * width * channels
        rows, row_pixels = out_height, out_width
        if row_step == out_width * stride_width * channels:  # rows follow one another evenly
            rows, row_pixels, row_step = 1, out_height * out_width, 0
        ends = [r * row_pixels + e for r in range(rows) for e in group_ends(row_pixels, 4)]
        pair_count = round_up(out_channels, 4) // 2
        vectors, suffix = padded_vectors(op, 1), "_relu" if op.output.zero_point == -128 else ""
        if has_room_for_bias(op):
            vectors[:, 0, 8:] = bias_weights(folded_bias(op))
            suffix = "_8_relu"
        pairs, members = grouped_filters(vectors, 2, pair_count)
        packed = np.concatenate([pairs, requantisation_words(op, members)], axis=1)
        params = {
            "input_channels": channels,
            "output_channels": out_channels,
            "rows": rows,
            "row_pixels": row_pixels,
            "row_step": row_step,
            "pixel_step": stride_width * channels,
            "last_row_bytes": source.nbytes - (rows - 1) * row_step,
            **{k: v for k, v in zero_point_fields(op).items() if k != "input_zero_point"},
            "packed": Blob("int8_t", packed.reshape(-1), align=8),
        }
        return [
            Step(
                kernel=f"trecx_conv2d_s8_mve_narrow{suffix}",
                sources=("mve/conv2d_s8_narrow.c",),
                header="conv2d_s8_mve.h",
                params_type="trecx_conv2d_s8_mve_narrow_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=132 + 8 * pair_count,
                overlap={0: group_gap(op, ends)},
                instructions=self._instructions(op, rows, row_pixels),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _instructions(op: Operator, rows: int, row_pixels: int) -> int:
        quads = -(-op.output.shape[3] // 4)
        quad = 48 if has_room_for_bias(op) else 52 if op.output.zero_point == -128 else 58
        block = quad * quads + 17
        row = -(-row_pixels // 4) * block + 60 + (150 if row_pixels % 4 else 0)
        return rows * row + 150 + clamp_instructions(op)


BIAS_LANES = np.array([127] * 7 + [1])  # what the free half of a vector holds


def has_room_for_bias(op: Operator) -> bool:
    """Whether the biases fit the free half of the vectors: eight channels, zero point -128."""
    limit = int(BIAS_LANES[:7].sum()) * 127
    small = np.abs(folded_bias(op).astype(np.int64)).max() <= limit
    return bool(op.inputs[0].shape[3] == 8 and op.output.zero_point == -128 and small)


def bias_weights(biases: np.ndarray) -> np.ndarray:
    """int8 weights of shape (filters, 8) whose products with BIAS_LANES add up to the biases."""
    quotient = np.rint(biases / 127).astype(np.int64)
    weights = np.empty((len(biases), 8), np.int64)
    weights[:, 7] = biases - 127 * quotient
    for lane in range(7):
        weights[:, lane] = np.clip(quotient, -127, 127)
        quotient = quotient - weights[:, lane]
    return weights.astype(np.int8)
