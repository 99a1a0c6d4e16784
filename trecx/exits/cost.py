"""Multiply-accumulates of a Keras model, by layer and by segment."""

import math

import keras
import numpy as np

from trecx.exits.classifier import producer, sources, upstream


def tensor_macs(tensor: keras.KerasTensor) -> int:
    """Multiply-accumulates that compute a symbolic tensor from its sources, for one sample.

    Convolutions and dense layers have some; padding counts as if it were data. Bias, batch
    normalisation, pooling, addition and activation have none.
    """
    layer = producer(tensor)
    outputs = math.prod(tensor.shape[1:])
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return outputs * math.prod(layer.kernel_size)
    if isinstance(layer, keras.layers.Conv2D):
        channels = sources(tensor)[0].shape[-1] // layer.groups
        return outputs * math.prod(layer.kernel_size) * channels
    if isinstance(layer, keras.layers.Dense):
        return outputs * sources(tensor)[0].shape[-1]
    return 0


def segment_macs(model: keras.Model) -> list[int]:
    """MACs of each segment of a chain: what output k needs that outputs before k do not.

    The sum up to k is the cost of leaving at exit k.
    """
    seen: set[int] = set()
    costs = []
    for output in model.outputs:
        new = [tensor for tensor in upstream(output) if id(tensor) not in seen]
        seen.update(id(tensor) for tensor in new)
        costs.append(sum(tensor_macs(tensor) for tensor in new))
    return costs


def relative_costs(model: keras.Model) -> list[float]:
    """MACs of leaving at each exit as a share of the whole network's; one an exit, 0..1."""
    costs = np.cumsum(segment_macs(model))
    return [float(cost / costs[-1]) for cost in costs[:-1]]
