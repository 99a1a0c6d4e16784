"""Random one-operator graphs for tests of the interpreter, the kernels and the exporter.

    graph = random_graph("CONV_2D", rng)                     # everything random
    graph = conv_2d(rng, (1, 8, 8, 16), channels=32, kernel=(3, 3), padding="SAME")
    data = random_inputs(graph, rng, samples=6)

Quantisation is chosen so that most outputs lie inside the int8 range, with some at its ends;
`hard=True` takes extreme weights, biases and scales instead.
"""

from __future__ import annotations

import math

import numpy as np

from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.ops import (
    SUPPORTED_KINDS,
    Activation,
    AddAttrs,
    ConcatAttrs,
    ConvAttrs,
    FullyConnectedAttrs,
    NoAttrs,
    PadAttrs,
    Padding,
    PoolAttrs,
    ReduceAttrs,
    SliceAttrs,
    SoftmaxAttrs,
)

ACTIVATIONS = tuple(Activation)


# --- tensors ---------------------------------------------------------------------------------


def activation_tensor(rng, shape, name="input", quant=None) -> Tensor:
    return Tensor(name, tuple(shape), DType.INT8, quant or random_quant(rng))


def random_quant(rng, scale: float | None = None) -> QuantParams:
    """Scale from 0.002 to 0.5 unless given; zero point anywhere, often at an end."""
    zero_point = int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))
    if scale is None:
        scale = float(np.exp(rng.uniform(np.log(0.002), np.log(0.5))))
    return QuantParams.per_tensor(scale, zero_point)


def one_operator(kind, inputs, output, attrs) -> Graph:
    op = Operator(kind, inputs, [output], attrs, 0)
    return Graph(kind.lower(), op.activation_inputs, [output], [op])


def random_inputs(graph: Graph, rng, samples: int = 5) -> list[np.ndarray]:
    """int8 arrays (samples, *shape[1:]): all smallest, all largest, only ends, then uniform.

    A tensor without a batch dimension of 1 keeps its whole shape, as in `run_graph`.
    """
    values = [_random_values(t, rng, samples) for t in graph.inputs]
    return [
        v[:, 0] if t.shape[:1] == (1,) else v for t, v in zip(graph.inputs, values, strict=True)
    ]


def _random_values(tensor: Tensor, rng, samples: int) -> np.ndarray:
    values = rng.integers(-128, 128, (samples, *tensor.shape)).astype(np.int8)
    for sample, special in enumerate((-128, 127)):
        if samples > sample + 2:
            values[sample] = special
    if samples > 4:
        values[2] = rng.choice(np.array([-128, 127], np.int8), tensor.shape)
    return values


# --- operators with weights ------------------------------------------------------------------


def conv_2d(
    rng,
    input_shape,
    channels,
    kernel,
    *,
    stride=(1, 1),
    dilation=(1, 1),
    padding: str | Padding = "SAME",
    activation=Activation.NONE,
    groups=1,
    per_channel=True,
    bias=True,
    hard=False,
) -> Graph:
    """CONV_2D; padding "SAME", "VALID" or explicit pixels."""
    shape = (channels, *kernel, input_shape[3] // groups)
    return _convolution(
        rng, "CONV_2D", input_shape, shape, channels, kernel, stride, dilation, padding,
        activation, 1, per_channel, bias, hard,
    )  # fmt: skip


def depthwise_conv_2d(
    rng,
    input_shape,
    kernel,
    *,
    depth_multiplier=1,
    stride=(1, 1),
    dilation=(1, 1),
    padding: str | Padding = "SAME",
    activation=Activation.NONE,
    per_channel=True,
    bias=True,
    hard=False,
) -> Graph:
    """DEPTHWISE_CONV_2D; TFLite takes only equal strides in both directions from Keras."""
    channels = input_shape[3] * depth_multiplier
    return _convolution(
        rng, "DEPTHWISE_CONV_2D", input_shape, (1, *kernel, channels), channels, kernel, stride,
        dilation, padding, activation, depth_multiplier, per_channel, bias, hard,
    )  # fmt: skip


def _convolution(
    rng, kind, input_shape, weight_shape, channels, kernel, stride, dilation, padding,
    activation, multiplier, per_channel, bias, hard,
) -> Graph:  # fmt: skip
    pads, output_hw = window_geometry(input_shape[1:3], kernel, stride, dilation, padding)
    x = activation_tensor(rng, input_shape)
    axis = 0 if kind == "CONV_2D" else 3
    weights = _weights(rng, weight_shape, axis, channels if per_channel else 1, hard)
    y = Tensor("output", (1, *output_hw, channels), DType.INT8)
    y.quant = _output_quant(rng, x, weights, weights.size // channels, hard)
    attrs = ConvAttrs(stride, dilation, pads, activation, multiplier)
    b = _bias(rng, x, weights, channels, y, hard) if bias else None
    return one_operator(kind, [x, weights, b], y, attrs)


def fully_connected(
    rng,
    inputs,
    units,
    *,
    rows=1,
    activation=Activation.NONE,
    per_channel=False,
    bias=True,
    hard=False,
) -> Graph:
    """FULLY_CONNECTED from (rows, inputs) to (rows, units)."""
    x = activation_tensor(rng, (rows, inputs))
    weights = _weights(rng, (units, inputs), 0, units if per_channel else 1, hard)
    y = Tensor("output", (rows, units), DType.INT8)
    y.quant = _output_quant(rng, x, weights, inputs, hard)
    b = _bias(rng, x, weights, units, y, hard) if bias else None
    return one_operator("FULLY_CONNECTED", [x, weights, b], y, FullyConnectedAttrs(activation))


def _weights(rng, shape, axis, scales, hard) -> Tensor:
    if hard:
        values = rng.choice(np.array([-127, 127, 0], np.int8), shape, p=[0.45, 0.45, 0.1])
    else:
        values = rng.integers(-127, 128, shape).astype(np.int8)
    spread = 3.0 if hard else 0.7  # of the logarithm of the channels' scales
    scale = 0.01 * np.exp(rng.uniform(-spread, spread, scales))
    quant = QuantParams(scale.astype(np.float32), np.zeros(scales, np.int32), axis)
    return Tensor("weights", tuple(shape), DType.INT8, quant, values)


def _output_quant(rng, x: Tensor, weights: Tensor, terms: int, hard) -> QuantParams:
    """A scale under which a typical accumulator reaches some tens of steps."""
    typical = 74 * 74 * math.sqrt(terms) * x.scale * float(weights.quant.scale.max())
    wish = math.exp(rng.uniform(-6, 7)) if hard else math.exp(rng.uniform(-0.7, 0.7))
    return random_quant(rng, float(np.float32(typical / (40 * wish))))


def _bias(rng, x: Tensor, weights: Tensor, channels: int, y: Tensor, hard) -> Tensor:
    """Biases of up to 60 output steps; hard: up to 400 (they saturate the output)."""
    scale = (np.float32(x.scale) * weights.quant.scale).astype(np.float32)
    steps = rng.uniform(-1, 1, channels) * (400 if hard else 60)
    values = np.clip(steps * y.scale / scale, -(2**29), 2**29)
    quant = QuantParams(scale, np.zeros(scale.size, np.int32))
    return Tensor("bias", (channels,), DType.INT32, quant, values.astype(np.int32))


def window_geometry(size, kernel, stride, dilation, padding):
    """(Padding, (output height, output width)) as TensorFlow computes them."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "SAME":
        output = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        total = [
            max((o - 1) * s + r - n, 0)
            for o, s, r, n in zip(output, stride, reach, size, strict=True)
        ]
        top, left = total[0] // 2, total[1] // 2
        return Padding(top, total[0] - top, left, total[1] - left), tuple(output)
    pads = Padding() if padding == "VALID" else padding
    height = size[0] + pads.top + pads.bottom
    width = size[1] + pads.left + pads.right
    output = ((height - reach[0]) // stride[0] + 1, (width - reach[1]) // stride[1] + 1)
    if min(output) < 1:
        raise ValueError(f"kernel {kernel} with dilation {dilation} does not fit {size}")
    return pads, output


# --- random choices for each kind ------------------------------------------------------------


def _pick(rng, *options):
    return options[int(rng.integers(len(options)))]


def _size(rng, low, high) -> int:
    return int(rng.integers(low, high + 1))


def _window_choice(rng, size, dilated):
    """A kernel, stride, dilation and padding that fit an image of this size."""
    while True:
        kernel = (_size(rng, 1, 5), _size(rng, 1, 5))
        stride = (_size(rng, 1, 3), _size(rng, 1, 3))
        dilation = (_size(rng, 1, 3), _size(rng, 1, 3)) if dilated else (1, 1)
        padding = _pick(rng, "SAME", "VALID")
        try:
            window_geometry(size, kernel, stride, dilation, padding)
        except ValueError:
            continue
        return kernel, stride, dilation, padding


def _image(rng, channels=None) -> tuple[int, ...]:
    return (1, _size(rng, 1, 9), _size(rng, 1, 9), channels or _size(rng, 1, 19))


def _random_conv_2d(rng, hard):
    groups = _pick(rng, 1, 1, 1, 2, 3)
    shape = _image(rng, channels=groups * _size(rng, 1, 9))
    kernel, stride, dilation, padding = _window_choice(rng, shape[1:3], rng.random() < 0.3)
    return conv_2d(
        rng, shape, groups * _size(rng, 1, 9), kernel, stride=stride, dilation=dilation,
        padding=padding, activation=_pick(rng, *ACTIVATIONS), groups=groups,
        per_channel=rng.random() < 0.8, bias=rng.random() < 0.8, hard=hard,
    )  # fmt: skip


def _random_depthwise_conv_2d(rng, hard):
    shape = _image(rng)
    kernel, stride, dilation, padding = _window_choice(rng, shape[1:3], rng.random() < 0.3)
    return depthwise_conv_2d(
        rng, shape, kernel, depth_multiplier=_pick(rng, 1, 1, 2, 3), stride=stride,
        dilation=dilation, padding=padding, activation=_pick(rng, *ACTIVATIONS),
        per_channel=rng.random() < 0.8, bias=rng.random() < 0.8, hard=hard,
    )  # fmt: skip


def _random_fully_connected(rng, hard):
    per_channel = rng.random() < 0.3
    return fully_connected(
        rng, _size(rng, 1, 70), _size(rng, 1, 17), rows=_pick(rng, 1, 1, 3),
        activation=_pick(rng, *ACTIVATIONS), per_channel=per_channel, bias=rng.random() < 0.8,
        hard=hard,
    )  # fmt: skip


def _random_pool(rng, kind):
    shape = _image(rng)
    kernel, stride, _, padding = _window_choice(rng, shape[1:3], False)
    pads, output = window_geometry(shape[1:3], kernel, stride, (1, 1), padding)
    x = activation_tensor(rng, shape)
    y = activation_tensor(rng, (1, *output, shape[3]), "output", x.quant)
    return one_operator(kind, [x], y, PoolAttrs(kernel, stride, pads, _pick(rng, *ACTIVATIONS)))


def _random_reduction(rng, kind):
    rank = _pick(rng, 2, 3, 4, 4, 4)
    shape = (1, *(_size(rng, 1, 7) for _ in range(rank - 1)))
    if rank == 4 and rng.random() < 0.5:
        axes = (1, 2)
    else:
        count = _size(rng, 1, min(2, rank - 1))
        chosen = rng.choice(np.arange(1, rank), count, replace=False)
        axes = tuple(sorted(int(a) for a in chosen))
    keep = bool(rng.random() < 0.5)
    x = activation_tensor(rng, shape)
    quant = x.quant
    if kind == "MEAN" and rng.random() < 0.7:
        quant = random_quant(rng, x.scale * math.exp(rng.uniform(-1.5, 1)))
    kept = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    y = activation_tensor(rng, kept, "output", quant)
    return one_operator(kind, [x], y, ReduceAttrs(axes, keep))


def _random_add(rng):
    shape = (1, *(_size(rng, 1, 6) for _ in range(_pick(rng, 1, 2, 3, 3))))
    a = activation_tensor(rng, shape, "a")
    b = activation_tensor(rng, shape, "b", random_quant(rng, a.scale * math.exp(rng.normal())))
    form = _pick(rng, "plain", "plain", "plain", "broadcast", "constant", "constant broadcast")
    if "broadcast" in form:
        b.shape = (1, *(_pick(rng, n, 1) for n in shape[1:]))
    if "constant" in form:
        b.data = rng.integers(-128, 128, b.shape).astype(np.int8)
    scale = max(a.scale, b.scale) * math.exp(rng.uniform(-1, 1))
    y = activation_tensor(rng, shape, "output", random_quant(rng, scale))
    return one_operator("ADD", _pick(rng, [a, b], [b, a]), y, AddAttrs(_pick(rng, *ACTIVATIONS)))


def _random_concatenation(rng):
    rank = _pick(rng, 2, 3, 4)
    shape = [1, *(_size(rng, 1, 6) for _ in range(rank - 1))]
    axis = _size(rng, 1, rank - 1)
    quant = random_quant(rng)
    parts = []
    for index in range(_size(rng, 2, 4)):
        part = list(shape)
        part[axis] = _size(rng, 1, 5)
        parts.append(activation_tensor(rng, part, f"part{index}", quant))
    shape[axis] = sum(p.shape[axis] for p in parts)
    y = activation_tensor(rng, shape, "output", quant)
    return one_operator("CONCATENATION", parts, y, ConcatAttrs(axis))


def _random_slice(rng, kind):
    shape = (1, *(_size(rng, 1, 7) for _ in range(_pick(rng, 1, 2, 3))))
    begin, size, strides = [], [], []
    for n in shape:
        stride = _pick(rng, 1, 1, 2, 3, -1, -2) if kind == "STRIDED_SLICE" else 1
        low, high = sorted(_size(rng, 0, n - 1) for _ in range(2))
        if stride < 0 and low == 0:  # an end before index 0 cannot be written without a mask
            stride = -stride
        count = (high - low) // abs(stride) + 1
        begin.append(low if stride > 0 else low + (count - 1) * abs(stride))
        size.append(count)
        strides.append(stride)
    x = activation_tensor(rng, shape)
    y = activation_tensor(rng, size, "output", x.quant)
    attrs = SliceAttrs(tuple(begin), tuple(size), tuple(strides))
    return one_operator(kind, [x], y, attrs)


def _random_pad(rng, kind):
    shape = (1, *(_size(rng, 1, 6) for _ in range(_pick(rng, 2, 3, 3))))
    pads = [(0, 0), *((_size(rng, 0, 3), _size(rng, 0, 3)) for _ in shape[1:])]
    x = activation_tensor(rng, shape)
    y = activation_tensor(
        rng, [n + sum(p) for n, p in zip(shape, pads, strict=True)], "output", x.quant
    )
    value = _size(rng, -128, 127) if kind == "PADV2" else x.zero_point
    return one_operator(kind, [x], y, PadAttrs(tuple(pads), value))


def _random_softmax(rng):
    x = activation_tensor(rng, (1, *_pick(rng, (), (3,)), _size(rng, 2, 40)))
    y = Tensor("output", x.shape, DType.INT8, QuantParams.per_tensor(1 / 256, -128))
    beta = float(np.float32(_pick(rng, 1.0, 1.0, 0.5, 2.0)))
    return one_operator("SOFTMAX", [x], y, SoftmaxAttrs(beta))


def _random_table(rng, kind):
    x = activation_tensor(rng, _image(rng))
    y = activation_tensor(rng, x.shape, "output")
    if kind == "RELU6":
        # Six must lie inside the int8 range, or TFLM refuses the model.
        x.quant = y.quant = random_quant(rng, float(rng.uniform(0.05, 0.2)))
    elif kind == "LOGISTIC":
        y.quant = QuantParams.per_tensor(1 / 256, -128)
    else:
        y.quant = random_quant(rng, x.scale * math.exp(rng.uniform(-1, 1)))
    return one_operator(kind, [x], y, NoAttrs())


def _random_reshape(rng):
    shape = (1, _size(rng, 1, 5), _size(rng, 1, 5), _size(rng, 1, 7))
    x = activation_tensor(rng, shape)
    target = _pick(rng, (1, x.size), (1, shape[1] * shape[2], shape[3]), (1, *shape[:0:-1]))
    y = activation_tensor(rng, target, "output", x.quant)
    return one_operator("RESHAPE", [x], y, NoAttrs())


def random_graph(kind: str, rng: np.random.Generator, hard: bool = False) -> Graph:
    """A graph of one operator of this kind; `hard` matters for the operators with weights."""
    if kind == "CONV_2D":
        return _random_conv_2d(rng, hard)
    if kind == "DEPTHWISE_CONV_2D":
        return _random_depthwise_conv_2d(rng, hard)
    if kind == "FULLY_CONNECTED":
        return _random_fully_connected(rng, hard)
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return _random_pool(rng, kind)
    if kind in ("MEAN", "REDUCE_MAX"):
        return _random_reduction(rng, kind)
    if kind in ("SLICE", "STRIDED_SLICE"):
        return _random_slice(rng, kind)
    if kind in ("PAD", "PADV2"):
        return _random_pad(rng, kind)
    if kind in ("QUANTIZE", "RELU", "RELU6", "LOGISTIC"):
        return _random_table(rng, kind)
    makers = {
        "ADD": _random_add,
        "CONCATENATION": _random_concatenation,
        "RESHAPE": _random_reshape,
        "SOFTMAX": _random_softmax,
    }
    if kind not in makers:
        raise ValueError(f"no random graph for {kind}; there are {', '.join(SUPPORTED_KINDS)}")
    return makers[kind](rng)
