"""Runs models on TensorFlow Lite Micro, the oracle of the numeric contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from trecx.tflite.model import read_model


def load(
    model: bytes, arena_size: int = 1 << 20
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """A function from the model's int8 inputs (with batch) to its outputs, both in file order."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_size)
    count = len(read_model(model).subgraphs[0].outputs)

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        for i, array in enumerate(arrays):
            interpreter.set_input(array, i)
        interpreter.invoke()
        return [interpreter.get_output(i).copy() for i in range(count)]

    return run
