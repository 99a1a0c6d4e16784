"""The three MLPerf Tiny classifiers with T-RecX exits, as two-segment chains of int8 graphs.

Shapes are those of the T-RecX paper (arXiv 2207.06613); weights are random.
"""

from __future__ import annotations

from benchmarks.reference_models import Builder
from trecx.ir.graph import DType, Graph, QuantParams, Tensor
from trecx.ir.ops import ConcatAttrs, SliceAttrs


def ic() -> list[Graph]:
    b = Builder("stem", (1, 32, 32, 3))
    x = b.conv(b.input, 16, (3, 3))
    y = b.conv(b.conv(x, 16, (3, 3)), 16, (3, 3), relu=False)
    handoff = b.add(x, y)
    h = b.conv(handoff, 32, (1, 1), relu=False)
    h = b.average_pool(b.depthwise(h, (2, 2), (2, 2)), (4, 4))
    stem = finish_stem(b, b.softmax(b.dense(b.flatten(h), 10)), handoff)

    b = tail_builder(handoff)
    x = b.input
    for filters in (32, 64):
        y = b.conv(b.conv(x, filters, (3, 3), (2, 2)), filters, (3, 3), relu=False)
        x = b.add(b.conv(x, filters, (1, 1), (2, 2), relu=False), y)
    pooled = b.flatten(b.average_pool(x, (8, 8)))
    view = b.flatten(b.depthwise(first_channels(b, x, 32), (2, 2), (2, 2)))
    return [stem, b.finish(b.softmax(b.dense(concatenate(b, pooled, view), 10)))]


def kws() -> list[Graph]:
    b = Builder("stem", (1, 49, 10, 1))
    x = b.conv(b.input, 64, (10, 4), (2, 2))
    for _ in range(2):
        x = b.conv(b.depthwise(x, (3, 3)), 64, (1, 1))
    handoff = x
    h = b.average_pool(b.depthwise(first_channels(b, x, 32), (3, 3), (2, 2)), (2, 2))
    stem = finish_stem(b, b.softmax(b.dense(b.flatten(h), 12)), handoff)

    b = tail_builder(handoff)
    x = b.input
    for _ in range(2):
        x = b.conv(b.depthwise(x, (3, 3)), 64, (1, 1))
    pooled = b.flatten(b.average_pool(x, (25, 5)))
    view = b.average_pool(b.depthwise(first_channels(b, x, 32), (3, 3)), (13, 3))
    return [stem, b.finish(b.softmax(b.dense(concatenate(b, pooled, b.flatten(view)), 12)))]


def vww() -> list[Graph]:
    channels = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    blocks = list(zip(channels, (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), strict=True))
    b = Builder("stem", (1, 96, 96, 3))
    x = b.conv(b.input, 8, (3, 3), (2, 2))
    for filters, stride in blocks[:3]:
        x = b.conv(b.depthwise(x, (3, 3), (stride, stride)), filters, (1, 1))
    handoff = x
    h = b.depthwise(b.conv(x, 64, (1, 1), relu=False), (2, 2), (2, 2))
    stem = finish_stem(b, b.softmax(b.dense(b.flatten(b.average_pool(h, (4, 4))), 2)), handoff)

    b = tail_builder(handoff)
    x = b.input
    for filters, stride in blocks[3:]:
        x = b.conv(b.depthwise(x, (3, 3), (stride, stride)), filters, (1, 1))
    pooled = b.flatten(b.average_pool(x, (3, 3)))
    view = first_channels(b, b.depthwise(first_channels(b, x, 64), (2, 2)), 32)
    return [stem, b.finish(b.softmax(b.dense(concatenate(b, pooled, b.flatten(view)), 2)))]


def finish_stem(b: Builder, output: Tensor, handoff: Tensor) -> Graph:
    b.graph.outputs = [output, handoff]
    return b.graph


def tail_builder(handoff: Tensor) -> Builder:
    b = Builder("tail", handoff.shape, seed=1)
    b.graph.inputs = [Tensor("handoff", handoff.shape, DType.INT8, handoff.quant)]
    return b


def first_channels(b: Builder, x: Tensor, channels: int) -> Tensor:
    shape = (*x.shape[:-1], channels)
    out = Tensor(b._name("slice"), shape, DType.INT8, x.quant)
    attrs = SliceAttrs((0,) * len(shape), shape, (1,) * len(shape))
    return b._add_op("STRIDED_SLICE", [x], out, attrs)


def concatenate(b: Builder, *parts: Tensor) -> Tensor:
    """All parts get the first one's quantisation, as CONCATENATION needs it."""
    width = sum(t.shape[1] for t in parts)
    for part in parts[1:]:
        requantise(b, part, parts[0].quant)
    out = Tensor(b._name("concat"), (1, width), DType.INT8, parts[0].quant)
    return b._add_op("CONCATENATION", list(parts), out, ConcatAttrs(1))


def requantise(b: Builder, tensor: Tensor, quant: QuantParams) -> None:
    """Change the quantisation of a tensor back to where an operator may choose it."""
    tensor.quant = quant
    producer = next(op for op in b.graph.operators if op.output is tensor)
    if producer.kind in ("RESHAPE", "AVERAGE_POOL_2D", "STRIDED_SLICE"):
        requantise(b, producer.inputs[0], quant)
