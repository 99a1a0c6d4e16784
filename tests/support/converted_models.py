"""The four MLPerf Tiny networks with their default exits, converted to int8 with random weights."""

from __future__ import annotations

import numpy as np


def converted_models() -> dict[str, bytes]:
    """Contents of one .tflite file for each task: ic, kws and vww with an exit, ad without.

    The batch-norm statistics are random too, so that folding them has an effect. Needs TensorFlow.
    """
    import keras

    from mlperf_tiny.tasks import TASKS
    from trecx.exits import add_exits
    from trecx.tflite.convert import convert

    found = {}
    for name, task in TASKS.items():
        keras.utils.set_random_seed(7)
        rng = np.random.default_rng(7)
        network = task.build(len(task.labels))
        _randomise_statistics(network, rng)
        exits = task.recipe(task.default_recipe).exits
        if exits:
            network = add_exits(network, exits).plain()
        low, high = task.input_range
        samples = rng.uniform(low, high, (16, *task.input_shape)).astype(np.float32)
        found[name] = convert(network, samples).content
    return found


def _randomise_statistics(network, rng) -> None:
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shapes = [w.shape for w in layer.get_weights()]
            gamma, beta, mean = (
                rng.uniform(low, 1, shape)
                for low, shape in zip((0.3, -1, -1), shapes[:3], strict=True)
            )
            layer.set_weights([gamma, beta, mean, rng.uniform(0.3, 2, shapes[3])])
