"""Filters in byte pairs (deploy/include/trecx/dsp/bytepair.h): packing and preconditions."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.dsp_channels import Channels, pack_channels
from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator

FAST_SHIFT = 12  # TRECX_BYTEPAIR_FAST_SHIFT
ENTRY_BYTES = 48  # sizeof(trecx_bytepair_entry)
# Instructions measured on an emulated Cortex-M4.
TILE_START, PAIR_START = 45, 19
GROUP = {3: 17, 2: 13}
TURN = 2  # loop over up to four groups
WIDEN = {3: 12, 2: 9, 1: 9}
PREPARE_PAIR = 45


def pair_channels(channels: int) -> np.ndarray:
    """(pairs, 2) channel numbers; an odd number has its second channel in two pairs."""
    if channels % 2 == 0:
        return np.arange(channels).reshape(-1, 2)
    return np.concatenate([[[0, 1]], np.arange(1, channels).reshape(-1, 2)])


def groups_of(inputs: int) -> int:
    return -(-inputs // 4)


def halfword_reason(op: Operator) -> str | None:
    """Why the weights cannot be paired; None when they can."""
    if int(op.inputs[1].data.min(initial=0)) == -128:
        return "a weight of -128, which beside a negative one does not fit a halfword"
    return None


def bytepair_reason(op: Operator) -> str | None:
    """Why a layer's filters cannot be paired or requantised; None when they can."""
    channels = pack_channels(op, FAST_SHIFT)
    return halfword_reason(op) or (channels if isinstance(channels, str) else None)


def pair_words(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Words of pairs of filters.

    Args:
        first, second: int8 weights (pairs, inputs).

    Returns:
        int64 (pairs, groups, 2) of 32-bit words: lanes of inputs (0, 2), then (1, 3).
    """
    halfwords = 256 * second.astype(np.int64) + first
    inputs = halfwords.shape[1]
    padded = np.pad(halfwords, ((0, 0), (0, 4 * groups_of(inputs) - inputs)))
    lanes = (padded & 0xFFFF).reshape(len(padded), -1, 4)
    return np.stack([lanes[..., 0] | lanes[..., 2] << 16, lanes[..., 1] | lanes[..., 3] << 16], -1)


def bytepair_weights(weights: np.ndarray) -> Blob:
    """The words of a convolution, int8 (channels, inputs), in the order [pair][group][2]."""
    first, second = pair_channels(len(weights)).T
    return Blob("uint32_t", pair_words(weights[first], weights[second]).reshape(-1))


def layer_fields(op: Operator, order=lambda weights: weights) -> dict[str, object]:
    """Fields of the struct member `layer`, a trecx_bytepair_layer.

    order: puts the weights (channels, inputs) into the order of the kernel's inputs.
    """
    channels = pack_channels(op, FAST_SHIFT)
    assert isinstance(channels, Channels), channels
    weights = order(channels.weights(op).reshape(op.output.shape[-1], -1))
    return {
        "layer.weights": bytepair_weights(weights),
        **channels.fields("layer.constants"),
        "layer.groups": groups_of(op.inputs[1].data[0].size),
        "layer.channels": op.output.shape[-1],
    }


def row_tiles(pixels: int) -> list[int]:
    """Tiles that cover a run of pixels, as trecx_bytepair_tile_pixels cuts them."""
    tiles = []
    while pixels > 0:
        tiles.append(3 if pixels == 3 or pixels > 4 else 2)
        pixels -= tiles[-1]
    return tiles


def tile_instructions(pixels: int, fields: dict[str, object]) -> int:
    """One tile, all channels of a layer, without the gathering of its inputs."""
    groups, pairs = fields["layer.groups"], (fields["layer.channels"] + 1) // 2
    requantise = 2 * pixels * (4 if fields["layer.constants.fast_shift"] else 6)
    turns = -(-groups // 4)
    dot = GROUP[pixels] * groups + TURN * turns
    return TILE_START + pairs * (PAIR_START + requantise + dot)
