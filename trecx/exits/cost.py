"""Multiply-accumulates of a Keras model, by layer and by segment."""

import keras
import numpy as np

from trecx.exits.classifier import producer


def layer_macs(layer: keras.layers.Layer) -> int:
    """Multiply-accumulates of one inference through a convolution or dense layer; else 0.

    Padding counts as if it were data. Bias, batch normalisation, pooling, addition and activation
    have no multiply-accumulates of their own.
    """
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return int(np.prod(layer.output.shape[1:])) * int(np.prod(layer.kernel_size))
    if isinstance(layer, keras.layers.Conv2D):
        per_output = int(np.prod(layer.kernel_size)) * layer.input.shape[-1] // layer.groups
        return int(np.prod(layer.output.shape[1:])) * per_output
    if isinstance(layer, keras.layers.Dense):
        return int(np.prod(layer.output.shape[1:])) * layer.input.shape[-1]
    return 0


def segment_macs(model: keras.Model) -> list[int]:
    """MACs of each segment of a chain: what output k needs that outputs before k do not.

    The sum up to k is the cost of leaving at exit k.
    """
    seen: set[int] = set()
    costs = []
    for output in model.outputs:
        new = _ancestors(output, seen)
        costs.append(sum(layer_macs(operation) for operation in new))
    return costs


def _ancestors(tensor, seen: set[int]) -> list:
    """Operations that `tensor` depends on and that are not in `seen`; adds them to it."""
    found, pending = [], [producer(tensor)]
    while pending:
        operation = pending.pop()
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        found.append(operation)
        if not isinstance(operation, keras.layers.InputLayer):
            inputs = operation.input
            for source in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
                pending.append(producer(source))
    return found
