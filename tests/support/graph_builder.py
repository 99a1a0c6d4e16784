"""Builds small int8 graphs with random weights and plausible quantisation, for tests."""

from __future__ import annotations

import math

import numpy as np

from trecx.ir import ops
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.shapes import infer_shape, same_padding


class GraphBuilder:
    """Adds one operator a call; each method returns the operator's output tensor."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.inputs: list[Tensor] = []
        self.operators: list[Operator] = []

    def graph(self, *outputs: Tensor, name: str = "test") -> Graph:
        return Graph(name, self.inputs, list(outputs), self.operators)

    def quant(self) -> QuantParams:
        scale = float(self.random.uniform(0.02, 0.1))
        return QuantParams.per_tensor(scale, int(self.random.integers(-128, 128)))

    def input(self, shape: tuple[int, ...], quant: QuantParams | None = None) -> Tensor:
        tensor = Tensor(f"input_{len(self.inputs)}", shape, DType.INT8, quant or self.quant())
        self.inputs.append(tensor)
        return tensor

    def constant(self, shape: tuple[int, ...], quant: QuantParams) -> Tensor:
        data = self.random.integers(-128, 128, shape).astype(np.int8)
        return Tensor(self.name("constant"), shape, DType.INT8, quant, data)

    def name(self, kind: str) -> str:
        return f"{kind.lower()}_{len(self.operators)}"

    def add_operator(
        self,
        kind: str,
        inputs: list[Tensor | None],
        attrs: object,
        quant: QuantParams | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """`shape` is needed where the operator does not imply it (RESHAPE)."""
        output = Tensor(self.name(kind), shape, DType.INT8, quant or self.quant())
        op = Operator(kind, inputs, [output], attrs, len(self.operators))
        output.shape = infer_shape(op)
        self.operators.append(op)
        return output

    def weights(self, shape: tuple[int, ...], axis: int | None) -> Tensor:
        """int8 weights; one scale for each channel along `axis`, or a single one."""
        data = self.random.integers(-127, 128, shape).astype(np.int8)
        count = 1 if axis is None else shape[axis]
        scale = self.random.uniform(0.001, 0.01, count).astype(np.float32)
        quant = QuantParams(scale, np.zeros(count, np.int32), axis or 0)
        return Tensor(self.name("weights"), shape, DType.INT8, quant, data)

    def bias(self, x: Tensor, weights: Tensor, channels: int) -> Tensor:
        data = self.random.integers(-2000, 2000, channels).astype(np.int32)
        scale = (weights.quant.scale * np.float32(x.scale)).astype(np.float32)
        quant = QuantParams(scale, np.zeros(scale.size, np.int32))
        return Tensor(self.name("bias"), (channels,), DType.INT32, quant, data)

    def same(self, x: Tensor, kernel, stride, dilation=(1, 1)) -> ops.Padding:
        rows, columns = (
            same_padding(x.shape[1 + i], kernel[i], stride[i], dilation[i]) for i in (0, 1)
        )
        return ops.Padding(*rows, *columns)

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding: str = "SAME",
        activation=ops.Activation.RELU,
        use_bias: bool = True,
    ) -> Tensor:
        pad = self.same(x, kernel, stride, dilation) if padding == "SAME" else ops.Padding()
        weights = self.weights((filters, *kernel, x.shape[3]), axis=0)
        bias = self.bias(x, weights, filters) if use_bias else None
        attrs = ops.ConvAttrs(stride, dilation, pad, activation)
        return self.add_operator("CONV_2D", [x, weights, bias], attrs)

    def depthwise(
        self,
        x: Tensor,
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding: str = "SAME",
        multiplier: int = 1,
        activation=ops.Activation.RELU,
    ) -> Tensor:
        pad = self.same(x, kernel, stride, dilation) if padding == "SAME" else ops.Padding()
        channels = x.shape[3] * multiplier
        weights = self.weights((1, *kernel, channels), axis=3)
        bias = self.bias(x, weights, channels)
        attrs = ops.ConvAttrs(stride, dilation, pad, activation, multiplier)
        return self.add_operator("DEPTHWISE_CONV_2D", [x, weights, bias], attrs)

    def dense(self, x: Tensor, units: int, keep_dims: bool = False, activation=None) -> Tensor:
        depth = x.shape[-1] if keep_dims else math.prod(x.shape[1:])
        weights = self.weights((units, depth), axis=None)
        bias = self.bias(x, weights, units)
        attrs = ops.FullyConnectedAttrs(activation or ops.Activation.NONE, keep_dims)
        return self.add_operator("FULLY_CONNECTED", [x, weights, bias], attrs)

    def pool(self, x: Tensor, kind: str, filter=(2, 2), stride=(2, 2), padding="VALID") -> Tensor:
        pad = self.same(x, filter, stride) if padding == "SAME" else ops.Padding()
        attrs = ops.PoolAttrs(filter, stride, pad)
        return self.add_operator(kind, [x], attrs, x.quant)

    def reduce(self, x: Tensor, kind: str, axes: tuple[int, ...], keep_dims=False) -> Tensor:
        quant = x.quant if kind == "REDUCE_MAX" else None
        return self.add_operator(kind, [x], ops.ReduceAttrs(axes, keep_dims), quant)

    def add(self, a: Tensor, b: Tensor, activation=ops.Activation.RELU) -> Tensor:
        return self.add_operator("ADD", [a, b], ops.AddAttrs(activation))

    def concat(self, parts: list[Tensor], axis: int) -> Tensor:
        return self.add_operator("CONCATENATION", parts, ops.ConcatAttrs(axis), parts[0].quant)

    def slice(self, x: Tensor, begin, size, strides=None, shape=None) -> Tensor:
        kind = "SLICE" if strides is None else "STRIDED_SLICE"
        attrs = ops.SliceAttrs(tuple(begin), tuple(size), tuple(strides or (1,) * len(begin)))
        return self.add_operator(kind, [x], attrs, x.quant, tuple(shape or size))

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return self.add_operator("RESHAPE", [x], ops.NoAttrs(), x.quant, shape)

    def pad(self, x: Tensor, pads, value: int | None = None) -> Tensor:
        kind = "PAD" if value is None else "PADV2"
        attrs = ops.PadAttrs(tuple(pads), x.zero_point if value is None else value)
        return self.add_operator(kind, [x], attrs, x.quant)

    def softmax(self, x: Tensor, beta: float = 1.0) -> Tensor:
        quant = QuantParams.per_tensor(1 / 256, -128)
        return self.add_operator("SOFTMAX", [x], ops.SoftmaxAttrs(beta), quant)

    def logistic(self, x: Tensor) -> Tensor:
        quant = QuantParams.per_tensor(1 / 256, -128)
        return self.add_operator("LOGISTIC", [x], ops.NoAttrs(), quant)

    def plain(self, x: Tensor, kind: str) -> Tensor:
        """RELU, RELU6 or QUANTIZE."""
        return self.add_operator(kind, [x], ops.NoAttrs(), x.quant if kind == "RELU6" else None)


def every_operator(seed: int = 0) -> Graph:
    """A graph of some thirty operators in which each supported kind occurs."""
    b = GraphBuilder(seed)
    x = b.input((1, 13, 11, 3))
    x = b.conv(x, 8, (3, 3), (2, 2))
    y = b.depthwise(x, (3, 3), dilation=(2, 2), multiplier=2)
    y = b.conv(y, 8, (1, 1), padding="VALID", activation=ops.Activation.NONE)
    x = b.add(x, y)
    x = b.pad(x, [(0, 0), (1, 2), (0, 1), (0, 0)])
    x = b.pad(x, [(0, 0), (0, 0), (1, 0), (0, 2)], value=17)
    x = b.pool(x, "MAX_POOL_2D", (3, 2), (2, 1), "SAME")
    x = b.pool(x, "AVERAGE_POOL_2D", (2, 2), (1, 2))
    x = b.plain(x, "RELU")
    x = b.plain(x, "RELU6")
    x = b.plain(x, "QUANTIZE")
    head = b.slice(x, (0, 1, 0, 2), (1, 2, 2, 5))
    odd = b.slice(x, (0, 0, 3, 9), (1, 2, 2, 5), (1, 2, -1, -2))
    row = b.slice(x, (0, 1, 0, 0), (1, 1, 3, 10), (1, 1, 1, 1), shape=(3, 10))
    x = b.concat([head, odd], axis=3)
    mean = b.reduce(x, "MEAN", (1, 2))
    top = b.reduce(x, "REDUCE_MAX", (1, 2), keep_dims=True)
    top = b.logistic(b.reshape(top, (1, 10)))
    rows = b.dense(row, 4, keep_dims=True)
    rows = b.plain(b.reshape(rows, (1, 12)), "QUANTIZE")
    mean = b.dense(mean, 12)
    x = b.add(mean, rows)
    x = b.softmax(b.dense(x, 10))
    return b.graph(x, b.add(top, x))
