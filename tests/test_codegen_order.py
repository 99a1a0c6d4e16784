"""Operator order: never worse than the file's order, and the known optimum of a residual block."""

import random

import pytest

from tests.test_codegen_planner import lowered, program_of, random_segment, tensor
from trecx.codegen.order import order_for_memory
from trecx.codegen.planner import plan_memory
from trecx.codegen.views import find_views
from trecx.ir.graph import Graph


def reordered(inputs, outputs, lows):
    graph = Graph("g", inputs, outputs, [low.operator for low in lows])
    order = order_for_memory(graph, lows, find_views(graph))
    assert sorted(order) == list(range(len(lows)))
    return [lows[i] for i in order]


def test_short_branch_of_a_residual_block_runs_before_the_long_one():
    x, y1, y2, short, out = (
        tensor("x", 16384),
        tensor("y1", 8192),
        tensor("y2", 8192),
        tensor("short", 8192),
        tensor("out", 8192),
    )
    lows = [
        lowered([x], y1),
        lowered([y1], y2),
        lowered([x], short, overlap={0: 0}),
        lowered([y2, short], out, overlap={0: 0, 1: 0}),
    ]
    before = plan_memory(program_of(([x], [out], lows)))
    after = plan_memory(program_of(([x], [out], reordered([x], [out], lows))))
    assert before.arena_bytes == 16384 + 8192 + 8192
    assert after.arena_bytes == 16384 + 8192


@pytest.mark.parametrize("seed", range(30))
def test_order_is_topological_and_never_raises_the_lower_bound(seed):
    rng = random.Random(seed)
    first = tensor("in", 64)
    known, lows = random_segment(rng, [first], rng.randrange(2, 9))
    outputs = [known[-1], rng.choice(known)]
    new = reordered([first], outputs, lows)
    ready = {id(first)}
    for low in new:
        assert all(id(t) in ready for t in low.operator.activation_inputs)
        ready.update(id(t) for t in low.operator.outputs)
    old_plan = plan_memory(program_of(([first], outputs, lows)))
    new_plan = plan_memory(program_of(([first], outputs, new)))
    assert new_plan.lower_bound <= old_plan.lower_bound


def test_equal_orders_keep_the_order_of_the_file():
    a, b, c, d = (tensor(n, 64) for n in "abcd")
    lows = [lowered([a], b), lowered([a], c), lowered([b, c], d)]
    assert reordered([a], [d], lows) == lows
