"""What the compiler needs of each operator beyond its kind: one function a rule.

A rule's docstring is its line in docs/SUPPORTED_OPS.md and the beginning of the user's error
message; the function returns what was found instead, or None when the operator keeps the rule.
The reference kernels compute every operator that keeps its rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from trecx.codegen.geometry import (
    broadcast_strides,
    dense_strides,
    join_dimensions,
    reduction_walk,
)
from trecx.ir.graph import DType, Operator, Tensor
from trecx.ir.ops import SUPPORTED_KINDS, Activation
from trecx.ir.quantize import ADD_LEFT_SHIFT
from trecx.ir.tables import SOFTMAX_INTEGER_BITS, SOFTMAX_SUM_INTEGER_BITS
from trecx.ir.weights import largest_dot_product

Rule = Callable[[Operator], str | None]

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
SLICES = ("SLICE", "STRIDED_SLICE")
PADS = ("PAD", "PADV2")

MAX_WALK_DIMENSIONS = 4
MAX_REDUCED_GROUPS = 2
MAX_MEAN_COUNT = 2**23
MAX_SOFTMAX_DEPTH = 2**SOFTMAX_SUM_INTEGER_BITS - 1

_RULES: dict[str, list[Rule]] = {kind: [] for kind in SUPPORTED_KINDS}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Decorator: the function is a rule for operators of these kinds."""

    def add(function: Rule) -> Rule:
        for kind in kinds:
            _RULES[kind].append(function)
        return function

    return add


def rules(kind: str) -> list[Rule]:
    """The rules for a kind, in the order in which they are checked."""
    return list(_RULES[kind])


def statement(function: Rule) -> str:
    """A rule in words."""
    return " ".join(function.__doc__.split()).removesuffix(".")


def broken_rule(op: Operator) -> str | None:
    """The first rule that `op` breaks, with what was found; None when it keeps all."""
    for function in _RULES.get(op.kind, ()):
        found = function(op)
        if found is not None:
            return f"{statement(function)}; found {found}"
    return None


# --- tensors ---------------------------------------------------------------------------------


@rule(*SUPPORTED_KINDS)
def activations_are_int8(op: Operator) -> str | None:
    """Inputs and outputs are int8 with one scale and one zero point."""
    for tensor in (*op.activation_inputs, *op.outputs):
        if tensor.dtype is not DType.INT8:
            return f"{tensor.name!r} of {tensor.dtype.value}"
        if tensor.quant is None or not tensor.quant.is_per_tensor:
            return f"{tensor.name!r} without a scale, or with several"
    return None


@rule(*WEIGHTED)
def weights_are_constant(op: Operator) -> str | None:
    """Weights are constant int8 with zero point 0, with one scale or one per output channel."""
    weights = op.inputs[1]
    if not weights.is_constant or weights.dtype is not DType.INT8:
        return f"{weights.name!r}, {weights.dtype.value}, computed or not int8"
    if weights.quant is None or np.any(weights.quant.zero_point):
        return f"{weights.name!r} without quantisation or with a zero point"
    if weights.quant.scale.size not in (1, op.output.shape[-1]):
        return f"{weights.quant.scale.size} scales for {op.output.shape[-1]} channels"
    return None


@rule(*WEIGHTED)
def bias_is_constant(op: Operator) -> str | None:
    """The bias, if there is one, is constant int32."""
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is not None and (not bias.is_constant or bias.dtype is not DType.INT32):
        return f"{bias.name!r}, {bias.dtype.value}, computed or not int32"
    return None


@rule(*WEIGHTED)
def dot_product_fits_32_bits(op: Operator) -> str | None:
    """255 times the sum of the absolute weights of one output channel is below 2^31."""
    largest = largest_dot_product(op)
    return None if largest < 2**31 else str(largest)


@rule(*WINDOWED)
def image_with_batch_one(op: Operator) -> str | None:
    """The input has the shape (1, height, width, channels)."""
    shape = op.inputs[0].shape
    return None if len(shape) == 4 and shape[0] == 1 else str(shape)


@rule("CONV_2D")
def channels_divide_into_groups(op: Operator) -> str | None:
    """Input channels are a multiple of the kernel's, output channels of the number of groups."""
    inputs, depth, outputs = op.inputs[0].shape[3], op.inputs[1].shape[3], op.output.shape[3]
    if inputs % depth or outputs % (inputs // depth):
        return f"{inputs} input, {depth} kernel and {outputs} output channels"
    return None


@rule("DEPTHWISE_CONV_2D")
def channel_multiplier_is_whole(op: Operator) -> str | None:
    """Output channels are a multiple of the input channels."""
    inputs, outputs = op.inputs[0].shape[3], op.output.shape[3]
    return f"{outputs} from {inputs}" if outputs % inputs else None


# --- quantisation ----------------------------------------------------------------------------


def _alike(a: Tensor, b: Tensor) -> bool:
    return bool(
        np.allclose(a.quant.scale, b.quant.scale, rtol=1e-5, atol=0)
        and np.array_equal(a.quant.zero_point, b.quant.zero_point)
    )


@rule(*POOLS, *SLICES, *PADS, "CONCATENATION", "REDUCE_MAX", "RELU6", "RESHAPE")
def quantisation_is_kept(op: Operator) -> str | None:
    """Input and output have the same scale and zero point."""
    for tensor in op.inputs:
        if not _alike(tensor, op.output):
            return (
                f"scale {tensor.scale:g}, zero point {tensor.zero_point} to "
                f"scale {op.output.scale:g}, zero point {op.output.zero_point}"
            )
    return None


@rule("SOFTMAX", "LOGISTIC")
def output_is_a_probability(op: Operator) -> str | None:
    """The output has scale 1/256 and zero point -128."""
    if (op.output.scale, op.output.zero_point) == (1 / 256, -128):
        return None
    return f"scale {op.output.scale:g}, zero point {op.output.zero_point}"


@rule("SOFTMAX")
def softmax_scale_is_not_tiny(op: Operator) -> str | None:
    """beta times the input's scale is above 2^-26."""
    product = op.attrs.beta * op.inputs[0].scale
    return None if product * 2 ** (31 - SOFTMAX_INTEGER_BITS) > 1 else f"{product:g}"


@rule("ADD")
def add_output_scale_is_not_tiny(op: Operator) -> str | None:
    """The output's scale is above 2^-19 times the larger input scale."""
    largest = max(t.scale for t in op.inputs)
    if 2 * largest < (1 << ADD_LEFT_SHIFT) * op.output.scale:
        return None
    return f"{op.output.scale:g} for {largest:g}"


@rule("CONCATENATION")
def no_fused_activation(op: Operator) -> str | None:
    """There is no fused activation."""
    return None if op.attrs.activation is Activation.NONE else op.attrs.activation.value


# --- shapes ----------------------------------------------------------------------------------


@rule(*POOLS)
def windows_see_the_image(op: Operator) -> str | None:
    """Every window holds at least one input position."""
    a = op.attrs
    pads = ((a.padding.top, 0), (a.padding.left, 1))
    for before, axis in pads:
        size = op.inputs[0].shape[1 + axis]
        last = (op.output.shape[1 + axis] - 1) * a.stride[axis] - before
        if before >= a.filter[axis] or last >= size:
            return f"filter {a.filter}, stride {a.stride}, {a.padding}"
    return None


@rule("MEAN")
def mean_count(op: Operator) -> str | None:
    """At most 2^23 values are averaged."""
    count = math.prod(op.inputs[0].shape[a] for a in op.attrs.axes)
    return None if count <= MAX_MEAN_COUNT else str(count)


@rule("MEAN", "REDUCE_MAX")
def reduction_groups(op: Operator) -> str | None:
    """Neighbouring kept axes joined, and reduced ones too, there are at most two of each."""
    walks = reduction_walk(op.inputs[0].shape, op.attrs.axes)
    if all(len(dims) <= MAX_REDUCED_GROUPS for dims, _ in walks):
        return None
    return f"axes {op.attrs.axes} of {op.inputs[0].shape}"


@rule("SOFTMAX")
def softmax_depth(op: Operator) -> str | None:
    """The last dimension has at most 4095 values."""
    depth = op.output.shape[-1]
    return None if depth <= MAX_SOFTMAX_DEPTH else str(depth)


@rule("ADD")
def add_has_an_activation(op: Operator) -> str | None:
    """At most one operand is constant."""
    return "two" if all(t.is_constant for t in op.inputs) else None


@rule("ADD")
def add_dimensions(op: Operator) -> str | None:
    """Operands broadcast over at most 4 dimensions, after joining those that both walk alike."""
    strides = [broadcast_strides(t.shape, len(op.output.shape)) for t in op.inputs]
    dims, _ = join_dimensions(op.output.shape, strides)
    return None if len(dims) <= MAX_WALK_DIMENSIONS else f"{len(dims)}"


@rule("CONCATENATION")
def inputs_are_activations(op: Operator) -> str | None:
    """No input is constant."""
    return next((repr(t.name) for t in op.inputs if t.is_constant), None)


@rule("CONCATENATION", *SLICES, *PADS)
def copied_dimensions(op: Operator) -> str | None:
    """The copy has at most 4 dimensions, after joining those that lie densely in both tensors."""
    target = dense_strides(op.output.shape)
    if op.kind in SLICES:
        source = dense_strides(op.inputs[0].shape)
        steps = [s * k for s, k in zip(source, op.attrs.strides, strict=True)]
        walks = [join_dimensions(op.attrs.size, [steps, dense_strides(op.attrs.size)])]
    else:
        walks = [join_dimensions(t.shape, [dense_strides(t.shape), target]) for t in op.inputs]
    worst = max(len(dims) for dims, _ in walks)
    return None if worst <= MAX_WALK_DIMENSIONS else str(worst)
