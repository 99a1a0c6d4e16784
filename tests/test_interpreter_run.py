"""run_graph: batches, chunks, recording, and what it rejects."""

import dataclasses

import numpy as np
import pytest

import trecx.ir.interpreter.run as run_module
from tests.support.random_ops import conv_2d, random_graph, random_inputs
from trecx.errors import InputError, UnsupportedModelError
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.interpreter import run_graph
from trecx.ir.interpreter.convolution import exact_float
from trecx.ir.ops import Activation, NoAttrs


@pytest.fixture
def chain():
    """Two operators: a convolution and a table."""
    rng = np.random.default_rng(0)
    graph = conv_2d(rng, (1, 6, 6, 3), 4, (3, 3))
    middle = graph.outputs[0]
    out = Tensor("relu", middle.shape, DType.INT8, QuantParams.per_tensor(0.05, -128))
    relu = Operator("RELU", [middle], [out], NoAttrs(), 1)
    return Graph("chain", graph.inputs, [out, middle], [*graph.operators, relu])


def test_chunks_do_not_change_the_result(chain, monkeypatch):
    inputs = random_inputs(chain, np.random.default_rng(1), 17)
    whole = run_graph(chain, inputs)
    monkeypatch.setattr(run_module, "CHUNK_ELEMENTS", 3 * 6 * 6 * 4)
    for got, expected in zip(run_graph(chain, inputs), whole, strict=True):
        assert np.array_equal(got, expected)


def test_a_sample_does_not_depend_on_the_others(chain):
    inputs = random_inputs(chain, np.random.default_rng(2), 8)
    together = run_graph(chain, inputs)[0]
    for sample in range(8):
        assert np.array_equal(
            run_graph(chain, [inputs[0][sample : sample + 1]])[0][0], together[sample]
        )


def test_record_receives_every_activation(chain):
    inputs = random_inputs(chain, np.random.default_rng(3), 4)
    seen = {}
    outputs = run_graph(chain, inputs, record=seen)
    assert list(seen) == [chain.outputs[0], chain.outputs[1]]
    for tensor, value in zip(chain.outputs, outputs, strict=True):
        assert np.array_equal(seen[tensor], value)
        assert value.shape == (4, *tensor.shape[1:])


def test_inputs_are_not_changed(chain):
    inputs = random_inputs(chain, np.random.default_rng(4), 4)
    before = inputs[0].copy()
    run_graph(chain, inputs)
    assert np.array_equal(inputs[0], before)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "takes 1 inputs, got 0"),
        ([np.zeros((2, 6, 6, 3), np.float32)], "must be int8 of shape"),
        ([np.zeros((2, 6, 6, 4), np.int8)], r"must be int8 of shape \(N, 6, 6, 3\)"),
        ([np.zeros((0, 6, 6, 3), np.int8)], "at least one sample"),
        ([np.int8(0)], "at least one sample"),
    ],
)
def test_rejects(chain, arrays, message):
    with pytest.raises(InputError, match=message):
        run_graph(chain, arrays)


def test_rejects_different_numbers_of_samples():
    rng = np.random.default_rng(7)
    graph = random_graph("CONCATENATION", rng)
    inputs = random_inputs(graph, rng)
    inputs[1] = inputs[1][:-1]
    with pytest.raises(InputError, match="same number of samples"):
        run_graph(graph, inputs)


def test_names_an_unknown_operator():
    quant = QuantParams.per_tensor(1.0, 0)
    x, y = (Tensor(name, (1, 4), DType.INT8, quant) for name in "xy")
    graph = Graph("g", [x], [y], [Operator("CUMSUM", [x], [y], None, 7)])
    with pytest.raises(UnsupportedModelError, match=r"CUMSUM \(index 7\).*CONV_2D"):
        run_graph(graph, [np.zeros((1, 4), np.int8)])


def test_refuses_a_fused_activation_that_tflm_does_not_have():
    graph = random_graph("CONCATENATION", np.random.default_rng(0))
    op = graph.operators[0]
    op.attrs = dataclasses.replace(op.attrs, activation=Activation.RELU)
    with pytest.raises(UnsupportedModelError, match="fused activation RELU"):
        run_graph(graph, random_inputs(graph, np.random.default_rng(0)))


def test_the_float_carrier_is_wide_enough():
    fits = np.full((1032, 2), 127)  # 128 * 127 * 1032 = 16,776,192 < 2^24
    assert exact_float(fits) == np.float32
    assert exact_float(np.vstack([fits, fits[:1]])) == np.float64
