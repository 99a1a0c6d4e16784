"""RESHAPE, CONCATENATION, SLICE, STRIDED_SLICE, PAD, PADV2: values move, none changes."""

from __future__ import annotations

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import Operator
from trecx.ir.interpreter.registry import implements
from trecx.ir.ops import Activation


@implements("RESHAPE")
def reshape(op: Operator, x, *_shape) -> np.ndarray:
    return x.reshape(len(x), *op.output.shape)


@implements("CONCATENATION")
def concatenation(op: Operator, *parts) -> np.ndarray:
    if op.attrs.activation is not Activation.NONE:
        raise UnsupportedModelError(
            f"CONCATENATION (index {op.index}) has the fused activation "
            f"{op.attrs.activation.value}; TFLM has none there"
        )
    samples = max(len(p) for p in parts)
    parts = [np.broadcast_to(p, (samples, *p.shape[1:])) for p in parts]
    return np.concatenate(parts, axis=op.attrs.axis + 1)


@implements("SLICE", "STRIDED_SLICE")
def strided_slice(op: Operator, x, *_bounds) -> np.ndarray:
    a = op.attrs
    for axis, (begin, size, stride) in enumerate(zip(a.begin, a.size, a.strides, strict=True)):
        if (begin, size, stride) != (0, x.shape[axis + 1], 1):
            x = np.take(x, begin + stride * np.arange(size), axis=axis + 1)
    return x.reshape(len(x), *op.output.shape)


@implements("PAD", "PADV2")
def pad(op: Operator, x, *_pads) -> np.ndarray:
    return np.pad(x, ((0, 0), *op.attrs.pads), constant_values=op.attrs.value)
