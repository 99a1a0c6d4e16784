"""The interpreter against TensorFlow Lite's reference kernels: equal but for FULLY_CONNECTED.

TFLite rounds FULLY_CONNECTED once, TFLM (and so trecx) twice; they differ by at most one unit.
"""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support.random_ops import random_graph, random_inputs
from tests.support.tflm_graphs import with_zero_biases
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import SUPPORTED_KINDS
from trecx.tflite.exporter import write_graph

GRAPHS = 15


def run_tflite(graph, inputs):
    """The graph's only output for each sample."""
    interpreter = Interpreter(
        model_content=write_graph(graph), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    places = [d["index"] for d in interpreter.get_input_details()]
    (output,) = interpreter.get_output_details()
    rows = []
    for sample in range(len(inputs[0])):
        for place, tensor, array in zip(places, graph.inputs, inputs, strict=True):
            interpreter.set_tensor(place, array[sample].reshape(tensor.shape))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(output["index"]))
    return np.stack(rows)


def with_biases(kind, rng, hard):
    """A random graph; TFLite's CONV_2D and DEPTHWISE_CONV_2D need a bias tensor."""
    while True:
        graph = with_zero_biases(random_graph(kind, rng, hard))
        inputs = graph.operators[0].inputs
        if kind != "CONV_2D" or inputs[2] is not None:
            return graph


@pytest.mark.parametrize("kind", SUPPORTED_KINDS)
def test_random_operators(kind):
    rng = np.random.default_rng(SUPPORTED_KINDS.index(kind))
    for number in range(GRAPHS):
        graph = with_biases(kind, rng, hard=number % 2 == 1)
        inputs = random_inputs(graph, rng)
        got = run_graph(graph, inputs)[0].astype(int)
        difference = np.abs(got - run_tflite(graph, inputs).reshape(got.shape))
        assert difference.max() <= (1 if kind == "FULLY_CONNECTED" else 0), graph.operators
