"""ADD on Helium equals the interpreter bit by bit, in place of either input too."""

import numpy as np

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import activation_tensor, one_operator, random_quant
from trecx.codegen.kernels.mve_add import MveAdd
from trecx.ir.ops import Activation, AddAttrs


def add_graph(rng, shape, activation, ratio=None):
    a = activation_tensor(rng, shape, "a")
    ratio = float(np.exp(rng.uniform(-2, 2))) if ratio is None else ratio
    b = activation_tensor(rng, shape, "b", random_quant(rng, a.scale * ratio))
    scale = max(a.scale, b.scale) * float(np.exp(rng.uniform(-1, 1)))
    y = activation_tensor(rng, shape, "output", random_quant(rng, scale))
    return one_operator("ADD", [a, b], y, AddAttrs(activation))


def test_shapes_and_scales():
    rng = np.random.default_rng(1)
    shapes = [(1, 4, 4, 16), (1, 1), (1, 7), (1, 8), (1, 3, 3, 5), (1, 5, 21)]
    activations = [Activation.NONE, Activation.RELU, Activation.RELU6]
    graphs = [add_graph(rng, shape, act) for shape in shapes for act in activations]
    graphs.append(add_graph(rng, (1, 40), Activation.RELU, ratio=1.0))
    graphs.append(add_graph(rng, (1, 40), Activation.NONE, ratio=1e-7))
    check_scheme(MveAdd(), graphs, rng)


def test_is_refused():
    rng = np.random.default_rng(2)
    graph = add_graph(rng, (1, 4, 4), Activation.NONE)
    op = graph.operators[0]
    assert MveAdd().reason_against(op) is None
    op.inputs[1].shape = (1, 1, 4)
    assert "shapes differ" in MveAdd().reason_against(op)
    op.inputs[1].data = np.zeros((1, 1, 4), np.int8)
    assert "constant" in MveAdd().reason_against(op)
