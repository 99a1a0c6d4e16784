"""Overlap gaps are what the kernels' order of reads and writes needs; joined walks agree."""

import itertools

import numpy as np
import pytest

from tests.support.random_ops import (
    activation_tensor,
    conv_2d,
    depthwise_conv_2d,
    one_operator,
    random_graph,
    random_quant,
    window_geometry,
)
from trecx.codegen.geometry import (
    dense_strides,
    extend_to,
    join_dimensions,
    window_gap,
)
from trecx.codegen.lowering import Isa, candidates
from trecx.ir.ops import PoolAttrs, ReduceAttrs


def smallest_gap(reads_by_value: list[set[int]]) -> int:
    """The gap a kernel needs that writes value n after reading reads_by_value[n].

    Value w overwrites input byte w - gap' for a distance gap'; no later value may read that byte.
    """
    needed = 0
    for written in range(len(reads_by_value)):
        later = set().union(*reads_by_value[written + 1 :]) if reads_by_value[written + 1 :] else ()
        needed = max([needed, *(written - r + 1 for r in later)])
    return needed


def window_reads(op, kernel, dilation, by_channel) -> list[set[int]]:
    _, height, width, in_channels = op.inputs[0].shape
    _, out_height, out_width, channels = op.output.shape
    a, found = op.attrs, []
    for y, x, c in itertools.product(range(out_height), range(out_width), range(channels)):
        reads = set()
        for ky, kx in itertools.product(range(kernel[0]), range(kernel[1])):
            in_y = y * a.stride[0] - a.padding.top + ky * dilation[0]
            in_x = x * a.stride[1] - a.padding.left + kx * dilation[1]
            if 0 <= in_y < height and 0 <= in_x < width:
                at = (in_y * width + in_x) * in_channels
                reads |= {at + c} if by_channel else set(range(at, at + in_channels))
        found.append(reads)
    return found


@pytest.mark.parametrize("channels", [(3, 3), (4, 2), (2, 5)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4)])
def test_convolution_gap(kernel, padding, stride, channels):
    rng = np.random.default_rng(0)
    graph = conv_2d(
        rng, (1, 6, 5, channels[0]), channels[1], kernel, stride=stride, padding=padding
    )
    op = graph.operators[0]
    reads = window_reads(op, kernel, (1, 1), by_channel=False)
    assert window_gap(op, by_channel=False) == smallest_gap(reads)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
def test_depthwise_gap(dilation, padding, stride):
    rng = np.random.default_rng(0)
    graph = depthwise_conv_2d(
        rng, (1, 7, 6, 3), (3, 3), stride=stride, padding=padding, dilation=dilation
    )
    op = graph.operators[0]
    exact = smallest_gap(window_reads(op, (3, 3), dilation, by_channel=True))
    # With dilation the top rows of some windows lie in the padding, which the formula ignores.
    assert exact <= window_gap(op, by_channel=True)
    if dilation == (1, 1):
        assert exact == window_gap(op, by_channel=True)


@pytest.mark.parametrize(
    ("kernel", "stride"), [((2, 2), (2, 2)), ((3, 3), (1, 1)), ((6, 4), (1, 1))]
)
def test_pool_gap(kernel, stride):
    rng = np.random.default_rng(0)
    pads, output = window_geometry((6, 4), kernel, stride, (1, 1), "VALID")
    x = activation_tensor(rng, (1, 6, 4, 3))
    y = activation_tensor(rng, (1, *output, 3), "output", x.quant)
    op = one_operator("AVERAGE_POOL_2D", [x], y, PoolAttrs(kernel, stride, pads)).operators[0]
    exact = smallest_gap(window_reads(op, kernel, (1, 1), by_channel=True))
    assert window_gap(op, by_channel=True) == exact
    if output == (1, 1):
        assert exact == 0


@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)])
def test_reduction_gap(axes):
    rng = np.random.default_rng(0)
    shape = (1, 3, 4, 5)
    kept = [n for a, n in enumerate(shape) if a not in axes]
    x = activation_tensor(rng, shape)
    y = activation_tensor(rng, kept, "output", random_quant(rng))
    op = one_operator("MEAN", [x], y, ReduceAttrs(axes)).operators[0]
    order = np.arange(60).reshape(shape)
    moved = np.moveaxis(order, axes, range(-len(axes), 0)).reshape(y.size, -1)
    (step,) = candidates(op, Isa.REF)[0].steps
    assert step.overlap[0] == smallest_gap([set(row) for row in moved.tolist()])


def addresses(dims, strides):
    """Where a walk goes, in order."""
    return [
        sum(i * s for i, s in zip(index, strides, strict=True))
        for index in itertools.product(*(range(d) for d in dims))
    ]


def test_joined_dimensions_walk_the_same_way():
    rng = np.random.default_rng(0)
    for _ in range(200):
        shape = [int(n) for n in rng.integers(1, 4, rng.integers(1, 6))]
        dense = dense_strides(shape)
        # The second tensor is a part of a larger one, repeats values, or goes backwards.
        factors = rng.choice([0, 1, 1, 1, 2, -1], len(shape))
        other = [s * int(k) for s, k in zip(dense, factors, strict=True)]
        dims, strides = join_dimensions(shape, [dense, other])
        assert len(dims) <= len(shape) and 1 not in dims
        assert addresses(dims, strides[0]) == addresses(shape, dense)
        assert addresses(dims, strides[1]) == addresses(shape, other)


def test_dense_tensors_join_to_one_dimension():
    strides = dense_strides((2, 3, 1, 4))
    assert strides == [12, 4, 4, 1]
    assert join_dimensions((2, 3, 1, 4), [strides]) == ([24], [[1]])
    assert extend_to(3, [24], [[1]]) == ([1, 1, 24], [[0, 0, 1]])


def test_every_window_gap_is_declared():
    rng = np.random.default_rng(1)
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"):
        op = random_graph(kind, rng).operators[0]
        (step,) = candidates(op, Isa.REF)[0].steps
        assert 0 <= step.overlap[0] <= max(op.output.size, 0)
