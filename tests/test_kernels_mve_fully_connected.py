"""FULLY_CONNECTED on Helium equals the interpreter bit by bit."""

import numpy as np
import pytest

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import fully_connected
from trecx.codegen.kernels.mve_fully_connected import MveFullyConnected, MveFullyConnectedUnits
from trecx.ir.ops import Activation

NONE, RELU = Activation.NONE, Activation.RELU


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activation", [NONE, RELU])
def test_shapes(activation, per_channel):
    rng = np.random.default_rng(1)
    sizes = [(16, 8), (64, 12), (128, 24), (80, 8), (144, 16), (8, 32), (1, 4), (30, 5), (100, 7)]
    sizes += [(160, 8), (224, 9), (336, 16)]  # streamed vectors in one and in several passes
    graphs = [
        fully_connected(rng, inputs, units, activation=activation, per_channel=per_channel)
        for inputs, units in sizes
    ]
    graphs.append(
        fully_connected(rng, 40, 10, rows=3, activation=Activation.RELU6, per_channel=per_channel)
    )
    check_scheme(MveFullyConnected(), graphs, rng)


@pytest.mark.parametrize("per_channel", [False, True])
def test_extreme_weights_and_scales(per_channel):
    rng = np.random.default_rng(2)
    choice, graphs = MveFullyConnected(), []
    while len(graphs) < 24:
        activation = RELU if len(graphs) % 2 else NONE
        graph = fully_connected(
            rng, 37, 9, activation=activation, per_channel=per_channel, hard=True
        )
        if choice.reason_against(graph.operators[0]) is None:
            graphs.append(graph)
    check_scheme(choice, graphs, rng)


def test_few_units_are_refused():
    op = fully_connected(np.random.default_rng(3), 16, 3).operators[0]
    assert "only 3 units" in MveFullyConnected().reason_against(op)


@pytest.mark.parametrize("per_channel", [False, True])
def test_single_units(per_channel):
    rng = np.random.default_rng(4)
    sizes = [(16, 2), (256, 2), (1, 1), (37, 3), (100, 5)]
    graphs = [
        fully_connected(rng, inputs, units, activation=NONE, per_channel=per_channel, hard=hard)
        for inputs, units in sizes
        for hard in (False, True)
    ]
    graphs.append(
        fully_connected(rng, 40, 3, rows=3, activation=Activation.RELU6, per_channel=per_channel)
    )
    check_scheme(MveFullyConnectedUnits(), graphs, rng)
