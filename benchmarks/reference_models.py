"""The MLPerf Tiny topologies as int8 graphs with random weights, made without TensorFlow.

Shapes, strides and paddings are the reference models', so instruction counts, memory and flash are
theirs too; weights and quantisation are random but sane (activations use most of the int8 range).
"""

from __future__ import annotations

import math

import numpy as np

from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.ops import (
    Activation,
    AddAttrs,
    ConvAttrs,
    FullyConnectedAttrs,
    NoAttrs,
    Padding,
    PoolAttrs,
    SoftmaxAttrs,
)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """(before, after) of TensorFlow's 'same' padding in one dimension."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Builder:
    """Appends operators to a graph; every method returns the new activation tensor."""

    def __init__(self, name: str, shape: tuple[int, ...], seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.count = 0
        quant = QuantParams.per_tensor(1 / 64, -3)
        self.graph = Graph(name, [Tensor("input", shape, DType.INT8, quant)], [])

    @property
    def input(self) -> Tensor:
        return self.graph.inputs[0]

    def conv(self, x, filters, kernel, stride=(1, 1), relu=True):
        weights = self._weights((filters, *kernel, x.shape[3]), axis=0)
        fan_in = kernel[0] * kernel[1] * x.shape[3]
        return self._convolution("CONV_2D", x, weights, filters, kernel, stride, relu, fan_in)

    def depthwise(self, x, kernel, stride=(1, 1), relu=True):
        weights = self._weights((1, *kernel, x.shape[3]), axis=3)
        fan_in = kernel[0] * kernel[1]
        return self._convolution(
            "DEPTHWISE_CONV_2D", x, weights, x.shape[3], kernel, stride, relu, fan_in
        )

    def dense(self, x, units, relu=False):
        weights = self._weights((units, x.shape[-1]), axis=0, per_channel=False)
        out = self._activation((1, units), x, weights, x.shape[-1], relu)
        bias = self._bias(x, weights, units)
        return self._add_op(
            "FULLY_CONNECTED", [x, weights, bias], out, FullyConnectedAttrs(_activation(relu))
        )

    def add(self, a, b):
        quant = QuantParams.per_tensor(max(a.scale, b.scale) * 1.3, -128)
        out = Tensor(self._name("add"), a.shape, DType.INT8, quant)
        return self._add_op("ADD", [a, b], out, AddAttrs(Activation.RELU))

    def average_pool(self, x, kernel):
        shape = (1, x.shape[1] // kernel[0], x.shape[2] // kernel[1], x.shape[3])
        out = Tensor(self._name("pool"), shape, DType.INT8, x.quant)
        return self._add_op("AVERAGE_POOL_2D", [x], out, PoolAttrs(kernel, kernel))

    def flatten(self, x):
        out = Tensor(self._name("flatten"), (1, x.size), DType.INT8, x.quant)
        return self._add_op("RESHAPE", [x], out, NoAttrs())

    def softmax(self, x):
        out = Tensor("output", x.shape, DType.INT8, QuantParams.per_tensor(1 / 256, -128))
        return self._add_op("SOFTMAX", [x], out, SoftmaxAttrs())

    def finish(self, output) -> Graph:
        self.graph.outputs = [output]
        return self.graph

    def _convolution(self, kind, x, weights, channels, kernel, stride, relu, fan_in):
        top, bottom = same_padding(x.shape[1], kernel[0], stride[0])
        left, right = same_padding(x.shape[2], kernel[1], stride[1])
        shape = (1, -(-x.shape[1] // stride[0]), -(-x.shape[2] // stride[1]), channels)
        out = self._activation(shape, x, weights, fan_in, relu)
        attrs = ConvAttrs(
            stride=stride,
            padding=Padding(top, bottom, left, right),
            activation=_activation(relu),
        )
        return self._add_op(kind, [x, weights, self._bias(x, weights, channels)], out, attrs)

    def _weights(self, shape, axis, per_channel=True):
        values = np.clip(np.rint(self.rng.normal(0, 42, shape)), -127, 127).astype(np.int8)
        channels = shape[axis] if per_channel else 1
        fan_in = values.size // shape[axis]
        # Keeps the real-valued activations at the same size from layer to layer.
        typical = 1 / (42 * math.sqrt(fan_in))
        scale = self.rng.uniform(0.4 * typical, 2 * typical, channels).astype(np.float32)
        quant = QuantParams(scale, np.zeros(channels, np.int32), axis if per_channel else 0)
        return Tensor(self._name("weights"), shape, DType.INT8, quant, values)

    def _bias(self, x, weights, channels):
        values = self.rng.integers(-2000, 2000, channels).astype(np.int32)
        scale = (np.float32(x.scale) * weights.quant.scale).astype(np.float32)
        quant = QuantParams(scale, np.zeros(scale.size, np.int32))
        return Tensor(self._name("bias"), (channels,), DType.INT32, quant, values)

    def _activation(self, shape, x, weights, fan_in, relu):
        spread = x.scale * float(weights.quant.scale.mean()) * 42 * 50 * math.sqrt(fan_in)
        # Three standard deviations on each side fill the range; ReLU keeps one side only.
        scale, zero_point = (3 * spread / 255, -128) if relu else (6 * spread / 255, 4)
        quant = QuantParams.per_tensor(scale, zero_point)
        return Tensor(self._name("act"), shape, DType.INT8, quant)

    def _name(self, what):
        self.count += 1
        return f"{what}_{self.count}"

    def _add_op(self, kind, inputs, out, attrs):
        self.graph.operators.append(Operator(kind, inputs, [out], attrs, len(self.graph.operators)))
        return out


def _activation(relu: bool) -> Activation:
    return Activation.RELU if relu else Activation.NONE


def resnet8(seed: int = 0) -> Graph:
    """ic: ResNet-8 on 32x32x3, 12,501,632 MACs."""
    b = Builder("ic", (1, 32, 32, 3), seed)
    x = b.conv(b.input, 16, (3, 3))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = b.conv(x, filters, (3, 3), (stride, stride))
        y = b.conv(y, filters, (3, 3), relu=False)
        if stride != 1:
            x = b.conv(x, filters, (1, 1), (stride, stride), relu=False)
        x = b.add(x, y)
    x = b.flatten(b.average_pool(x, (8, 8)))
    return b.finish(b.softmax(b.dense(x, 10)))


def ds_cnn(seed: int = 0) -> Graph:
    """kws: DS-CNN on 49x10x1, 2,656,768 MACs."""
    b = Builder("kws", (1, 49, 10, 1), seed)
    x = b.conv(b.input, 64, (10, 4), (2, 2))
    for _ in range(4):
        x = b.conv(b.depthwise(x, (3, 3)), 64, (1, 1))
    x = b.flatten(b.average_pool(x, (25, 5)))
    return b.finish(b.softmax(b.dense(x, 12)))


def mobilenet_v1(seed: int = 0) -> Graph:
    """vww: MobileNetV1 x0.25 on 96x96x3, 7,489,664 MACs."""
    b = Builder("vww", (1, 96, 96, 3), seed)
    x = b.conv(b.input, 8, (3, 3), (2, 2))
    channels = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    for filters, stride in zip(channels, (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), strict=True):
        x = b.conv(b.depthwise(x, (3, 3), (stride, stride)), filters, (1, 1))
    x = b.flatten(b.average_pool(x, (3, 3)))
    return b.finish(b.softmax(b.dense(x, 2)))


def autoencoder(seed: int = 0) -> Graph:
    """ad: dense autoencoder on 640 values, 264,192 MACs."""
    b = Builder("ad", (1, 640), seed)
    x = b.input
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = b.dense(x, units, relu=True)
    return b.finish(b.dense(x, 640))


MODELS = {"ic": resnet8, "kws": ds_cnn, "vww": mobilenet_v1, "ad": autoencoder}
