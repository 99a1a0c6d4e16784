"""What the lowering of the reference kernels declares, and what it refuses."""

import numpy as np
import pytest

from tests.support.random_ops import (
    activation_tensor,
    conv_2d,
    fully_connected,
    one_operator,
    random_graph,
    random_quant,
)
from trecx.codegen.kernels.common import bias_values, dot_overflow, folded_bias, weight_sums
from trecx.codegen.lowering import Blob, Isa, candidates, require_possible
from trecx.errors import UnsupportedModelError
from trecx.ir.graph import DType, QuantParams, Tensor
from trecx.ir.ops import SUPPORTED_KINDS, AddAttrs, ConcatAttrs, ReduceAttrs, SoftmaxAttrs

KINDS = tuple(k for k in SUPPORTED_KINDS if k != "RESHAPE")


def only_candidate(graph):
    """The one reference candidate that can compute the graph's operator."""
    op = graph.operators[0]
    (candidate,) = require_possible(op, candidates(op, Isa.REF))
    return candidate


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_well_formed(kind):
    rng = np.random.default_rng(0)
    for number in range(10):
        graph = random_graph(kind, rng, hard=number % 2 == 1)
        op = graph.operators[0]
        for step in only_candidate(graph).steps:
            assert step.kernel.startswith("trecx_") and step.params_type.startswith("trecx_")
            assert step.instructions > 0 and step.scheme
            assert step.outputs == (op.output,)
            assert all(any(t is i for i in op.activation_inputs) for t in step.inputs)
            assert all(0 <= p < len(step.inputs) and gap >= 0 for p, gap in step.overlap.items())
            for value in step.params.values():
                assert value is None or isinstance(value, (int, np.integer, tuple, Blob))


def test_lowering_does_not_depend_on_order_or_history():
    graph = random_graph("CONV_2D", np.random.default_rng(3))
    first, second = (only_candidate(graph).steps[0] for _ in range(2))
    for name, value in first.params.items():
        other = second.params[name]
        if isinstance(value, Blob):
            assert np.array_equal(value.values, other.values)
        else:
            assert value == other


def test_flash_is_weights_and_requantisation():
    graph = conv_2d(np.random.default_rng(0), (1, 8, 8, 16), 24, (3, 3))
    # A byte a weight; a bias, a multiplier and a one-byte shift a channel.
    assert only_candidate(graph).flash_bytes == 24 * 9 * 16 + 24 * (4 + 4 + 1)


def test_folded_bias_moves_the_zero_point_into_the_bias():
    op = fully_connected(np.random.default_rng(2), 20, 5).operators[0]
    x = np.random.default_rng(3).integers(-128, 128, 20)
    weights = op.inputs[1].data.astype(np.int64)
    expected = weights @ (x - op.inputs[0].zero_point) + bias_values(op)
    assert np.array_equal(weights @ x + folded_bias(op), expected)


def test_weight_sums_by_channel():
    op = conv_2d(np.random.default_rng(2), (1, 4, 4, 3), 2, (3, 3)).operators[0]
    total, magnitude = weight_sums(op)
    flat = op.inputs[1].data.reshape(2, -1).astype(int)
    assert total.tolist() == flat.sum(1).tolist()
    assert magnitude.tolist() == abs(flat).sum(1).tolist()


def test_refuses_dot_products_beyond_32_bits():
    op = fully_connected(np.random.default_rng(0), 70_000, 1).operators[0]
    op.inputs[1].data[:] = 127
    assert "beyond 32 bits" in dot_overflow(op)
    with pytest.raises(UnsupportedModelError, match=r"FULLY_CONNECTED \(index 0.*below 2\^31"):
        require_possible(op, candidates(op, Isa.REF))
    op.inputs[1].data[:, 66_000:] = 0
    assert dot_overflow(op) is None


def test_refuses_a_constant_in_concatenation():
    rng = np.random.default_rng(0)
    quant = random_quant(rng)
    parts = [activation_tensor(rng, (1, 4), name, quant) for name in "ab"]
    parts[1].data = np.zeros((1, 4), np.int8)
    y = activation_tensor(rng, (1, 8), "output", quant)
    op = one_operator("CONCATENATION", parts, y, ConcatAttrs(1)).operators[0]
    with pytest.raises(UnsupportedModelError, match="No input is constant; found 'b'"):
        require_possible(op, candidates(op, Isa.REF))


def test_refuses_alternating_reductions():
    rng = np.random.default_rng(0)
    x = activation_tensor(rng, (2, 3, 2, 3, 2, 3))
    y = activation_tensor(rng, (3, 3, 3), "output")
    op = one_operator("MEAN", [x], y, ReduceAttrs((0, 2, 4))).operators[0]
    with pytest.raises(UnsupportedModelError, match="at most two of each"):
        require_possible(op, candidates(op, Isa.REF))


def test_refuses_a_softmax_whose_sum_overflows():
    x = activation_tensor(np.random.default_rng(0), (1, 4096))
    y = Tensor("output", x.shape, DType.INT8, QuantParams.per_tensor(1 / 256, -128))
    op = one_operator("SOFTMAX", [x], y, SoftmaxAttrs()).operators[0]
    with pytest.raises(UnsupportedModelError, match="at most 4095"):
        require_possible(op, candidates(op, Isa.REF))


def test_add_of_two_constants_has_no_kernel():
    rng = np.random.default_rng(0)
    a, b = (activation_tensor(rng, (1, 4), name) for name in "ab")
    a.data = b.data = np.zeros((1, 4), np.int8)
    y = activation_tensor(rng, (1, 4), "output")
    op = one_operator("ADD", [a, b], y, AddAttrs()).operators[0]
    with pytest.raises(UnsupportedModelError, match="constant"):
        require_possible(op, candidates(op, Isa.REF))
