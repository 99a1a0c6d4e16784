"""TensorFlow Lite Micro as the oracle: the segments' files on the real interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from trecx.errors import InputError, ToolMissingError
from trecx.ir.graph import Tensor
from trecx.stages.chain import Chain

ARENA_BYTES = 1 << 20


def run_chain_on_tflm(
    chain: Chain, x: np.ndarray, progress: Callable[[int, int], None] | None = None
) -> list[np.ndarray]:
    """First output of every segment, int8 (N, units), for int8 inputs x (N, ...).

    Hand-off tensors are carried from segment to segment as bytes, as a user of the files would.
    Raises ToolMissingError without the package tflite-micro.
    """
    interpreters = [_Interpreter(content, graph) for content, graph in _files(chain)]
    rows: list[list[np.ndarray]] = []
    for n, sample in enumerate(x):
        tensors, found = [sample], []
        for interpreter in interpreters:
            outputs = interpreter.run(tensors)
            found.append(outputs[0].reshape(-1))
            tensors = outputs[1:] or outputs
        rows.append(found)
        if progress is not None:
            progress(n + 1, len(x))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _files(chain: Chain):
    if chain.contents is None:
        raise InputError("the TFLM oracle needs the model's .tflite files")
    return zip(chain.contents, chain.graphs, strict=True)


class _Interpreter:
    def __init__(self, content: bytes, graph):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from tflite_micro import runtime
        except ImportError as error:
            raise ToolMissingError(
                f"the TFLM oracle needs the package tflite-micro ({error}); install it with: "
                "pip install --pre tflite-micro"
            ) from None
        self.inputs: list[Tensor] = graph.inputs
        self.count = len(graph.outputs)
        self.native = runtime.Interpreter.from_bytes(content, arena_size=ARENA_BYTES)

    def run(self, tensors: list[np.ndarray]) -> list[np.ndarray]:
        for k, (value, tensor) in enumerate(zip(tensors, self.inputs, strict=True)):
            self.native.set_input(value.reshape(tensor.shape), k)
        self.native.invoke()
        return [np.array(self.native.get_output(k)) for k in range(self.count)]
