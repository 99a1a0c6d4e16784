"""What the DSP schemes share: folded biases, accumulator ranges, requantisation constants."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.common import bias_values, requantisation, weight_sums
from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator
from trecx.ir.quantize import activation_range

# trecx/dsp/arith.h: the exact requantisation needs a right shift in this range.
SMALLEST_RIGHT_SHIFT, LARGEST_RIGHT_SHIFT = 1, 21
# A channel's constants hold the bias in 27 bits beside the shift.
BIAS_LIMIT = 1 << 26
ACCUMULATOR_LIMIT = 1 << 29


def folded_bias(op: Operator) -> np.ndarray:
    """bias - zero_point * sum(weights): what is added when inputs are not centred. int64."""
    return bias_values(op).astype(np.int64) - op.inputs[0].zero_point * weight_sums(op)[0]


def accumulator_range(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each channel's sum over all int8 inputs, bias included."""
    total, magnitude = weight_sums(op)
    positive, negative = (magnitude + total) // 2, (magnitude - total) // 2
    bias = folded_bias(op)
    return bias - 128 * positive - 127 * negative, bias + 127 * positive + 128 * negative


def requantisation_reason(op: Operator) -> str | None:
    """Why the short exact requantisation cannot be used; None when it can."""
    multiplier, shift = requantisation(op)
    right = -shift[multiplier != 0]
    if right.size and not SMALLEST_RIGHT_SHIFT <= right.min() <= right.max() <= LARGEST_RIGHT_SHIFT:
        return (
            f"requantisation shifts right by {right.min()} to {right.max()} bits; "
            f"{SMALLEST_RIGHT_SHIFT} to {LARGEST_RIGHT_SHIFT} are possible"
        )
    bias = int(np.abs(folded_bias(op)).max(initial=0))
    if bias >= BIAS_LIMIT:
        return f"a bias with the zero point folded in is {bias}; the limit is {BIAS_LIMIT}"
    low, high = accumulator_range(op)
    largest = int(max(-low.min(initial=0), high.max(initial=0)))
    if largest >= ACCUMULATOR_LIMIT:
        return f"an accumulator can reach {largest}; the limit is {ACCUMULATOR_LIMIT}"
    return None


def channel_constants(op: Operator) -> np.ndarray:
    """int32 array (channels, 2): 32 * folded bias + right shift - 1, multiplier."""
    multiplier, shift = requantisation(op)
    right = np.where(multiplier == 0, SMALLEST_RIGHT_SHIFT, -shift)
    word = 32 * folded_bias(op) + (right - 1)
    return np.stack([word, multiplier.astype(np.int64)], axis=1).astype(np.int32)


def largest_right_shift(op: Operator) -> int:
    """Over all channels whose multiplier is not zero."""
    multiplier, shift = requantisation(op)
    return int(-shift[multiplier != 0].min(initial=0))


def keeps_negatives(op: Operator) -> bool:
    """Can outputs below the zero point survive the activation?

    Below the zero point the short requantisation rounds ties up instead of down.
    """
    return activation_range(op.attrs.activation, op.output.quant)[0] < op.output.zero_point


def output_fields(op: Operator) -> dict[str, object]:
    """Fields for the output's zero point, the activation, and how negatives are rounded."""
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return {
        "output_zero_point": op.output.zero_point,
        "activation_min": low,
        "activation_max": high,
        "round_negatives": int(keeps_negatives(op)),
    }


def constants_blob(op: Operator, order: np.ndarray | None = None) -> Blob:
    table = channel_constants(op)
    return Blob("int32_t", (table if order is None else table[order]).reshape(-1))
