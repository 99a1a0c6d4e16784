"""Shape of each operator's output from its inputs and attributes, and TFLite's padding rule."""

from __future__ import annotations

from trecx.ir.graph import Operator
from trecx.ir.ops import ConvAttrs, Padding, PoolAttrs


class ShapeError(ValueError):
    """The inputs of an operator do not fit together; the message says how."""


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels (before, after) that TFLite's SAME padding adds along one dimension of `size` pixels.

    The output has ceil(size / stride) pixels; an odd total puts the extra pixel after
    (tensorflow/lite/kernels/padding.h).
    """
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def window_size(size: int, before: int, after: int, kernel: int, stride: int, dilation: int) -> int:
    """Output pixels of a sliding window along one dimension."""
    span = size + before + after - (kernel - 1) * dilation - 1
    if span < 0:
        raise ShapeError(f"a window of {kernel} (dilation {dilation}) does not fit {size} pixels")
    return span // stride + 1


def infer_shape(op: Operator) -> tuple[int, ...]:
    """Shape of `op`'s output. RESHAPE: the declared shape, when the sizes agree.

    Raises ShapeError when the inputs or attributes do not fit together, and KeyError for an
    operator that is not in the table.
    """
    return _INFER[op.kind](op)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


def _same(op: Operator) -> tuple[int, ...]:
    return op.inputs[0].shape


def _image(op: Operator) -> tuple[int, int, int]:
    shape = op.inputs[0].shape
    _require(len(shape) == 4, f"input shape {list(shape)} is not (batch, height, width, channels)")
    _require(shape[0] == 1, f"batch is {shape[0]}, 1 expected")
    return shape[1:]


def _windows(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
) -> tuple[int, int]:
    for name, pair in (("filter", kernel), ("stride", stride), ("dilation", dilation)):
        _require(min(pair) >= 1, f"{name} is {list(pair)}, at least 1 expected")
    p = padding
    _require(min(p.top, p.bottom, p.left, p.right) >= 0, f"negative padding {p}")
    return (
        window_size(size[0], p.top, p.bottom, kernel[0], stride[0], dilation[0]),
        window_size(size[1], p.left, p.right, kernel[1], stride[1], dilation[1]),
    )


def _bias(op: Operator, channels: int) -> None:
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    _require(
        bias is None or bias.size == channels,
        f"bias has {0 if bias is None else bias.size} values for {channels} output channels",
    )


def _conv_2d(op: Operator) -> tuple[int, ...]:
    height, width, channels = _image(op)
    attrs: ConvAttrs = op.attrs
    _require(len(op.inputs[1].shape) == 4, "weights are not (out, height, width, in)")
    out, kh, kw, depth = op.inputs[1].shape
    _require(depth > 0 and channels % depth == 0, f"{channels} channels, weights for {depth}")
    groups = channels // depth
    _require(out > 0 and out % groups == 0, f"{out} filters do not divide into {groups} groups")
    _bias(op, out)
    pad = attrs.padding
    size = _windows((height, width), (kh, kw), attrs.stride, attrs.dilation, pad)
    return (1, *size, out)


def _depthwise_conv_2d(op: Operator) -> tuple[int, ...]:
    height, width, channels = _image(op)
    attrs: ConvAttrs = op.attrs
    shape = op.inputs[1].shape
    _require(len(shape) == 4 and shape[0] == 1, "weights are not (1, height, width, channels)")
    _, kh, kw, out = shape
    _require(
        out == channels * attrs.depth_multiplier,
        f"{out} filters for {channels} channels and multiplier {attrs.depth_multiplier}",
    )
    _bias(op, out)
    pad = attrs.padding
    size = _windows((height, width), (kh, kw), attrs.stride, attrs.dilation, pad)
    return (1, *size, out)


def _pool(op: Operator) -> tuple[int, ...]:
    height, width, channels = _image(op)
    attrs: PoolAttrs = op.attrs
    size = _windows((height, width), attrs.filter, attrs.stride, (1, 1), attrs.padding)
    return (1, *size, channels)


def _fully_connected(op: Operator) -> tuple[int, ...]:
    x, weights = op.inputs[0], op.inputs[1]
    _require(len(weights.shape) == 2, f"weights of shape {list(weights.shape)} are not (out, in)")
    out, depth = weights.shape
    _require(depth > 0 and x.size % depth == 0, f"{x.size} input values, weights for {depth}")
    _bias(op, out)
    if op.attrs.keep_num_dims:
        _require(x.shape[-1] == depth, f"last dimension is {x.shape[-1]}, weights for {depth}")
        return (*x.shape[:-1], out)
    return (x.size // depth, out)


def _reduce(op: Operator) -> tuple[int, ...]:
    shape = op.inputs[0].shape
    axes = op.attrs.axes
    _require(all(0 <= a < len(shape) for a in axes), f"axes {list(axes)} of shape {list(shape)}")
    if op.attrs.keep_dims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _add(op: Operator) -> tuple[int, ...]:
    a, b = (t.shape for t in op.inputs)
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    _require(
        all(p == q or 1 in (p, q) for p, q in pairs), f"shapes {list(a)} and {list(b)} do not fit"
    )
    return tuple(q if p == 1 else p for p, q in pairs)


def _concatenation(op: Operator) -> tuple[int, ...]:
    shapes = [t.shape for t in op.inputs]
    axis = op.attrs.axis
    first = shapes[0]
    _require(0 <= axis < len(first), f"axis {axis} of shape {list(first)}")
    for shape in shapes[1:]:
        fits = len(shape) == len(first) and all(
            d == e for i, (d, e) in enumerate(zip(shape, first, strict=True)) if i != axis
        )
        _require(fits, f"shapes {list(first)} and {list(shape)} differ beside axis {axis}")
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def _slice(op: Operator) -> tuple[int, ...]:
    shape = op.inputs[0].shape
    attrs = op.attrs
    _require(
        len(attrs.begin) == len(attrs.size) == len(attrs.strides) == len(shape),
        f"begin, size, strides have another rank than shape {list(shape)}",
    )
    for begin, size, stride, extent in zip(
        attrs.begin, attrs.size, attrs.strides, shape, strict=True
    ):
        last = begin + (size - 1) * stride
        _require(
            stride != 0 and size >= 1 and 0 <= begin < extent and 0 <= last < extent,
            f"slice from {begin}, {size} values with stride {stride}, of {extent}",
        )
    declared = op.output.shape
    # Dimensions of size 1 may be dropped (shrink_axis_mask of STRIDED_SLICE).
    _require(
        len(declared) <= len(attrs.size)
        and [d for d in declared if d != 1] == [d for d in attrs.size if d != 1],
        f"slice gives {list(attrs.size)}, output is {list(declared)}",
    )
    return declared


def _reshape(op: Operator) -> tuple[int, ...]:
    _require(
        op.inputs[0].size == op.output.size,
        f"{op.inputs[0].size} values cannot take the shape {list(op.output.shape)}",
    )
    return op.output.shape


def _pad(op: Operator) -> tuple[int, ...]:
    shape = op.inputs[0].shape
    pads = op.attrs.pads
    _require(len(pads) == len(shape), f"{len(pads)} pairs of pads for shape {list(shape)}")
    _require(min((min(p) for p in pads), default=0) >= 0, f"negative pads {pads}")
    return tuple(d + before + after for d, (before, after) in zip(shape, pads, strict=True))


_INFER = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _reduce,
    "REDUCE_MAX": _reduce,
    "ADD": _add,
    "CONCATENATION": _concatenation,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "RESHAPE": _reshape,
    "SOFTMAX": _same,
    "PAD": _pad,
    "PADV2": _pad,
    "RELU": _same,
    "RELU6": _same,
    "QUANTIZE": _same,
    "LOGISTIC": _same,
}
