"""CONV_2D on the DSP extension with weights of 16 bits: faster, at twice the weights' flash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_bytepair import WIDEN, groups_of
from trecx.codegen.kernels.dsp_channels import Channels, pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT
from trecx.codegen.kernels.dsp_conv2d import (
    Window,
    gather_instructions,
    gather_order,
    pointwise_reason,
    reading_instructions,
    window_fields,
    window_of,
    window_overlap,
    window_reason,
)
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

FAST_SHIFT = 12  # TRECX_WIDE_FAST_SHIFT
SOURCES = ("dsp/wide.c", "dsp/window.c")
# Instructions measured on an emulated Cortex-M4.
GROUP, PAIR, TURN = {2: 10, 1: 6}, 6, 4
TILE = 40


def wide_reason(op: Operator, largest_d: int = 7) -> str | None:
    """Why filters cannot be widened or requantised; None when they can."""
    if op.output.shape[3] % 2:
        return "an odd number of output channels"
    packed = pack_channels(op, FAST_SHIFT, largest_d)
    return packed if isinstance(packed, str) else None


def wide_fields(
    op: Operator, order: Callable[[np.ndarray], np.ndarray], largest_d: int = 7
) -> dict[str, object]:
    """Fields of the struct member `layer`, a trecx_wide_layer, but for `groups`.

    order: from shifted weights, int64 (channels, height, width, inputs), to those of the stream,
    (channels, multiple of 4), which must fit 16 bits.
    """
    layer = shifted_layer(op, largest_d)
    weights = order(layer.weights)
    assert -INT16_LIMIT <= weights.min() <= weights.max() < INT16_LIMIT
    stream = [
        layer.biases.reshape(-1, 2) & 0xFFFFFFFF,
        group_words(weights),
        layer.requantisation.reshape(len(weights) // 2, -1) & 0xFFFFFFFF,
    ]
    return {
        "layer.weights": Blob("uint32_t", np.concatenate(stream, axis=1).reshape(-1)),
        "layer.channels": len(weights),
        "layer.fast": int(layer.fast),
    }


@dataclass(frozen=True)
class ShiftedLayer:
    """Weights (channels, height, width, inputs) and biases (channels,), shifted left as the
    requantisation wants the sums; int64.

    requantisation: multiplier, offset and in the general form the shift of each channel.
    """

    weights: np.ndarray
    biases: np.ndarray
    requantisation: np.ndarray
    fast: bool


def shifted_layer(op: Operator, largest_d: int = 7, fast_shift: int = FAST_SHIFT) -> ShiftedLayer:
    channels = pack_channels(op, fast_shift, largest_d)
    assert isinstance(channels, Channels), channels
    fast = channels.form.fast_shift > 0
    constants = [channels.exceptions.get(i, c) for i, c in enumerate(channels.standard)]
    left = np.array([c.shift + 1 if fast else 1 for c in constants])
    requantisation = [
        [c.multiplier, c.offset] if fast else [c.multiplier, c.offset, c.shift] for c in constants
    ]
    return ShiftedLayer(
        channels.weights(op).astype(np.int64) << left[:, None, None, None],
        np.array([c.bias for c in constants]) << left,
        np.array(requantisation),
        fast,
    )


def _window_fields(op: Operator) -> dict[str, object]:
    """`layer` for inputs in the order of trecx/dsp/window.h, padded to whole groups."""
    filter_size = op.inputs[1].data[0].size
    groups = groups_of(filter_size)

    def order(weights: np.ndarray) -> np.ndarray:
        flat = gather_order(weights.reshape(len(weights), -1), weights.shape[1])
        return np.pad(flat, ((0, 0), (0, 4 * groups - filter_size)))

    return {**wide_fields(op, order), "layer.groups": groups}


def group_words(weights: np.ndarray) -> np.ndarray:
    """Words (pairs, [group][2][2 filters]) of int64 weights (channels, inputs)."""
    lanes = (weights & 0xFFFF).reshape(len(weights), -1, 4)
    words = np.stack([lanes[..., 0] | lanes[..., 2] << 16, lanes[..., 1] | lanes[..., 3] << 16], -1)
    paired = words.reshape(len(weights) // 2, 2, -1, 2).transpose(0, 2, 3, 1)
    return paired.reshape(len(weights) // 2, -1)


def tile_instructions(layer: dict[str, object], pixels: int) -> int:
    """All channels of two pixels or one, without the gathering of their inputs."""
    groups, pairs = layer["layer.groups"], layer["layer.channels"] // 2
    turns = max(1, -(-(groups - 1) // 16))
    requantise = pixels * (6 if layer["layer.fast"] else 10)
    return TILE + pairs * (GROUP[pixels] * groups + PAIR + requantise + TURN * turns)


@register
class DspConv2DWide(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "16-bit weights"

    def reason_against(self, op: Operator) -> str | None:
        return window_reason(op) or wide_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        window = window_of(op)
        layer = _window_fields(op)
        return [
            Step(
                kernel="trecx_conv2d_s8_wide",
                sources=("dsp/conv2d_s8_wide.c", *SOURCES),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_s8_wide_params",
                params={**layer, **window_fields(op, window), **activation_fields(op)},
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=32 * layer["layer.groups"] + window.scratch_bytes,
                overlap={0: window_overlap(op)},
                instructions=self._instructions(layer, window),
                scheme=self.scheme,
                widened=True,
            )
        ]

    def _instructions(self, layer: dict[str, object], window: Window) -> int:
        out_height, out_width, _ = window.output_shape
        row = sum(
            tile_instructions(layer, pixels) + _gather_instructions(window, pixels) + 25
            for pixels in row_tiles(out_width)
        )
        return int(out_height * (row + 80) + reading_instructions(window) + 200)


def _gather_instructions(window: Window, pixels: int) -> float:
    if window.run == 9 and window.kernel[0] == 3:
        return 75
    return gather_instructions(window, pixels if window.run % 4 == 0 else 2)


def row_tiles(pixels: int) -> list[int]:
    return [2] * (pixels // 2) + [1] * (pixels % 2)


@register
class DspConv2D1x1Wide(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "16-bit weights, 1x1"

    def reason_against(self, op: Operator) -> str | None:
        if reason := pointwise_reason(op, any_stride=True):
            return reason
        if op.inputs[0].shape[3] % 4:
            return "input channels are not a multiple of 4"
        return wide_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        layer = _window_fields(op)
        _, _, width, channels = op.inputs[0].shape
        _, rows, row_pixels, _ = op.output.shape
        stride_height, stride_width = op.attrs.stride
        if op.attrs.stride == (1, 1):
            rows, row_pixels = 1, rows * row_pixels
        params = {
            **layer,
            "rows": rows,
            "row_pixels": row_pixels,
            "pixel_step": stride_width * channels,
            "row_step": stride_height * width * channels,
            **activation_fields(op),
        }
        widen = WIDEN[2] * layer["layer.groups"] + 20
        row = sum(tile_instructions(layer, n) + widen for n in row_tiles(row_pixels))
        return [
            Step(
                kernel="trecx_conv2d_1x1_s8_wide",
                sources=("dsp/conv2d_1x1_s8_wide.c", "dsp/wide.c"),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_1x1_s8_wide_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=16 * layer["layer.groups"],
                overlap={0: _pixels_overlap(params)},
                instructions=rows * (row + 20) + 60,
                scheme=self.scheme,
                widened=True,
            )
        ]


def _pixels_overlap(params: dict[str, object]) -> int:
    """Smallest gap when the inputs of a tile are read just before its outputs are written."""
    rows, pixels = params["rows"], params["row_pixels"]
    starts = np.arange(0, pixels, 2)
    row = np.arange(rows)[:, None]
    read = (row * params["row_step"] + starts * params["pixel_step"]).reshape(-1)
    ends = np.minimum(starts + 2, pixels)
    written = (row * pixels + ends).reshape(-1) * params["layer.channels"]
    return int(np.max(written[:-1] - read[1:], initial=0))
