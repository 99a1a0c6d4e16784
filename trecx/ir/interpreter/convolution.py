"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

acc = bias + sum of (x - input zero point) * w over the window, then `requantize`. Taps in the
padding contribute nothing. The zero point is taken out of the sum: with x padded by the zero
point, acc = sum of x * w + (bias - zero point * sum of w).

The dot products are matrix products in float32 or float64: all partial sums are integers of
magnitude at most 128 * sum|w|, so they are exact below 2^24 or 2^53.
"""

from __future__ import annotations

import numpy as np

from trecx.ir.graph import Operator
from trecx.ir.interpreter.registry import implements
from trecx.ir.interpreter.windows import images, padded, tap
from trecx.ir.quantize import (
    activation_range,
    conv_multipliers,
    fully_connected_multipliers,
    requantize,
    wrap_int32,
)

LARGEST_INPUT = 128


def exact_float(weights: np.ndarray) -> np.dtype:
    """The smaller float type that holds every partial sum exactly. weights: (K, channels)."""
    largest = LARGEST_INPUT * int(np.abs(weights.astype(np.int64)).sum(axis=0).max(initial=0))
    return np.dtype(np.float32 if largest < 2**24 else np.float64)


def _requantized(
    op: Operator, dots: np.ndarray, weight_sums: np.ndarray, bias: np.ndarray | None
) -> np.ndarray:
    """Dot products (rows, channels) of raw inputs to int8 outputs of the same shape."""
    channels = dots.shape[-1]
    formula = fully_connected_multipliers if op.kind == "FULLY_CONNECTED" else conv_multipliers
    multiplier, shift = formula(op.inputs[0].quant, op.inputs[1].quant, op.output.quant, channels)
    offset = -op.inputs[0].zero_point * weight_sums
    if bias is not None:
        offset = offset + bias.reshape(-1)
    acc = wrap_int32(dots.astype(np.int64) + offset)
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return requantize(acc, multiplier, shift, op.output.zero_point, low, high)


def _as_output(op: Operator, rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, *op.output.shape)


@implements("FULLY_CONNECTED")
def fully_connected(op: Operator, x, weights, bias=None) -> np.ndarray:
    matrix = weights[0].T.astype(np.int64)  # (K, channels)
    dtype = exact_float(matrix)
    dots = x.reshape(-1, matrix.shape[0]).astype(dtype) @ matrix.astype(dtype)
    return _as_output(op, _requantized(op, dots, matrix.sum(axis=0), bias))


@implements("CONV_2D")
def conv_2d(op: Operator, x, weights, bias=None) -> np.ndarray:
    filters = weights[0]  # (channels, kernel height, kernel width, channels of a group)
    channels, height, width, depth = filters.shape
    output = op.output.shape[1:3]
    a = op.attrs
    image = padded(
        images(x), a.padding, output, (height, width), a.stride, a.dilation, op.inputs[0].zero_point
    )
    groups = image.shape[-1] // depth
    per_group = channels // groups
    matrices = filters.reshape(groups, per_group, -1).transpose(0, 2, 1).astype(np.int64)
    dots = []
    for group, matrix in enumerate(matrices):
        part = image[..., group * depth : (group + 1) * depth]
        dtype = exact_float(matrix)
        rows = _patches(part, (height, width), output, a.stride, a.dilation, dtype)
        dots.append(rows @ matrix.astype(dtype))
    joined = dots[0] if groups == 1 else np.concatenate(dots, axis=1, dtype=np.float64)
    return _as_output(op, _requantized(op, joined, matrices.sum(axis=1).reshape(-1), bias))


def _patches(image, kernel, output, stride, dilation, dtype) -> np.ndarray:
    """Windows as rows: (N * out height * out width, kernel height * kernel width * channels)."""
    n, _, _, channels = image.shape
    out_shape = (n, *output, *kernel, channels)
    image = np.ascontiguousarray(image)
    sn, sy, sx, sc = image.strides
    strides = (
        sn,
        sy * stride[0],
        sx * stride[1],
        sy * dilation[0],
        sx * dilation[1],
        sc,
    )
    view = np.lib.stride_tricks.as_strided(image, out_shape, strides, writeable=False)
    return view.astype(dtype).reshape(-1, kernel[0] * kernel[1] * channels)


@implements("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(op: Operator, x, weights, bias=None) -> np.ndarray:
    filters = weights[0, 0]  # (kernel height, kernel width, channels)
    height, width, channels = filters.shape
    output = op.output.shape[1:3]
    a = op.attrs
    image = padded(
        images(x), a.padding, output, (height, width), a.stride, a.dilation, op.inputs[0].zero_point
    )
    # Output channel c * multiplier + m reads input channel c.
    image = np.repeat(image, channels // image.shape[-1], axis=-1)
    dots = np.zeros((len(image), *output, channels), np.int32)
    for ky in range(height):
        for kx in range(width):
            seen = tap(image, ky, kx, output, a.stride, a.dilation)
            dots += seen * filters[ky, kx].astype(np.int32)
    weight_sums = filters.astype(np.int64).sum(axis=(0, 1))
    return _as_output(op, _requantized(op, dots.reshape(-1, channels), weight_sums, bias))
