"""The interpreter equals TensorFlow Lite Micro on random operators, bit by bit."""

import numpy as np
import pytest

from tests.support.random_ops import (
    activation_tensor,
    fully_connected,
    one_operator,
    random_graph,
    random_inputs,
    random_quant,
)
from tests.support.tflm_graphs import run_tflm
from trecx.ir.graph import DType, QuantParams, Tensor
from trecx.ir.interpreter import implemented_kinds, run_graph
from trecx.ir.ops import SUPPORTED_KINDS, AddAttrs, NoAttrs, ReduceAttrs, SoftmaxAttrs

GRAPHS = 80


def assert_equals_tflm(graph, rng, samples=5):
    inputs = random_inputs(graph, rng, samples)
    for got, expected in zip(run_graph(graph, inputs), run_tflm(graph, inputs), strict=True):
        assert got.shape == expected.shape
        assert np.array_equal(got, expected), graph.operators


def test_every_kind_is_implemented():
    assert implemented_kinds() == SUPPORTED_KINDS


@pytest.mark.parametrize("kind", SUPPORTED_KINDS)
def test_random_operators(kind):
    rng = np.random.default_rng(SUPPORTED_KINDS.index(kind))
    for number in range(GRAPHS):
        assert_equals_tflm(random_graph(kind, rng, hard=number % 2 == 1), rng)


@pytest.mark.parametrize("kind", ["RELU", "QUANTIZE", "LOGISTIC"])
def test_tables_over_all_inputs_and_scales(kind):
    rng = np.random.default_rng(5)
    every_value = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    for exponent in np.linspace(-12, 2, 15):
        x = activation_tensor(rng, (1, 256), quant=random_quant(rng, 2.0**exponent))
        y = activation_tensor(rng, (1, 256), "output", random_quant(rng, 2.0 ** rng.uniform(-6, 0)))
        if kind == "LOGISTIC":
            y.quant = QuantParams.per_tensor(1 / 256, -128)
        graph = one_operator(kind, [x], y, NoAttrs())
        assert np.array_equal(run_graph(graph, [every_value])[0], run_tflm(graph, [every_value])[0])


@pytest.mark.parametrize("depth", [1, 2, 10, 256, 511])
def test_softmax_from_flat_to_one_hot(depth):
    rng = np.random.default_rng(depth)
    for exponent in np.linspace(-20, 8, 15):
        x = activation_tensor(rng, (1, depth), quant=random_quant(rng, 2.0**exponent))
        y = Tensor("output", x.shape, DType.INT8, QuantParams.per_tensor(1 / 256, -128))
        assert_equals_tflm(one_operator("SOFTMAX", [x], y, SoftmaxAttrs(1.0)), rng, samples=4)


def test_add_over_wide_scales():
    rng = np.random.default_rng(3)
    for _ in range(40):
        scales = np.exp2(rng.uniform(-10, 4, 2))
        a, b = (
            activation_tensor(rng, (1, 400), name, random_quant(rng, s))
            for name, s in zip("ab", scales, strict=True)
        )
        quant = random_quant(rng, scales.max() * 2.0 ** rng.uniform(-12, 4))
        y = activation_tensor(rng, (1, 400), "output", quant)
        assert_equals_tflm(one_operator("ADD", [a, b], y, AddAttrs()), rng, samples=6)


@pytest.mark.parametrize("scale", [2.0**-20, 0.01, 1.0, 2.0**12])
def test_mean_over_wide_scales(scale):
    rng = np.random.default_rng(4)
    for shape in ((1, 5, 5, 3), (1, 1, 1, 4), (1, 31, 33, 2)):
        x = activation_tensor(rng, shape, quant=random_quant(rng, 0.02))
        y = activation_tensor(rng, (1, shape[3]), "output", random_quant(rng, 0.02 * scale))
        assert_equals_tflm(one_operator("MEAN", [x], y, ReduceAttrs((1, 2))), rng)


def test_long_dense_layer():
    """More terms than float32 can carry exactly: the interpreter must change to float64."""
    rng = np.random.default_rng(6)
    graph = fully_connected(rng, 4000, 3, hard=True)
    assert_equals_tflm(graph, rng)
