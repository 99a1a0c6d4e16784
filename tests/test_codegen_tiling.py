"""Bands of rows and views: same bytes as the whole, and a smaller arena where it was too large."""

import numpy as np
import pytest

from benchmarks.reference_models import Builder, ds_cnn, mobilenet_v1, resnet8
from trecx.codegen.compiler import compile_chain
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
from trecx.codegen.views import find_views
from trecx.errors import UnsupportedModelError
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import ConcatAttrs, SliceAttrs
from trecx.ir.passes.split_rows import can_split, split_rows
from trecx.ir.verify import verify

QUANT = QuantParams.per_tensor(0.5, 3)


def samples(graph, count=2, seed=0):
    shape = (count, *graph.inputs[0].shape[1:])
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def parts(graph, longest=4):
    n = len(graph.operators)
    return [
        (first, last)
        for first in range(n)
        for last in range(first + 1, min(n, first + longest))
        if can_split(graph, first, last) and graph.operators[last].output.shape[1] > 1
    ]


@pytest.mark.parametrize("build", [resnet8, ds_cnn, mobilenet_v1], ids=["ic", "kws", "vww"])
def test_bands_compute_the_same_bytes(build):
    graph = build(seed=3)
    x = samples(graph, 1)
    expected = run_graph(graph, [x])[0]
    rng = np.random.default_rng(1)
    found = parts(graph)
    assert found
    for first, last in [found[i] for i in rng.permutation(len(found))[:6]]:
        height = graph.operators[last].output.shape[1]
        bands = int(rng.integers(2, height + 1))
        split = split_rows(graph, first, last, bands)
        verify(split)
        assert np.array_equal(run_graph(split, [x])[0], expected), (first, last, bands)


def test_a_residual_block_runs_in_bands_and_no_row_is_computed_twice():
    graph = resnet8()
    kinds = [op.kind for op in graph.operators[:4]]
    assert kinds == ["CONV_2D", "CONV_2D", "CONV_2D", "ADD"]
    x = samples(graph, 1)
    split = split_rows(graph, 0, 3, 4)
    assert np.array_equal(run_graph(split, [x])[0], run_graph(graph, [x])[0])
    for whole in graph.operators[:4]:
        made = [op for op in split.operators if op.index == whole.index and op.kind == whole.kind]
        assert sum(op.output.shape[1] for op in made) == whole.output.shape[1]


def test_a_tensor_that_is_read_elsewhere_is_put_together():
    graph = resnet8()
    split = split_rows(graph, 0, 1, 5)  # the shortcut reads the result of the first operator
    verify(split)
    assert graph.operators[0].output in [op.output for op in split.operators]
    x = samples(graph, 1)
    assert np.array_equal(run_graph(split, [x])[0], run_graph(graph, [x])[0])


def test_parts_without_rows_are_refused():
    graph = resnet8()
    last = len(graph.operators) - 1
    assert not can_split(graph, last - 1, last)  # dense layer and softmax
    with pytest.raises(UnsupportedModelError, match="bands"):
        split_rows(graph, last - 1, last, 2)
    with pytest.raises(UnsupportedModelError, match="rows"):
        split_rows(graph, 0, 3, 33)


def compiled(graph, optimize=Optimize.BALANCED):
    return compile_chain([graph], "m", digest="0" * 64, options=LoweringOptions(Isa.REF, optimize))


def test_a_wide_inner_tensor_never_exists_whole():
    b = Builder("wide", (1, 32, 32, 16))
    x = b.conv(b.input, 64, (1, 1))
    x = b.depthwise(x, (2, 2), (2, 2))
    graph = b.finish(b.conv(x, 8, (1, 1)))
    model = compiled(graph)
    inner, outer = 32 * 32 * 64, 16 * 16 * 64
    assert model.plan.arena_bytes < inner
    assert model.plan.arena_bytes <= 32 * 32 * 16 + outer + inner // 6


def test_tiling_keeps_within_its_slowdown():
    graph = mobilenet_v1()
    whole = sum(t.step.instructions for t in compiled(graph, Optimize.SPEED).program.steps)
    small = sum(t.step.instructions for t in compiled(graph, Optimize.SIZE).program.steps)
    assert small <= whole * 1.12


def test_a_residual_block_needs_little_more_than_its_shortcut():
    b = Builder("block", (1, 32, 32, 16))
    y = b.conv(b.conv(b.input, 16, (3, 3)), 16, (3, 3), relu=False)
    model = compiled(b.finish(b.add(b.input, y)), Optimize.SIZE)
    image = 32 * 32 * 16
    assert model.plan.arena_bytes < 1.4 * image  # not the two images of the whole block
    assert model.plan.lower_bound <= model.plan.arena_bytes


def test_a_slice_for_a_concatenation_is_the_only_copy():
    graph = split_rows(resnet8(), 1, 3, 4)
    views = find_views(graph)
    copied = [op for op in graph.operators if op.kind == "SLICE" and id(op) not in views.elided]
    assert [op.output.shape[1] for op in copied] == [2, 2, 2]  # a 3x3 window, three times
    assert all(id(op) in views.elided for op in graph.operators if op.kind == "CONCATENATION")


def tensor(name, shape):
    return Tensor(name, shape, DType.INT8, QUANT)


def slice_op(source, begin, size):
    out = tensor("part", tuple(size))
    return Operator("SLICE", [source], [out], SliceAttrs(begin, size, (1,) * len(size)))


@pytest.mark.parametrize(
    ("begin", "size", "offset"),
    [
        ((0, 2, 0, 0), (1, 3, 4, 8), 64),  # rows
        ((0, 2, 1, 0), (1, 1, 2, 8), 72),  # a piece of one row
        ((0, 2, 1, 0), (1, 2, 2, 8), None),  # columns of two rows
        ((0, 0, 0, 0), (1, 6, 4, 4), None),  # channels
        ((0, 1, 1, 4), (1, 1, 1, 4), None),  # not at a multiple of the alignment
    ],
)
def test_contiguous_slices_are_views(begin, size, offset):
    source = tensor("x", (1, 6, 4, 8))
    op = slice_op(source, begin, size)
    result = tensor("y", (1, op.output.size))
    graph = Graph("g", [source], [result], [op, Operator("RELU", [op.output], [result])])
    views = find_views(graph)
    assert (id(op) in views.elided) == (offset is not None)
    if offset is not None:
        assert views.locate(op.output) == (source, offset)
        assert not views.is_whole(op.output)


def concatenation(axis, shapes, out_shape):
    x = tensor("x", shapes[0])
    inputs = [tensor(f"t{i}", shape) for i, shape in enumerate(shapes)]
    ops = [Operator("RELU", [x], [t]) for t in inputs]
    out, last = tensor("out", out_shape), tensor("last", out_shape)
    op = Operator("CONCATENATION", inputs, [out], ConcatAttrs(axis))
    return Graph("g", [x], [last], [*ops, op, Operator("RELU", [out], [last])]), op


def test_concatenation_of_rows_is_written_in_place():
    graph, op = concatenation(1, [(1, 2, 4, 8), (1, 3, 4, 8)], (1, 5, 4, 8))
    views = find_views(graph)
    assert id(op) in views.elided
    assert [views.locate(t)[1] for t in op.inputs] == [0, 64]


def test_concatenation_of_channels_is_copied():
    graph, op = concatenation(3, [(1, 2, 4, 8), (1, 2, 4, 8)], (1, 2, 4, 16))
    assert id(op) not in find_views(graph).elided


def test_one_tensor_concatenated_twice_is_copied():
    graph, op = concatenation(1, [(1, 2, 4, 8), (1, 2, 4, 8)], (1, 4, 4, 8))
    op.inputs = [op.inputs[0], op.inputs[0]]
    assert id(op) not in find_views(graph).elided
