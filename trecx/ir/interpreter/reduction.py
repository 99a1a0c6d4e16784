"""MEAN and REDUCE_MAX."""

from __future__ import annotations

import math

import numpy as np

from trecx.ir.graph import Operator
from trecx.ir.interpreter.registry import implements
from trecx.ir.quantize import INT8_MAX, INT8_MIN, mean_multiplier, requantize


def _axes(op: Operator) -> tuple[int, ...]:
    return tuple(a + 1 for a in op.attrs.axes)


@implements("MEAN")
def mean(op: Operator, x, *_axes_tensor) -> np.ndarray:
    """The sum is requantised with 1 / count folded into the multiplier."""
    source, target = op.inputs[0], op.output
    count = math.prod(source.shape[a] for a in op.attrs.axes)
    total = x.sum(axis=_axes(op), dtype=np.int64) - source.zero_point * count
    multiplier, shift = mean_multiplier(source.quant, target.quant, count)
    result = requantize(total, multiplier, shift, target.zero_point, INT8_MIN, INT8_MAX)
    return result.reshape(len(x), *target.shape)


@implements("REDUCE_MAX")
def reduce_max(op: Operator, x, *_axes_tensor) -> np.ndarray:
    return x.max(axis=_axes(op)).reshape(len(x), *op.output.shape)
