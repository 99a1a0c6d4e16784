"""The table of operators: attributes of each, and how many multiply-accumulates it does.

Attribute values are TFLite's, already made explicit where the file leaves them implicit:
padding is stored as pixels (top, bottom, left, right), not as SAME or VALID.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from trecx.ir.graph import Operator


class Activation(enum.Enum):
    NONE = "NONE"
    RELU = "RELU"
    RELU_N1_TO_1 = "RELU_N1_TO_1"
    RELU6 = "RELU6"


@dataclass(frozen=True)
class Padding:
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True)
class ConvAttrs:
    """CONV_2D and DEPTHWISE_CONV_2D; (height, width) pairs."""

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    activation: Activation = Activation.NONE
    depth_multiplier: int = 1  # DEPTHWISE_CONV_2D only


@dataclass(frozen=True)
class PoolAttrs:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""

    filter: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class FullyConnectedAttrs:
    activation: Activation = Activation.NONE
    keep_num_dims: bool = False


@dataclass(frozen=True)
class AddAttrs:
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class ConcatAttrs:
    axis: int  # non-negative
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class SoftmaxAttrs:
    beta: float = 1.0


@dataclass(frozen=True)
class ReduceAttrs:
    """MEAN and REDUCE_MAX; axes non-negative, sorted, unique."""

    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True)
class SliceAttrs:
    """SLICE and STRIDED_SLICE in one normal form: begin, size and stride for each dimension.

    `shape` of the output may drop dimensions (shrink_axis_mask); elements are the same.
    """

    begin: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class PadAttrs:
    """PAD and PADV2: (before, after) for each dimension, and the quantised fill value."""

    pads: tuple[tuple[int, int], ...]
    value: int


@dataclass(frozen=True)
class NoAttrs:
    """RESHAPE, RELU, RELU6, QUANTIZE, LOGISTIC."""


ATTRS = {
    "CONV_2D": ConvAttrs,
    "DEPTHWISE_CONV_2D": ConvAttrs,
    "FULLY_CONNECTED": FullyConnectedAttrs,
    "AVERAGE_POOL_2D": PoolAttrs,
    "MAX_POOL_2D": PoolAttrs,
    "MEAN": ReduceAttrs,
    "REDUCE_MAX": ReduceAttrs,
    "ADD": AddAttrs,
    "CONCATENATION": ConcatAttrs,
    "SLICE": SliceAttrs,
    "STRIDED_SLICE": SliceAttrs,
    "RESHAPE": NoAttrs,
    "SOFTMAX": SoftmaxAttrs,
    "PAD": PadAttrs,
    "PADV2": PadAttrs,
    "RELU": NoAttrs,
    "RELU6": NoAttrs,
    "QUANTIZE": NoAttrs,
    "LOGISTIC": NoAttrs,
}

SUPPORTED_KINDS = tuple(sorted(ATTRS))


def macs(op: Operator) -> int:
    """Multiply-accumulates of one operator: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED; else 0.

    Counted densely, padding included, as the published figures for these models are.
    """
    if op.kind == "CONV_2D":
        _, kh, kw, ci = op.inputs[1].shape
        return op.output.size * kh * kw * ci
    if op.kind == "DEPTHWISE_CONV_2D":
        _, kh, kw, _ = op.inputs[1].shape
        return op.output.size * kh * kw
    if op.kind == "FULLY_CONNECTED":
        return op.output.size * op.inputs[1].shape[-1]
    return 0


def small_flops(op: Operator) -> int:
    """Operations of the operators that have no MACs, one per element read or written.

    ADD, RELU, QUANTIZE: one per output value; pools, MEAN, REDUCE_MAX: one per input value
    (the additions or comparisons); SOFTMAX and LOGISTIC: three per value (exponential, sum,
    division).
    Data movement (RESHAPE, CONCATENATION, SLICE, PAD) counts nothing.
    """
    if op.kind in ("ADD", "RELU", "RELU6", "QUANTIZE"):
        return op.output.size
    if op.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return op.output.size * math.prod(op.attrs.filter)
    if op.kind in ("MEAN", "REDUCE_MAX"):
        return op.inputs[0].size
    if op.kind in ("SOFTMAX", "LOGISTIC"):
        return 3 * op.output.size
    return 0


def parameters(op: Operator) -> int:
    """Number of weights and biases of one operator."""
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    return sum(t.size for t in op.inputs[1:] if t is not None and t.is_constant)
