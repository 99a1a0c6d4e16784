"""The four reference networks with their exits, operator by operator.

Interpreter = TensorFlow Lite Micro on every tensor; reference kernels = interpreter on every
operator, on the host and on an emulated Cortex-M4, with the values that occur in the network.
"""

import numpy as np
import pytest

from tests.support.converted_models import converted_models
from tests.support.kernel_harness import (
    CORTEX_M4,
    HOST,
    operator_case,
    overlap_cases,
    run_cases,
)
from tests.support.tflm_graphs import run_tflm_operators
from trecx.codegen.lowering import Isa, candidates
from trecx.ir.interpreter import run_graph
from trecx.tflite.importer import read_graph

NAMES = ("ic", "kws", "vww", "ad")
SAMPLES = 3


@pytest.fixture(scope="module")
def models():
    return converted_models()


@pytest.fixture(scope="module")
def runs(models):
    """(graph, input, {tensor: value of every sample}) of each network."""
    found = {}
    for name in NAMES:
        graph = read_graph(models[name])
        rng = np.random.default_rng(11)
        x = rng.integers(-128, 128, (SAMPLES, *graph.inputs[0].shape[1:])).astype(np.int8)
        values = {graph.inputs[0]: x}
        run_graph(graph, [x], record=values)
        found[name] = graph, x, values
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_equals_tflm(name, models, runs):
    graph, x, values = runs[name]
    assert len(graph.operators) >= 10
    for sample in range(SAMPLES):
        oracle = run_tflm_operators(graph, models[name], [x[sample]])
        for op in graph.operators:
            expected = oracle[op.index].reshape(values[op.output][sample].shape)
            assert np.array_equal(values[op.output][sample], expected), op


@pytest.mark.parametrize("name", NAMES)
def test_tensors_use_their_range(name, runs):
    """A comparison of tensors that are saturated or constant would prove nothing."""
    graph, _, values = runs[name]
    varied = [np.unique(values[op.output]).size for op in graph.operators]
    assert np.median(varied) > 30


@pytest.mark.parametrize("platform", [HOST, CORTEX_M4], ids=lambda p: p.name)
def test_every_kernel_equals_the_interpreter(platform, runs):
    cases, expected = [], []
    for graph, _, values in runs.values():
        for op in graph.operators:
            if op.kind == "RESHAPE":
                continue
            data = [values[t][:1].reshape(1, *t.shape) for t in op.activation_inputs]
            case = operator_case(op, candidates(op, Isa.REF)[0].steps, data)
            for variant in (case, *overlap_cases(case)):
                cases.append(variant)
                expected.append((op, values[op.output][:1].reshape(1, *op.output.shape)))
    for result, (op, value) in zip(run_cases(cases, platform), expected, strict=True):
        assert np.array_equal(result.output, value), op
