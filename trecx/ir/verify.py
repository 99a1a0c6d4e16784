"""Checks that a graph is what the rest of trecx relies on; run after every pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trecx.errors import VerificationError
from trecx.ir.graph import DType, Graph, Operator, Tensor
from trecx.ir.ops import ATTRS
from trecx.ir.shapes import ShapeError, infer_shape

# Inputs of each operator: fewest and most.
_ARITY = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "ADD": (2, 2),
    "CONCATENATION": (1, 1000),
}

# These move or compare values without rescaling them: input and output are quantised alike.
# RELU6 is one of them in TFLM, though not in TFLite.
_KEEPS_QUANTISATION = {
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "REDUCE_MAX",
    "CONCATENATION",
    "SLICE",
    "STRIDED_SLICE",
    "RESHAPE",
    "PAD",
    "PADV2",
    "RELU6",
}
_PROBABILITIES = {"SOFTMAX", "LOGISTIC"}
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


def verify(graph: Graph) -> None:
    """Raise VerificationError naming the first thing wrong with `graph`; return None when sound."""
    problem = next(problems(graph), None)
    if problem is not None:
        raise VerificationError(f"graph {graph.name!r}: {problem}")


def problems(graph: Graph) -> Iterator[str]:
    """Everything wrong with `graph`, one line each.

    Each tensor is produced once, before it is read, and is read or an output; shapes follow from
    the operators; activations are int8 with one scale and zero point; weights are constant and
    symmetric; quantisation is equal where the operator does not rescale.
    """
    yield from _structure(graph)
    for tensor in graph.activations():
        yield from _activation(tensor)
    for op in graph.operators:
        for problem in _operator(op):
            yield f"operator {op.kind} (index {op.index}): {problem}"


def _structure(graph: Graph) -> Iterator[str]:
    if not graph.inputs or not graph.outputs:
        yield f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs, at least one expected"
    ready = {id(t) for t in graph.inputs}
    used = {id(t) for t in graph.outputs}
    if len(ready) != len(graph.inputs):
        yield "an input is listed twice"
    for op in graph.operators:
        where = f"operator {op.kind} (index {op.index})"
        for t in op.activation_inputs:
            used.add(id(t))
            if id(t) not in ready:
                yield f"{where} reads {t.name!r} before it is produced"
        for t in op.outputs:
            if id(t) in ready:
                yield f"{where} writes {t.name!r}, which has a value already"
            if t.is_constant:
                yield f"{where} writes the constant {t.name!r}"
            ready.add(id(t))
    for t in graph.outputs:
        if id(t) not in ready:
            yield f"output {t.name!r} is produced by no operator"
    for t in graph.activations():
        if id(t) not in used:
            yield f"tensor {t.name!r} is neither read nor an output"


def _activation(t: Tensor) -> Iterator[str]:
    if t.dtype is not DType.INT8:
        yield f"tensor {t.name!r} is {t.dtype.value}, int8 expected"
    elif t.quant is None or not t.quant.is_per_tensor:
        yield f"tensor {t.name!r} has no per-tensor quantisation"
    elif not (np.isfinite(t.scale) and t.scale > 0 and -128 <= t.zero_point <= 127):
        yield f"tensor {t.name!r} has scale {t.scale} and zero point {t.zero_point}"
    if t.size == 0:
        yield f"tensor {t.name!r} is empty (shape {list(t.shape)})"


def _operator(op: Operator) -> Iterator[str]:
    if op.kind not in ATTRS or not isinstance(op.attrs, ATTRS[op.kind]):
        yield f"attributes are {type(op.attrs).__name__}"
        return
    fewest, most = _ARITY.get(op.kind, (1, 1))
    if not fewest <= len(op.inputs) <= most or any(t is None for t in op.inputs[:fewest]):
        yield f"{len(op.inputs)} inputs, {fewest} to {most} expected"
        return
    if len(op.outputs) != 1:
        yield f"{len(op.outputs)} outputs, 1 expected"
        return
    try:
        shape = infer_shape(op)
    except ShapeError as error:
        yield str(error)
        return
    if shape != op.output.shape:
        yield f"output {op.output.name!r} has shape {list(op.output.shape)}, {list(shape)} expected"
    if op.kind in _WEIGHTED:
        yield from _weights(op)
    else:
        yield from _constants(op)
    yield from _quantisation(op)
    if op.kind == "SOFTMAX" and not 0 < op.attrs.beta < np.inf:
        yield f"beta is {op.attrs.beta}, a positive number expected"


def _weights(op: Operator) -> Iterator[str]:
    weights = op.inputs[1]
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if not weights.is_constant or weights.dtype is not DType.INT8:
        yield f"weights {weights.name!r} are not constant int8"
    elif weights.quant is None or np.any(weights.quant.zero_point):
        yield f"weights {weights.name!r} are not symmetrically quantised (zero point 0)"
    elif not weights.quant.is_per_tensor:
        axis = _CHANNEL_AXIS[op.kind]
        if weights.quant.axis != axis or weights.quant.scale.size != weights.shape[axis]:
            yield (
                f"weights {weights.name!r} have {weights.quant.scale.size} scales along "
                f"dimension {weights.quant.axis} of {list(weights.shape)}, {axis} expected"
            )
    if bias is not None and (not bias.is_constant or bias.dtype is not DType.INT32):
        yield f"bias {bias.name!r} is not constant int32"


def _constants(op: Operator) -> Iterator[str]:
    """A constant operand of ADD or CONCATENATION is int8 like an activation."""
    for t in op.inputs:
        if t is not None and t.is_constant:
            yield from _activation(t)


def _quantisation(op: Operator) -> Iterator[str]:
    if any(t is None or t.quant is None for t in (op.inputs[0], op.output)):
        return  # reported with the tensor
    out = op.output.quant
    if op.kind in _PROBABILITIES and not (out.scale[0] == 1 / 256 and out.zero_point[0] == -128):
        yield (
            f"output {op.output.name!r} has scale {op.output.scale} and zero point "
            f"{op.output.zero_point}, TFLite gives 1/256 and -128"
        )
    if op.kind not in _KEEPS_QUANTISATION:
        return
    for t in op.inputs:
        if t.quant is None or not _alike(t, op.output):
            yield f"{t.name!r} and {op.output.name!r} are quantised differently"


def _alike(a: Tensor, b: Tensor) -> bool:
    close = np.allclose(a.quant.scale, b.quant.scale, rtol=1e-5, atol=0)
    return close and np.array_equal(a.quant.zero_point, b.quant.zero_point)
