"""CONV_2D on Helium equals the interpreter bit by bit, in place too; bad fits are refused."""

import numpy as np
import pytest

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import conv_2d
from trecx.codegen.kernels.mve_conv2d import (
    BIAS_LANES,
    MveConv2D3x3,
    MveConv2DNarrow,
    MveConv2DPatch,
    bias_weights,
)
from trecx.ir.ops import Activation, Padding

NONE, RELU, RELU6 = Activation.NONE, Activation.RELU, Activation.RELU6


def test_3x3_shapes():
    rng = np.random.default_rng(1)
    shapes = [
        # input, filters, stride, padding, activation
        ((1, 8, 8, 16), 4, (1, 1), "SAME", RELU),
        ((1, 8, 8, 32), 8, (2, 2), "SAME", RELU),
        ((1, 6, 12, 48), 2, (1, 1), "SAME", NONE),
        ((1, 9, 16, 16), 6, (2, 2), "SAME", NONE),
        ((1, 7, 9, 32), 6, (1, 1), "VALID", NONE),
        ((1, 5, 7, 16), 3, (1, 1), "SAME", RELU6),
        ((1, 9, 3, 48), 5, (2, 1), "SAME", RELU),
        ((1, 9, 3, 16), 5, (1, 2), "SAME", RELU6),
        ((1, 1, 1, 16), 1, (1, 1), "SAME", NONE),
        ((1, 3, 3, 16), 2, (1, 1), "VALID", RELU),
        ((1, 4, 6, 16), 2, (1, 1), Padding(2, 2, 2, 2), NONE),
        ((1, 5, 8, 16), 2, (2, 2), Padding(0, 1, 1, 1), NONE),
    ]
    graphs = [
        conv_2d(rng, shape, filters, (3, 3), stride=stride, padding=padding, activation=activation)
        for shape, filters, stride, padding, activation in shapes
    ]
    check_scheme(MveConv2D3x3(), graphs, rng)


def test_patch_shapes():
    rng = np.random.default_rng(4)
    shapes = [
        # input, filters, kernel, stride, dilation, padding, activation
        ((1, 5, 5, 64), 4, (1, 1), (1, 1), (1, 1), "SAME", RELU),
        ((1, 5, 5, 16), 4, (1, 1), (1, 1), (1, 1), "SAME", RELU),
        ((1, 5, 5, 8), 4, (1, 1), (1, 1), (1, 1), "SAME", NONE),
        ((1, 12, 9, 32), 6, (1, 1), (1, 1), (1, 1), "SAME", NONE),
        ((1, 9, 8, 32), 2, (1, 1), (2, 2), (1, 1), "SAME", RELU),
        ((1, 4, 5, 256), 2, (1, 1), (1, 1), (1, 1), "SAME", RELU),
        ((1, 2, 3, 320), 3, (1, 1), (1, 1), (1, 1), "SAME", NONE),
        ((1, 1, 1, 24), 1, (1, 1), (1, 1), (1, 1), "SAME", NONE),
        ((1, 5, 7, 20), 5, (1, 1), (1, 1), (1, 1), "SAME", RELU6),
        ((1, 5, 7, 72), 4, (1, 1), (1, 2), (1, 1), "SAME", RELU),
        ((1, 12, 12, 3), 4, (3, 3), (2, 2), (1, 1), "SAME", RELU),
        ((1, 7, 9, 3), 4, (3, 3), (1, 1), (1, 1), "SAME", NONE),
        ((1, 7, 9, 3), 4, (3, 3), (3, 3), (1, 1), "SAME", NONE),
        ((1, 17, 10, 1), 8, (10, 4), (2, 2), (1, 1), "SAME", RELU),
        ((1, 8, 7, 1), 4, (5, 5), (1, 1), (1, 1), "VALID", NONE),
        ((1, 5, 5, 64), 3, (5, 5), (1, 1), (1, 1), "SAME", NONE),
        ((1, 9, 9, 8), 3, (3, 3), (1, 1), (2, 2), "SAME", RELU6),
        ((1, 9, 8, 5), 2, (2, 3), (3, 2), (2, 3), "SAME", NONE),
        ((1, 6, 4, 24), 2, (1, 1), (1, 1), (1, 1), Padding(1, 1, 2, 2), NONE),
        ((1, 3, 4, 24), 2, (1, 1), (2, 2), (1, 1), Padding(0, 2, 0, 1), NONE),
        ((1, 9, 4, 8), 2, (2, 2), (5, 3), (1, 1), "VALID", RELU),
    ]
    graphs = [
        conv_2d(
            rng, shape, filters, kernel, stride=stride, dilation=dilation, padding=padding,
            activation=activation,
        )
        for shape, filters, kernel, stride, dilation, padding, activation in shapes
    ]  # fmt: skip
    check_scheme(MveConv2DPatch(), graphs, rng)


@pytest.mark.parametrize("activation", [NONE, RELU])
def test_patch_lengths_and_counts(activation):
    """Filters of 2 to 19 chunks; groups with 0 to 3 patches beyond whole blocks of four."""
    rng = np.random.default_rng(7)
    graphs = [
        conv_2d(rng, (1, 3, 3 + chunks % 4, 16 * chunks), 2, (1, 1), activation=activation)
        for chunks in (2, 3, 4, 5, 8, 9, 10, 16, 17, 19)
    ]
    graphs += [
        conv_2d(rng, (1, 1, pixels, 48), 4, (1, 1), activation=activation)
        for pixels in range(1, 12)
    ]
    graphs += [conv_2d(rng, (1, 4, 4, 32), n, (1, 1), activation=activation) for n in (2, 36, 38)]
    check_scheme(MveConv2DPatch(), graphs, rng)


def test_narrow_shapes():
    rng = np.random.default_rng(5)
    shapes = [
        # input, filters, stride, activation
        ((1, 9, 8, 8), 16, (1, 1), RELU),
        ((1, 6, 6, 16), 8, (1, 1), RELU),
        ((1, 8, 9, 16), 4, (2, 2), NONE),
        ((1, 5, 7, 3), 5, (1, 1), RELU),
        ((1, 5, 7, 13), 4, (1, 1), NONE),
        ((1, 9, 7, 8), 3, (2, 3), RELU6),
        ((1, 7, 14, 4), 2, (1, 2), NONE),
        ((1, 3, 11, 1), 12, (1, 1), NONE),
        ((1, 1, 1, 1), 1, (1, 1), RELU),
    ]
    graphs = [
        conv_2d(rng, shape, filters, (1, 1), stride=stride, activation=activation)
        for shape, filters, stride, activation in shapes
    ]
    check_scheme(MveConv2DNarrow(), graphs, rng)


def test_biases_among_the_weights():
    limit = 7 * 127 * 127
    rng = np.random.default_rng(6)
    biases = np.concatenate([rng.integers(-limit, limit + 1, 10000), np.arange(-300, 300)])
    biases = np.append(biases, [limit, -limit]).astype(np.int32)
    weights = bias_weights(biases)
    np.testing.assert_array_equal(weights.astype(np.int64) @ BIAS_LANES, biases)


CHOICES = [
    (MveConv2D3x3(), (1, 4, 5, 16), (3, 3)),
    (MveConv2DPatch(), (1, 4, 5, 9), (2, 3)),
    (MveConv2DNarrow(), (1, 4, 5, 16), (1, 1)),
    (MveConv2DNarrow(), (1, 4, 5, 8), (1, 1)),
]


@pytest.mark.parametrize("choice, shape, kernel", CHOICES, ids=lambda c: getattr(c, "scheme", ""))
@pytest.mark.parametrize("activation", [NONE, RELU])
def test_extreme_weights_and_scales(choice, shape, kernel, activation):
    rng = np.random.default_rng(2)
    graphs = []
    while len(graphs) < 12:
        graph = conv_2d(rng, shape, 4, kernel, activation=activation, hard=True)
        if choice.reason_against(graph.operators[0]) is None:
            graphs.append(graph)
    check_scheme(choice, graphs, rng)


def test_3x3_is_refused():
    rng = np.random.default_rng(3)

    def reason(shape=(1, 8, 8, 16), kernel=(3, 3), **options):
        return MveConv2D3x3().reason_against(conv_2d(rng, shape, 4, kernel, **options).operators[0])

    assert reason() is None
    assert "not 3x3" in reason(kernel=(3, 1))
    assert "dilated" in reason(dilation=(2, 2))
    assert "grouped" in reason(shape=(1, 8, 8, 32), groups=2)
    assert "multiple of 16" in reason(shape=(1, 8, 8, 24))
    assert "stride" in reason(stride=(1, 3))
    graph = conv_2d(rng, (1, 8, 8, 16), 4, (3, 3))
    graph.operators[0].output.quant.scale[:] *= 1e-5
    assert "one half" in MveConv2D3x3().reason_against(graph.operators[0])
