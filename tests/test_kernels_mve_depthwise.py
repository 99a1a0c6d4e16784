"""DEPTHWISE_CONV_2D on Helium equals the interpreter bit by bit, in place too."""

import numpy as np
import pytest

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import depthwise_conv_2d
from trecx.codegen.kernels.mve_depthwise_conv2d import (
    MveDepthwiseConv2D3x3,
    MveDepthwiseConv2DLanes,
)
from trecx.ir.ops import Activation, Padding

NONE, RELU, RELU6 = Activation.NONE, Activation.RELU, Activation.RELU6


def test_3x3_shapes():
    rng = np.random.default_rng(1)
    shapes = [
        # input, kernel, stride, padding, activation
        ((1, 16, 16, 4), (3, 3), (1, 1), "SAME", RELU),  # several bands
        ((1, 18, 23, 6), (3, 3), (1, 1), "SAME", RELU),  # several groups
        ((1, 6, 6, 16), (3, 3), (1, 1), "SAME", RELU),
        ((1, 3, 3, 8), (3, 3), (1, 1), "SAME", RELU),
        ((1, 2, 2, 2), (3, 3), (1, 1), "SAME", NONE),
        ((1, 13, 5, 6), (3, 3), (1, 1), "SAME", RELU),
        ((1, 7, 9, 6), (3, 3), (1, 1), "SAME", NONE),
        ((1, 2, 3, 6), (3, 3), (1, 1), "SAME", NONE),
        ((1, 24, 24, 4), (3, 3), (2, 2), "SAME", RELU),
        ((1, 32, 30, 2), (3, 3), (2, 2), "SAME", RELU),
        ((1, 6, 6, 8), (3, 3), (2, 2), "SAME", RELU),
        ((1, 7, 9, 10), (3, 3), (2, 2), "SAME", NONE),
        ((1, 9, 8, 6), (3, 3), (3, 2), "SAME", RELU6),
        ((1, 6, 8, 6), (3, 3), (1, 2), "VALID", RELU),
        ((1, 6, 9, 14), (2, 3), (1, 1), "SAME", RELU),
        ((1, 5, 5, 2), (3, 1), (1, 1), "VALID", RELU6),
        ((1, 4, 5, 4), (1, 2), (2, 2), "SAME", NONE),
        ((1, 4, 5, 4), (3, 3), (1, 1), Padding(2, 1, 0, 3), RELU),
    ]
    graphs = [
        depthwise_conv_2d(rng, shape, kernel, stride=stride, padding=padding, activation=activation)
        for shape, kernel, stride, padding, activation in shapes
    ]
    check_scheme(MveDepthwiseConv2D3x3(), graphs, rng)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("activation", [NONE, RELU])
def test_3x3_extreme_weights_and_scales(activation, stride):
    rng = np.random.default_rng(2)
    choice, graphs = MveDepthwiseConv2D3x3(), []
    while len(graphs) < 12:
        graph = depthwise_conv_2d(
            rng, (1, 5, 6, 4), (3, 3), stride=stride, activation=activation, hard=True
        )
        if choice.reason_against(graph.operators[0]) is None:
            graphs.append(graph)
    check_scheme(choice, graphs, rng)


def test_lanes_shapes():
    rng = np.random.default_rng(4)
    shapes = [
        # input, kernel, stride, dilation, padding, activation
        ((1, 6, 7, 8), (5, 5), (1, 1), (1, 1), "SAME", RELU),
        ((1, 9, 8, 5), (3, 3), (2, 1), (1, 1), "SAME", NONE),
        ((1, 12, 1, 6), (7, 1), (1, 1), (1, 1), "SAME", RELU6),
        ((1, 9, 9, 3), (3, 3), (1, 1), (2, 3), "SAME", NONE),
        ((1, 1, 1, 1), (3, 3), (1, 1), (1, 1), "SAME", NONE),
        ((1, 5, 6, 9), (2, 4), (3, 2), (1, 1), "VALID", RELU),
    ]
    graphs = [
        depthwise_conv_2d(
            rng, shape, kernel, stride=stride, dilation=dilation, padding=padding,
            activation=activation,
        )
        for shape, kernel, stride, dilation, padding, activation in shapes
    ]  # fmt: skip
    check_scheme(MveDepthwiseConv2DLanes(), graphs, rng)


@pytest.mark.parametrize("activation", [NONE, RELU])
def test_lanes_extreme_weights_and_scales(activation):
    """Left shifts and sums that wrap, too."""
    rng = np.random.default_rng(5)
    graphs = [
        depthwise_conv_2d(rng, (1, 4, 4, 6), (3, 2), activation=activation, hard=True)
        for _ in range(16)
    ]
    check_scheme(MveDepthwiseConv2DLanes(), graphs, rng)


def test_3x3_is_refused():
    rng = np.random.default_rng(3)

    def reason(shape=(1, 8, 8, 4), kernel=(3, 3), **options):
        op = depthwise_conv_2d(rng, shape, kernel, **options).operators[0]
        return MveDepthwiseConv2D3x3().reason_against(op)

    assert reason() is None
    assert "larger than 3x3" in reason(kernel=(5, 3))
    assert "dilated" in reason(dilation=(1, 2))
    assert "more than one output channel" in reason(depth_multiplier=2)
    assert "odd number" in reason(shape=(1, 8, 8, 3))
    assert "stride" in reason(stride=(2, 1))
    assert "less than two pixels" in reason(shape=(1, 8, 1, 4))
    assert "more than 123" in reason(shape=(1, 4, 126, 2), stride=(2, 2))
    assert "16-bit" in reason(shape=(1, 4, 4, 16384))
