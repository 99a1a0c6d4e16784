"""The rules of docs/SUPPORTED_OPS.md: each can be broken, is noticed, and is what the page says."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.random_ops import (
    activation_tensor,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    one_operator,
    random_graph,
    random_quant,
)
from trecx.codegen import constraints
from trecx.codegen.constraints import broken_rule, rules, statement
from trecx.codegen.lowering import Isa, candidates, require_possible
from trecx.codegen.supported_ops import supported_ops_markdown
from trecx.errors import UnsupportedModelError
from trecx.ir.graph import DType, QuantParams
from trecx.ir.ops import (
    SUPPORTED_KINDS,
    Activation,
    AddAttrs,
    ConcatAttrs,
    NoAttrs,
    Padding,
    PoolAttrs,
    ReduceAttrs,
    SliceAttrs,
    SoftmaxAttrs,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "SUPPORTED_OPS.md"


def unary(kind, shape, attrs, out_shape=None, quant=None, scale=None):
    """An operator with one input; the output's quantisation is the input's unless given."""
    rng = np.random.default_rng(0)
    x = activation_tensor(rng, shape, quant=random_quant(rng, scale))
    y = activation_tensor(rng, out_shape or shape, "output", quant or x.quant)
    return one_operator(kind, [x], y, attrs).operators[0]


def binary(kind, shapes, out_shape, attrs, constants=(False, False), out_scale=0.1):
    rng = np.random.default_rng(0)
    quant = QuantParams.per_tensor(0.1, 3)
    parts = [activation_tensor(rng, s, n, quant) for s, n in zip(shapes, "ab", strict=True)]
    for part, is_constant in zip(parts, constants, strict=True):
        if is_constant:
            part.data = np.zeros(part.shape, np.int8)
    y = activation_tensor(rng, out_shape, "output", QuantParams.per_tensor(out_scale, 3))
    return one_operator(kind, parts, y, attrs).operators[0]


def conv(**changes):
    op = conv_2d(np.random.default_rng(0), (1, 4, 4, 4), 6, (3, 3)).operators[0]
    for name, value in changes.items():
        tensor, field = name.split("_", 1)
        target = {"input": op.inputs[0], "weights": op.inputs[1], "bias": op.inputs[2]}[tensor]
        setattr(target, field, value)
    return op


def wide_dense():
    op = fully_connected(np.random.default_rng(0), 70_000, 1).operators[0]
    op.inputs[1].data[:] = 127
    return op


def with_output(op, **changes):
    op.outputs[0] = dataclasses.replace(op.output, **changes)
    return op


PROBABILITY = QuantParams.per_tensor(1 / 256, -128)
LONG = (1, 2, 3, 2, 3, 2)

BROKEN = {
    "activations_are_int8": lambda: conv(input_dtype=DType.INT16),
    "weights_are_constant": lambda: conv(weights_dtype=DType.UINT8),
    "bias_is_constant": lambda: conv(bias_dtype=DType.INT64),
    "dot_product_fits_32_bits": wide_dense,
    "image_with_batch_one": lambda: conv(input_shape=(2, 4, 4, 4)),
    "channels_divide_into_groups": lambda: conv(weights_shape=(6, 3, 3, 3)),
    "channel_multiplier_is_whole": lambda: with_output(
        depthwise_conv_2d(
            np.random.default_rng(0), (1, 4, 4, 3), (3, 3), per_channel=False
        ).operators[0],
        shape=(1, 4, 4, 4),
    ),
    "quantisation_is_kept": lambda: unary("RELU6", (1, 4), NoAttrs(), quant=PROBABILITY),
    "output_is_a_probability": lambda: unary("LOGISTIC", (1, 4), NoAttrs()),
    "softmax_scale_is_not_tiny": lambda: unary(
        "SOFTMAX", (1, 4), SoftmaxAttrs(), quant=PROBABILITY, scale=2.0**-27
    ),
    "add_output_scale_is_not_tiny": lambda: binary(
        "ADD", [(1, 4)] * 2, (1, 4), AddAttrs(), out_scale=1e-7
    ),
    "no_fused_activation": lambda: binary(
        "CONCATENATION", [(1, 4)] * 2, (1, 8), ConcatAttrs(1, Activation.RELU)
    ),
    "windows_see_the_image": lambda: unary(
        "MAX_POOL_2D", (1, 4, 4, 1), PoolAttrs((2, 2), (1, 1), Padding(2, 0, 0, 0)), (1, 5, 3, 1)
    ),
    "mean_count": lambda: unary("MEAN", (1, 2**12, 2**12, 1), ReduceAttrs((1, 2)), (1, 1)),
    "reduction_groups": lambda: unary("REDUCE_MAX", LONG, ReduceAttrs((1, 3, 5)), (1, 3, 3)),
    "softmax_depth": lambda: unary("SOFTMAX", (1, 4096), SoftmaxAttrs(), quant=PROBABILITY),
    "add_has_an_activation": lambda: binary(
        "ADD", [(1, 4)] * 2, (1, 4), AddAttrs(), constants=(True, True)
    ),
    "add_dimensions": lambda: binary("ADD", [LONG, (1, 2, 1, 2, 1, 2)], LONG, AddAttrs()),
    "inputs_are_activations": lambda: binary(
        "CONCATENATION", [(1, 4)] * 2, (1, 8), ConcatAttrs(1), constants=(False, True)
    ),
    "copied_dimensions": lambda: unary(
        "STRIDED_SLICE", (4,) * 5, SliceAttrs((0,) * 5, (2,) * 5, (2,) * 5), (2,) * 5
    ),
}
ALL_RULES = {r.__name__: r for kind in SUPPORTED_KINDS for r in rules(kind)}


def test_every_rule_has_an_example():
    assert set(BROKEN) == set(ALL_RULES)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name):
    op = BROKEN[name]()
    found = broken_rule(op)
    assert found is not None
    assert found.startswith(statement(ALL_RULES[name]) + "; found ")
    with pytest.raises(UnsupportedModelError, match=rf"operator {op.kind} \(index 0"):
        require_possible(op, candidates(op, Isa.REF))


@pytest.mark.parametrize("kind", SUPPORTED_KINDS)
def test_ordinary_operators_keep_the_rules(kind):
    rng = np.random.default_rng(0)
    for number in range(50):
        assert broken_rule(random_graph(kind, rng, hard=number % 2 == 1).operators[0]) is None


def test_unknown_kinds_have_no_rules():
    op = unary("LOGISTIC", (1, 4), NoAttrs())
    op.kind = "CUMSUM"
    assert broken_rule(op) is None


def test_statements_are_sentences():
    for function in ALL_RULES.values():
        assert function.__doc__.strip().endswith("."), function.__name__
        assert len(statement(function)) < 100


def test_the_page_is_current():
    assert PAGE.read_text() == supported_ops_markdown(), (
        "run: python -m trecx.codegen.supported_ops > docs/SUPPORTED_OPS.md"
    )


def test_the_page_lists_every_operator_and_rule():
    page = PAGE.read_text()
    for kind in SUPPORTED_KINDS:
        assert f"### {kind}\n" in page
    for function in ALL_RULES.values():
        assert statement(function) in page


def test_limits_are_the_kernels():
    assert (
        constraints.MAX_SOFTMAX_DEPTH * 2**19 < 2**31 <= (constraints.MAX_SOFTMAX_DEPTH + 1) * 2**19
    )
    assert constraints.MAX_MEAN_COUNT * 255 < 2**31
