"""verify(): each way in which a graph can be wrong is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.graph_builder import GraphBuilder, every_operator
from trecx.errors import VerificationError
from trecx.ir import ops
from trecx.ir.graph import DType, QuantParams
from trecx.ir.verify import problems, verify
from trecx.tflite.importer import read_graph

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("seed", range(5))
def test_sound_graphs_pass(seed):
    verify(every_operator(seed))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.tflite")), ids=lambda p: p.stem)
def test_converted_models_pass(path):
    verify(read_graph(path))


def small():
    """input -> CONV_2D -> MAX_POOL_2D -> RESHAPE -> FULLY_CONNECTED -> SOFTMAX"""
    b = GraphBuilder(1)
    x = b.input((1, 6, 6, 2))
    x = b.pool(b.conv(x, 4), "MAX_POOL_2D", (2, 2), (2, 2))
    return b.graph(b.softmax(b.dense(b.reshape(x, (1, 36)), 5)))


def _swap_operators(g):
    g.operators[1], g.operators[2] = g.operators[2], g.operators[1]


def _write_twice(g):
    g.operators[2].outputs = g.operators[1].outputs


def _write_input(g):
    g.operators[0].outputs = g.inputs[:]


def _write_constant(g):
    g.operators[0].outputs = [g.operators[0].inputs[1]]


def _lost_output(g):
    g.outputs = [g.operators[0].inputs[1]]


def _dangling(g):
    g.outputs.append(g.operators[0].output)
    g.operators[1].inputs = [g.inputs[0]]
    g.outputs.pop()


def _no_outputs(g):
    g.outputs = []


def _same_input_twice(g):
    g.inputs.append(g.inputs[0])


def _float_activation(g):
    g.operators[0].output.dtype = DType.FLOAT32


def _no_quantisation(g):
    g.operators[0].output.quant = None


def _per_channel_activation(g):
    scales = np.full(4, 0.1, np.float32)
    g.operators[0].output.quant = QuantParams(scales, np.zeros(4, np.int32), 3)


def _bad_scale(g):
    g.operators[3].output.quant = QuantParams.per_tensor(float("inf"), 0)


def _bad_zero_point(g):
    g.operators[3].output.quant = QuantParams.per_tensor(0.1, 200)


def _wrong_shape(g):
    g.operators[0].output.shape = (1, 6, 5, 4)


def _wrong_attributes(g):
    g.operators[0].attrs = ops.SoftmaxAttrs()


def _unknown_operator(g):
    g.operators[0].kind = "CUMSUM"


def _missing_weights(g):
    g.operators[0].inputs[1] = None


def _too_many_inputs(g):
    g.operators[1].inputs = [g.operators[0].output] * 2


def _two_outputs(g):
    g.operators[-1].outputs.append(g.operators[-1].output)


def _weights_not_constant(g):
    g.operators[0].inputs[1].data = None


def _asymmetric_weights(g):
    q = g.operators[3].inputs[1].quant
    g.operators[3].inputs[1].quant = QuantParams(q.scale, np.array([4], np.int32))


def _scales_along_the_wrong_axis(g):
    weights = g.operators[0].inputs[1]
    weights.quant = QuantParams(weights.quant.scale, weights.quant.zero_point, 3)


def _float_bias(g):
    g.operators[0].inputs[2].dtype = DType.FLOAT32


def _short_bias(g):
    bias = g.operators[0].inputs[2]
    bias.shape, bias.data = (3,), bias.data[:3]


def _pool_rescales(g):
    g.operators[1].output.quant = QuantParams.per_tensor(0.77, 3)


def _softmax_scale(g):
    g.operators[-1].output.quant = QuantParams.per_tensor(1 / 255, -128)


def _softmax_beta(g):
    g.operators[-1].attrs = ops.SoftmaxAttrs(float("nan"))


def _stride_zero(g):
    g.operators[1].attrs = ops.PoolAttrs((2, 2), (0, 1))


def _window_too_large(g):
    g.operators[1].attrs = ops.PoolAttrs((9, 9), (1, 1))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_swap_operators, "before it is produced"),
        (_write_twice, "has a value already"),
        (_write_input, "has a value already"),
        (_write_constant, "writes the constant"),
        (_lost_output, "produced by no operator"),
        (_dangling, "neither read nor an output"),
        (_no_outputs, "0 outputs"),
        (_same_input_twice, "listed twice"),
        (_float_activation, "float32, int8 expected"),
        (_no_quantisation, "no per-tensor quantisation"),
        (_per_channel_activation, "no per-tensor quantisation"),
        (_bad_scale, "scale inf"),
        (_bad_zero_point, "zero point 200"),
        (_wrong_shape, r"[1, 6, 6, 4] expected"),
        (_wrong_attributes, "attributes are SoftmaxAttrs"),
        (_unknown_operator, "CUMSUM"),
        (_missing_weights, "2 to 3 expected"),
        (_too_many_inputs, "1 to 1 expected"),
        (_two_outputs, "2 outputs"),
        (_weights_not_constant, "not constant int8"),
        (_asymmetric_weights, "symmetrically"),
        (_scales_along_the_wrong_axis, "along dimension 3"),
        (_float_bias, "not constant int32"),
        (_short_bias, "bias has 3 values for 4"),
        (_pool_rescales, "quantised differently"),
        (_softmax_scale, "1/256"),
        (_stride_zero, "stride is [0, 1]"),
        (_softmax_beta, "beta is nan"),
        (_window_too_large, "does not fit"),
    ],
)
def test_damage_is_found(damage, words):
    graph = small()
    damage(graph)
    found = list(problems(graph))
    assert any(words in line for line in found), found
    with pytest.raises(VerificationError, match="graph 'test': "):
        verify(graph)


def test_constant_operand_needs_quantisation():
    b = GraphBuilder()
    x = b.input((1, 4))
    y = b.add(x, b.constant((1, 4), b.quant()))
    graph = b.graph(y)
    verify(graph)
    graph.operators[0].inputs[1].quant = None
    assert any("no per-tensor quantisation" in line for line in problems(graph))
    graph.operators[0].inputs[1].dtype = DType.INT32
    assert any("int32, int8 expected" in line for line in problems(graph))


def test_message_names_the_operator():
    graph = small()
    _wrong_shape(graph)
    with pytest.raises(
        VerificationError, match=r"operator CONV_2D \(index 0\): output 'conv_2d_0'"
    ):
        verify(graph)
