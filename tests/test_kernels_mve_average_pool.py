"""AVERAGE_POOL_2D on Helium equals the interpreter bit by bit, in place too."""

import numpy as np

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import activation_tensor, one_operator, window_geometry
from trecx.codegen.kernels.mve_average_pool import MveAveragePool
from trecx.ir.ops import Activation, PoolAttrs


def pool_graph(rng, shape, kernel, stride, padding="VALID", activation=Activation.NONE):
    pads, output = window_geometry(shape[1:3], kernel, stride, (1, 1), padding)
    x = activation_tensor(rng, shape)
    y = activation_tensor(rng, (1, *output, shape[3]), "output", x.quant)
    return one_operator("AVERAGE_POOL_2D", [x], y, PoolAttrs(kernel, stride, pads, activation))


def test_shapes():
    rng = np.random.default_rng(1)
    graphs = [
        pool_graph(rng, (1, 8, 8, 64), (8, 8), (8, 8)),
        pool_graph(rng, (1, 25, 5, 40), (24, 5), (24, 5)),
        pool_graph(rng, (1, 15, 17, 3), (15, 17), (1, 1), activation=Activation.RELU),
        pool_graph(rng, (1, 3, 3, 67), (3, 3), (3, 3)),
        pool_graph(rng, (1, 8, 8, 32), (4, 4), (4, 4)),
        pool_graph(rng, (1, 7, 9, 10), (3, 4), (2, 1), "SAME", Activation.RELU6),
        pool_graph(rng, (1, 4, 4, 36), (1, 1), (2, 1)),
        pool_graph(rng, (1, 5, 5, 8), (2, 2), (1, 1), "SAME"),
    ]
    check_scheme(MveAveragePool(), graphs, rng, samples=8)


def test_large_windows():
    rng = np.random.default_rng(2)
    graphs = [pool_graph(rng, (1, n, 1, 256), (n, 1), (1, 1)) for n in (2, 3, 7, 16, 125, 255)]
    check_scheme(MveAveragePool(), graphs, rng, samples=12)


def test_division_by_multiplication_is_exact():
    """What the kernel does instead of dividing, for every window size and every sum."""
    for count in range(2, 256):
        raised = np.arange(128 * count + count // 2 + 1, dtype=np.uint64)
        reciprocal = np.uint64(0xFFFFFFFF // count + 1)
        quotient = (raised * reciprocal) >> np.uint64(32)
        np.testing.assert_array_equal(quotient, raised // np.uint64(count), f"{count}")


def test_is_refused():
    rng = np.random.default_rng(3)
    op = pool_graph(rng, (1, 16, 16, 4), (16, 16), (1, 1)).operators[0]
    assert "more than 255" in MveAveragePool().reason_against(op)
