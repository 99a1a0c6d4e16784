"""Facts about an operator's weights that kernels and rules are proved from."""

from __future__ import annotations

import numpy as np

from trecx.ir.graph import Operator


def weight_sums(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """(sum of weights, sum of their absolute values) of each output channel, int64.

    op: CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with constant weights.
    """
    weights = op.inputs[1].data.astype(np.int64)
    channel_axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    others = tuple(a for a in range(weights.ndim) if a != channel_axis)
    return weights.sum(axis=others), np.abs(weights).sum(axis=others)


def largest_dot_product(op: Operator) -> int:
    """Bound of |sum of x * w| over all channels, for any x of magnitude at most 255.

    255 is the largest difference of two int8 values: an input minus its zero point.
    """
    return 255 * int(weight_sums(op)[1].max(initial=0))
