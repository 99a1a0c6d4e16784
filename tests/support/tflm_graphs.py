"""The oracle: TensorFlow Lite Micro's own interpreter, run on graphs or .tflite files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from trecx.ir.graph import DType, Graph, Operator, Tensor
from trecx.tflite.exporter import write_graph
from trecx.tflite.model import read_model

ARENA_BYTES = 4 << 20


def run_tflm(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the graph, written as a .tflite file; arguments and result as `run_graph`."""
    model = write_graph(with_zero_biases(graph))
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    rows = []
    for sample in range(len(inputs[0])):
        _invoke(interpreter, graph, [a[sample] for a in inputs])
        rows.append([interpreter.get_output(i) for i in range(len(graph.outputs))])
    return [
        np.stack([row[i] for row in rows]).reshape(len(rows), *_sample_shape(tensor))
        for i, tensor in enumerate(graph.outputs)
    ]


def run_tflm_operators(
    graph: Graph, model: bytes, inputs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The first output of every operator of `model`, in the file's order, for one sample.

    Args:
        graph: what the importer made of `model`.
        inputs: one array for each graph input, with or without its batch dimension of 1.
    """
    interpreter = runtime.Interpreter.from_bytes(
        model,
        arena_size=ARENA_BYTES,
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
    )
    _invoke(interpreter, graph, inputs)
    operators = read_model(model).subgraphs[0].operators
    return [interpreter.GetTensor(int(op.outputs[0]), 0)["tensor_data"] for op in operators]


def _invoke(interpreter, graph: Graph, inputs: Sequence[np.ndarray]) -> None:
    for index, (tensor, array) in enumerate(zip(graph.inputs, inputs, strict=True)):
        interpreter.set_input(np.ascontiguousarray(array.reshape(tensor.shape)), index)
    interpreter.invoke()


def _sample_shape(tensor: Tensor) -> tuple[int, ...]:
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def with_zero_biases(graph: Graph) -> Graph:
    """The graph with explicit zero biases: TFLM's DEPTHWISE_CONV_2D crashes without one."""
    return dataclasses.replace(graph, operators=[_with_zero_bias(op) for op in graph.operators])


def _with_zero_bias(op: Operator) -> Operator:
    if op.kind != "DEPTHWISE_CONV_2D" or (len(op.inputs) > 2 and op.inputs[2] is not None):
        return op
    channels = op.output.shape[-1]
    zeros = Tensor("zero_bias", (channels,), DType.INT32, None, np.zeros(channels, np.int32))
    return dataclasses.replace(op, inputs=[*op.inputs[:2], zeros])
