"""Run a graph on a batch of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trecx.errors import InputError
from trecx.ir.graph import Graph, Tensor
from trecx.ir.interpreter.registry import run_operator

# Samples are taken in chunks of about this many elements of the graph's largest activation, so
# that the working set stays in the processor's caches.
CHUNK_ELEMENTS = 1 << 18


def run_graph(
    graph: Graph,
    inputs: Sequence[np.ndarray],
    *,
    record: dict[Tensor, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Compute the graph's outputs for N samples.

    Args:
        graph: batch size 1 in every shape.
        inputs: one array for each graph input, in order, of the input's dtype. Shape
            (N, *shape[1:]): the batch dimension becomes the number of samples.
        record: when given, receives every computed activation, as (N, *shape[1:]).

    Returns:
        One array for each graph output; shape (N, *shape[1:]), or (N, *shape) for a tensor
        without a batch dimension of 1.

    Raises:
        InputError: number, dtype or shape of the inputs does not fit the graph.
        UnsupportedModelError: an operator without an implementation.
    """
    arrays = [_with_batch(t, a) for t, a in zip(graph.inputs, _checked(graph, inputs), strict=True)]
    samples = len(arrays[0])
    largest = max(t.size for t in graph.activations())
    chunk = max(1, CHUNK_ELEMENTS // largest)
    wanted = list(graph.outputs)
    if record is not None:
        wanted += [op.output for op in graph.operators]
    parts = [
        _run_chunk(graph, [a[start : start + chunk] for a in arrays], wanted)
        for start in range(0, samples, chunk)
    ]
    joined = [
        _without_batch(t, np.concatenate([part[i] for part in parts])) for i, t in enumerate(wanted)
    ]
    if record is not None:
        record.update(zip(wanted, joined, strict=True))
    return joined[: len(graph.outputs)]


def _run_chunk(graph: Graph, inputs: list[np.ndarray], wanted: list[Tensor]) -> list[np.ndarray]:
    values = dict(zip(graph.inputs, inputs, strict=True))
    last_use = {t: i for i, op in enumerate(graph.operators) for t in op.activation_inputs}
    keep = set(wanted)
    for index, op in enumerate(graph.operators):
        values[op.output] = run_operator(
            op, [None if t is None or t.is_constant else values[t] for t in op.inputs]
        )
        for tensor in set(op.activation_inputs) - keep:
            if last_use[tensor] == index:
                del values[tensor]
    return [values[t] for t in wanted]


def _checked(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    if len(inputs) != len(graph.inputs):
        raise InputError(
            f"graph {graph.name!r} takes {len(graph.inputs)} inputs, got {len(inputs)} arrays"
        )
    arrays = [np.asarray(a) for a in inputs]
    if not arrays or arrays[0].ndim == 0 or len(arrays[0]) == 0:
        raise InputError(f"graph {graph.name!r} needs at least one sample, got none")
    for tensor, array in zip(graph.inputs, arrays, strict=True):
        expected = _sample_shape(tensor)
        if array.dtype != tensor.dtype.numpy or array.shape[1:] != expected:
            raise InputError(
                f"input {tensor.name!r} must be {tensor.dtype.value} of shape (N, "
                f"{', '.join(map(str, expected))}), got {array.dtype} of shape {array.shape}"
            )
        if len(array) != len(arrays[0]):
            raise InputError(
                f"all inputs must have the same number of samples, got {len(arrays[0])} for "
                f"{graph.inputs[0].name!r} and {len(array)} for {tensor.name!r}"
            )
    return arrays


def _sample_shape(tensor: Tensor) -> tuple[int, ...]:
    """The tensor's shape without its batch dimension of 1."""
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def _with_batch(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), *tensor.shape)


def _without_batch(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), *_sample_shape(tensor))
