"""Filters in byte pairs (deploy/include/trecx/dsp/bytepair.h): packing and preconditions."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.dsp_common import (
    accumulator_range,
    constants_blob,
    keeps_negatives,
    largest_right_shift,
    requantisation_reason,
)
from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator

# (S - A) >> 8 recovers the second filter of a pair when its sum is below this.
SECOND_FILTER_LIMIT = 1 << 23
# Above, the second filter's sum times 256 overflows in the requantisation.
LARGEST_SHIFT_WITHOUT_ROUNDING = 14
ENTRY_BYTES = 48  # sizeof(trecx_bytepair_entry)
# Instructions measured on an emulated Cortex-M4.
TILE_START, PAIR_START = 60, 47
GROUP = {3: 17, 2: 13}
TURN = 2  # loop over up to four groups
WIDEN = {3: 12, 2: 14}
PREPARE_PAIR = 45


def pair_channels(channels: int) -> np.ndarray:
    """(pairs, 2) channel numbers; an odd number has its second channel in two pairs."""
    if channels % 2 == 0:
        return np.arange(channels).reshape(-1, 2)
    if channels == 1:
        return np.zeros((1, 2), int)
    return np.concatenate([[[0, 1]], np.arange(1, channels).reshape(-1, 2)])


def groups_of(inputs: int) -> int:
    return -(-inputs // 4)


def bytepair_reason(op: Operator) -> str | None:
    """Why the filters of a convolution cannot be paired; None when they can."""
    channels = op.output.shape[-1]
    low, high = accumulator_range(op)
    second = pair_channels(channels)[:, 1]
    largest = int(max(-low[second].min(), high[second].max() + 1))
    if largest > SECOND_FILTER_LIMIT:
        return f"a second filter's sum can reach {largest}; the limit is {SECOND_FILTER_LIMIT}"
    if int(_halfwords(op).min()) < -(1 << 15):
        return "a weight of -128 beside a negative one does not fit a halfword"
    return requantisation_reason(op)


def _halfwords(op: Operator) -> np.ndarray:
    """int64 (pairs, inputs): 256 * second filter + first filter."""
    weights = op.inputs[1].data.reshape(op.output.shape[-1], -1).astype(np.int64)
    first, second = pair_channels(len(weights)).T
    return 256 * weights[second] + weights[first]


def bytepair_words(op: Operator) -> np.ndarray:
    """int64 (pairs, groups, 2) of 32-bit words: lanes of inputs (0, 2), then (1, 3)."""
    halfwords = _halfwords(op)
    inputs = halfwords.shape[1]
    padded = np.pad(halfwords, ((0, 0), (0, 4 * groups_of(inputs) - inputs)))
    lanes = (padded & 0xFFFF).reshape(len(padded), -1, 4)
    return np.stack([lanes[..., 0] | lanes[..., 2] << 16, lanes[..., 1] | lanes[..., 3] << 16], -1)


def bytepair_weights(op: Operator) -> Blob:
    """The words in the order [pair][group][2]."""
    return Blob("uint32_t", bytepair_words(op).reshape(-1))


def layer_fields(op: Operator) -> dict[str, object]:
    """Fields of the struct member `layer`, a trecx_bytepair_layer."""
    fields = {
        "weights": bytepair_weights(op),
        "constants": constants_blob(op),
        "groups": groups_of(op.inputs[1].data[0].size),
        "channels": op.output.shape[-1],
        "zero_point": op.output.zero_point,
        "round_negatives": int(
            keeps_negatives(op) or largest_right_shift(op) > LARGEST_SHIFT_WITHOUT_ROUNDING
        ),
    }
    return {f"layer.{name}": value for name, value in fields.items()}


def row_tiles(pixels: int) -> list[int]:
    """Tiles that cover a run of pixels, as trecx_bytepair_tile_pixels cuts them."""
    tiles = []
    while pixels > 0:
        tiles.append(3 if pixels == 3 or pixels > 4 else 2)
        pixels -= tiles[-1]
    return tiles


def tile_instructions(pixels: int, groups: int, channels: int, round_negatives: bool) -> int:
    """One tile, all channels, without the gathering of its inputs."""
    pairs = (channels + 1) // 2
    requantise = 2 * pixels * (5 + bool(round_negatives))
    turns = -(-groups // 4)
    dot = GROUP[pixels] * groups + TURN * turns
    return TILE_START + pairs * (PAIR_START - 30 + requantise + dot)
