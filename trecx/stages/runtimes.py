"""A chain of segments on an interpreter: TensorFlow Lite Micro, tflite-runtime or LiteRT."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from trecx.errors import ToolMissingError
from trecx.stages.chain import Chain
from trecx.tflite.model import read_model
from trecx.tflite.runtime import find_runtime

ARENA_BYTES = 1 << 20

Model = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def run_chain_with(
    load: Callable[[bytes], Model],
    chain: Chain,
    x: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> list[np.ndarray]:
    """First output of every segment, int8 (N, units), for int8 inputs x (N, ...).

    load: a .tflite file's bytes -> a function from its inputs (with batch) to its outputs. Hand-off
    tensors are carried from segment to segment as bytes, as a user of the files would.
    """
    models = [load(content) for content in chain.contents]
    rows: list[list[np.ndarray]] = []
    for n, sample in enumerate(x):
        tensors, found = [sample], []
        for model, graph in zip(models, chain.graphs, strict=True):
            shaped = [t.reshape(i.shape) for t, i in zip(tensors, graph.inputs, strict=True)]
            outputs = model(shaped)
            found.append(outputs[0].reshape(-1))
            tensors = outputs[1:] or outputs
        rows.append(found)
        if progress is not None:
            progress(n + 1, len(x))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def load_on_tflm(content: bytes) -> Model:
    """A model on TensorFlow Lite Micro. Raises ToolMissingError without package tflite-micro."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tflite_micro import runtime
    except ImportError as error:
        raise ToolMissingError(
            f"this needs the package tflite-micro ({error}); install it with: "
            "pip install --pre tflite-micro"
        ) from None
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA_BYTES)
    count = len(read_model(content).subgraphs[0].outputs)

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        for k, array in enumerate(arrays):
            interpreter.set_input(array, k)
        interpreter.invoke()
        return [np.array(interpreter.get_output(k)) for k in range(count)]

    return run


def load_on_tflite(content: bytes) -> Model:
    """A model on tflite-runtime or LiteRT with reference kernels; ToolMissingError without one."""
    runtime = find_runtime()
    if runtime is None:
        raise ToolMissingError(
            "this needs tflite-runtime or ai-edge-litert; install one with: "
            "pip install ai-edge-litert"
        )
    return runtime.load(content)
