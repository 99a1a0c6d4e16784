"""AVERAGE_POOL_2D and MAX_POOL_2D. Positions in the padding do not take part."""

from __future__ import annotations

import numpy as np

from trecx.ir.graph import Operator
from trecx.ir.interpreter.registry import implements
from trecx.ir.interpreter.windows import images, padded, tap
from trecx.ir.quantize import INT8_MIN, activation_range


def _taps(op: Operator, image: np.ndarray, fill: int):
    """Yield what each tap of the windows sees, (N, out height, out width, channels)."""
    a, output = op.attrs, op.output.shape[1:3]
    image = padded(image, a.padding, output, a.filter, a.stride, (1, 1), fill)
    for ky in range(a.filter[0]):
        for kx in range(a.filter[1]):
            yield tap(image, ky, kx, output, a.stride, (1, 1))


def _finish(op: Operator, result: np.ndarray) -> np.ndarray:
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return np.clip(result, low, high).astype(np.int8).reshape(-1, *op.output.shape)


@implements("AVERAGE_POOL_2D")
def average_pool_2d(op: Operator, x) -> np.ndarray:
    """Mean of the stored values, rounded to nearest, ties away from zero."""
    image = images(x)
    total = sum(t.astype(np.int32) for t in _taps(op, image, 0))
    inside = np.ones((1, *image.shape[1:3], 1), np.int32)
    count = sum(t.copy() for t in _taps(op, inside, 0))
    return _finish(op, np.sign(total) * ((np.abs(total) + count // 2) // count))


@implements("MAX_POOL_2D")
def max_pool_2d(op: Operator, x) -> np.ndarray:
    largest = np.full((1, 1, 1, 1), INT8_MIN, np.int8)
    for seen in _taps(op, images(x), INT8_MIN):
        largest = np.maximum(largest, seen)
    return _finish(op, largest)
