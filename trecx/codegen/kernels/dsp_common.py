"""What the DSP schemes prove from an operator's weights and biases."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.common import bias_values
from trecx.ir.graph import Operator
from trecx.ir.weights import weight_sums

INT16_LIMIT = 1 << 15


def folded_bias(op: Operator) -> np.ndarray:
    """bias - zero_point * sum(weights): what is added when inputs are not centred. int64."""
    return bias_values(op).astype(np.int64) - op.inputs[0].zero_point * weight_sums(op)[0]


def dot_range(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest dot product of each channel over all int8 inputs, without bias."""
    total, magnitude = weight_sums(op)
    positive, negative = (magnitude + total) // 2, (magnitude - total) // 2
    return -128 * positive - 127 * negative, 127 * positive + 128 * negative
