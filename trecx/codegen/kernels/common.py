"""Parameter fields that many kernels share."""

from __future__ import annotations

import numpy as np

from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator
from trecx.ir.quantize import (
    activation_range,
    conv_multipliers,
    fully_connected_multipliers,
)

# A dot product of int8 weights and zero-point-corrected inputs (at most 255) must fit int32.
DOT_LIMIT = 2**31


def requantisation(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """(multipliers, shifts) of each output channel of a convolution or dense layer."""
    formula = fully_connected_multipliers if op.kind == "FULLY_CONNECTED" else conv_multipliers
    return formula(op.inputs[0].quant, op.inputs[1].quant, op.output.quant, op.output.shape[-1])


def requantisation_fields(op: Operator) -> dict[str, object]:
    """The struct fields `multiplier` and `shift`."""
    multiplier, shift = requantisation(op)
    return {"multiplier": Blob("int32_t", multiplier), "shift": Blob("int8_t", shift, align=1)}


def offset_fields(op: Operator) -> dict[str, object]:
    """The struct fields of the zero points and of the fused activation."""
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return {
        "input_offset": -op.inputs[0].zero_point,
        "output_offset": op.output.zero_point,
        "activation_min": low,
        "activation_max": high,
    }


def bias_values(op: Operator) -> np.ndarray:
    """int32 array of shape (channels,); zeros where the operator has no bias."""
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is None:
        return np.zeros(op.output.shape[-1], np.int32)
    return bias.data.reshape(-1).astype(np.int32)


def weight_sums(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """(sum of weights, sum of their absolute values) of each output channel, int64."""
    weights = op.inputs[1].data.astype(np.int64)
    channel_axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    others = tuple(a for a in range(weights.ndim) if a != channel_axis)
    return weights.sum(axis=others), np.abs(weights).sum(axis=others)


def dot_overflow(op: Operator) -> str | None:
    """Why a 32-bit dot product could overflow; None when it cannot."""
    largest = 255 * int(weight_sums(op)[1].max(initial=0))
    if largest < DOT_LIMIT:
        return None
    return f"a dot product could reach {largest}, beyond 32 bits"
