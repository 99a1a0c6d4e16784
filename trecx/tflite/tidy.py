"""Takes out rescaling and dimensions that the converter adds and nothing needs, before a model is
cut."""

from __future__ import annotations

import numpy as np

from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import indices, operator_kind, read_model, tensor_type, write_model


def exact_concatenations(model: bytes) -> bytes:
    """Let an output that concatenates values of one scale keep that scale.

    For an exit with a learned confidence, concat(softmax, sigmoid), the converter gives the
    concatenation the range seen in the representative data and rescales both inputs to it, which
    only loses precision: both have scale 1/256 and zero point -128 already. Here the
    concatenation gets the inputs' scale and the QUANTIZE operators before it go. Only
    concatenations are changed that are an output of the model and that no operator reads.
    Returns `model` itself when there is none. Raises ModelFormatError as `read_model`.
    """
    tree = read_model(model)
    subgraph = tree.subgraphs[0]
    before = _before_quantize(tree, subgraph)
    readers = {i for op in subgraph.operators for i in indices(op.inputs)}
    free = set(indices(subgraph.outputs)) - readers
    changed = [
        _keep_scale(subgraph, op, before)
        for op in subgraph.operators
        if operator_kind(tree, op) == "CONCATENATION"
        and len(indices(op.outputs)) == 1
        and free.issuperset(indices(op.outputs))
    ]
    if not any(changed):
        return model
    used = set(indices(subgraph.outputs))
    used.update(i for op in subgraph.operators for i in indices(op.inputs))
    subgraph.operators = [
        op
        for op in subgraph.operators
        if operator_kind(tree, op) != "QUANTIZE" or not used.isdisjoint(indices(op.outputs))
    ]
    return write_model(tree)


def flat_dense_outputs(model: bytes) -> bytes:
    """Give (1, units) to a FULLY_CONNECTED output that is (1, 1, 1, units) and only reshaped.

    A 1x1 convolution of a pooled feature map, as the converter expresses it. The reference kernel
    of tflite-runtime 2.14 computes wrong results for that form (keep_num_dims, with a scale for
    each unit); the flat one is right everywhere. Returns `model` itself when there is none. Raises
    ModelFormatError as `read_model`.
    """
    tree = read_model(model)
    subgraph = tree.subgraphs[0]
    kept = set(indices(subgraph.outputs))
    for op in subgraph.operators:
        if operator_kind(tree, op) != "RESHAPE":
            kept.update(indices(op.inputs))
    found = [
        op
        for op in subgraph.operators
        if operator_kind(tree, op) == "FULLY_CONNECTED"
        and len(indices(op.outputs)) == 1
        and kept.isdisjoint(indices(op.outputs))
        and _is_deep(subgraph.tensors[indices(op.outputs)[0]])
    ]
    for op in found:
        output = subgraph.tensors[op.outputs[0]]
        output.shape, output.shape_signature = output.shape[-2:], None
        op.builtin_options.keep_num_dims = False
    return write_model(tree) if found else model


def _is_deep(tensor: Record) -> bool:
    """Whether a tensor is (1, ..., 1, units) of more than two dimensions."""
    shape = tensor.shape
    return shape is not None and shape.size > 2 and bool(np.all(shape[:-1] == 1))


def _before_quantize(tree: Record, subgraph: Record) -> dict[int, int]:
    """For the output of each QUANTIZE operator, its input."""
    return {
        output: indices(op.inputs)[0]
        for op in subgraph.operators
        if operator_kind(tree, op) == "QUANTIZE" and indices(op.inputs)
        for output in indices(op.outputs)
    }


def _keep_scale(subgraph: Record, concatenation: Record, before: dict[int, int]) -> bool:
    """Rewrite a concatenation if its inputs' sources share one scale; True when it was changed."""
    inputs = indices(concatenation.inputs)
    sources = [before.get(i, i) for i in inputs]
    if sources == inputs or -1 in sources:
        return False
    tensors = [subgraph.tensors[i] for i in sources]
    if any(tensor_type(t) != "INT8" or not _same(t, tensors[0]) for t in tensors):
        return False
    concatenation.inputs = np.array(sources, np.int32)
    output = subgraph.tensors[concatenation.outputs[0]]
    output.quantization = tensors[0].quantization
    return True


def _same(a: Record, b: Record) -> bool:
    """True when two tensors have one and the same per-tensor quantisation."""
    first, second = a.quantization, b.quantization
    if first is None or second is None or first.scale is None or first.scale.size != 1:
        return False
    return np.array_equal(first.scale, second.scale) and np.array_equal(
        first.zero_point, second.zero_point
    )
