"""From a .tflite file to a `Graph` of the intermediate representation.

What the file leaves implicit becomes explicit: SAME and VALID become pixels, negative axes are
counted from the front, begin/end/masks become begin/size/strides, the fill of PAD becomes a number.
Operands that only describe the operator (axes, paddings, begin, size, the shape of RESHAPE) move
into the attributes; `Operator.inputs` holds data only: activations, weights, biases.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from trecx.errors import ModelFormatError, UnsupportedModelError
from trecx.ir import ops
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.shapes import same_padding
from trecx.ir.verify import problems
from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import (
    indices,
    operator_kind,
    read_model,
    tensor_data,
    tensor_shape,
    tensor_type,
)

__all__ = ["graph_from_model", "read_graph", "read_model", "unsupported_operators"]

_DTYPES = {d.name: d for d in DType}


def read_graph(source: str | os.PathLike | bytes, subgraph: int = 0) -> Graph:
    """The `Graph` of one subgraph of a .tflite file, given as a path or as its bytes.

    Operators that no output depends on are left out, and so are those that only compute the shape
    operand of a RESHAPE (the file's tensor shapes are static). Constants are views of the file.

    Raises ModelFormatError for a damaged file; UnsupportedModelError for a model that is not
    int8, has dynamic shapes, or has an operator or option outside the table of `trecx.ir.ops`.
    """
    return graph_from_model(read_model(source), subgraph)


def graph_from_model(model: Record, subgraph: int = 0) -> Graph:
    """As `read_graph`, from the `Model` record."""
    if not 0 <= subgraph < len(model.subgraphs):
        raise UnsupportedModelError(
            f"subgraph {subgraph} does not exist: the model has {len(model.subgraphs)}"
        )
    return _Importer(model, model.subgraphs[subgraph]).graph()


def unsupported_operators(model: Record, subgraph: Record) -> list[tuple[int, str]]:
    """(index, kind) of the operators that outputs depend on and trecx does not have."""
    kinds = [(i, operator_kind(model, subgraph.operators[i])) for i in _live(model, subgraph)]
    return [(i, kind) for i, kind in kinds if kind not in _CONVERT]


def _live(model: Record, subgraph: Record) -> list[int]:
    """Indices of the operators whose values reach an output, in execution order."""
    needed = set(indices(subgraph.outputs))
    live = []
    for i in range(len(subgraph.operators) - 1, -1, -1):
        operator = subgraph.operators[i]
        if needed.isdisjoint(indices(operator.outputs)):
            continue
        live.append(i)
        inputs = indices(operator.inputs)
        needed.update(inputs[:1] if operator_kind(model, operator) == "RESHAPE" else inputs)
    return live[::-1]


class _Importer:
    def __init__(self, model: Record, subgraph: Record):
        self.model = model
        self.subgraph = subgraph
        self.tensors: dict[int, Tensor] = {}

    def graph(self) -> Graph:
        self.refuse_unsupported()
        inputs = [self.tensor(i) for i in indices(self.subgraph.inputs)]
        operators = [self.operator(i) for i in _live(self.model, self.subgraph)]
        outputs = [self.tensor(i) for i in indices(self.subgraph.outputs)]
        graph = Graph(self.subgraph.name or "main", inputs, outputs, operators)
        problem = next(problems(graph), None)
        if problem is not None:
            raise UnsupportedModelError(problem)
        return graph

    def refuse_unsupported(self) -> None:
        found = unsupported_operators(self.model, self.subgraph)
        if not found:
            return
        names = ", ".join(f"{kind} (index {i})" for i, kind in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        hint = ""
        if any(kind in ("SHAPE", "PACK") for _, kind in found):
            hint = "; fix the batch size to 1 before converting to get rid of SHAPE and PACK"
        if any(kind in ("QUANTIZE", "DEQUANTIZE") for _, kind in found):
            hint = "; convert with int8 inputs and outputs to get rid of DEQUANTIZE"
        raise UnsupportedModelError(
            f"unsupported operator {names}{more}{hint}; supported: {', '.join(ops.SUPPORTED_KINDS)}"
        )

    def tensor(self, index: int) -> Tensor:
        if index not in self.tensors:
            self.tensors[index] = self.convert_tensor(self.subgraph.tensors[index])
        return self.tensors[index]

    def convert_tensor(self, record: Record) -> Tensor:
        kind = tensor_type(record)
        if kind in ("FLOAT32", "FLOAT16"):
            raise UnsupportedModelError(
                f"tensor {record.name!r} is {kind}: the model is not fully quantised; convert it "
                "with a representative data set and int8 inputs and outputs"
            )
        if kind not in _DTYPES:
            raise UnsupportedModelError(f"tensor {record.name!r} is {kind}: int8 models only")
        if record.sparsity is not None or record.external_buffer or record.is_variable:
            raise UnsupportedModelError(
                f"tensor {record.name!r} is sparse, stored in another file, or a variable"
            )
        shape = tensor_shape(record)
        self.refuse_dynamic(record, shape)
        dtype = _DTYPES[kind]
        data = tensor_data(self.model, record)
        if data is not None:
            data = data.view(dtype.numpy.newbyteorder("<")).reshape(shape)
        return Tensor(record.name or "", shape, dtype, _quantisation(record, shape), data)

    def refuse_dynamic(self, record: Record, shape: tuple[int, ...]) -> None:
        """A batch left open (-1 in front) is taken as the 1 that the file's shape says."""
        signature = indices(record.shape_signature)
        if -1 in signature[1:] or (-1 in signature[:1] and shape[:1] != (1,)):
            raise UnsupportedModelError(
                f"tensor {record.name!r} has the dynamic shape {signature}: "
                "fix all dimensions (batch 1) before converting"
            )

    def operator(self, index: int) -> Operator:
        record = self.subgraph.operators[index]
        kind = operator_kind(self.model, record)
        source = _Source(self, record, kind, index)
        inputs, attrs = _CONVERT[kind](source)
        outputs = [self.tensor(i) for i in indices(record.outputs)]
        return Operator(kind, inputs, outputs, attrs, index)


def _quantisation(record: Record, shape: tuple[int, ...]) -> QuantParams | None:
    quant = record.quantization
    if quant is None or quant.scale is None or quant.scale.size == 0:
        return None
    where = f"quantisation of tensor {record.name!r}"
    if quant.details is not None:
        raise UnsupportedModelError(f"{where} is of a custom kind")
    scale = quant.scale.astype(np.float32)
    zero = np.zeros(1, np.int64) if quant.zero_point is None else quant.zero_point
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelFormatError(f"{where}: scales must be positive, {scale.min()} found")
    if zero.size not in (1, scale.size):
        raise ModelFormatError(f"{where}: {scale.size} scales and {zero.size} zero points")
    if zero.min() < -(2**31) or zero.max() >= 2**31:
        raise ModelFormatError(f"{where}: zero point {zero.max()} out of range")
    axis = quant.quantized_dimension
    if scale.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scale.size):
        raise ModelFormatError(
            f"{where}: {scale.size} scales along dimension {axis} of shape {list(shape)}"
        )
    zero = np.broadcast_to(zero, scale.shape).astype(np.int32)
    return QuantParams(scale, zero, axis if scale.size > 1 else 0)


# --- Operators ---


class _Source:
    """One operator of the file, as the converters below see it."""

    def __init__(self, importer: _Importer, record: Record, kind: str, index: int):
        self.importer = importer
        self.where = f"operator {kind} (index {index})"
        self.slots = indices(record.inputs)
        self.record = record
        if not indices(record.outputs):
            raise ModelFormatError(f"{self.where} has no output")

    def options(self, table: str) -> Record:
        found = self.record.builtin_options
        if found is None:
            return schema.new(table)
        if getattr(found, "table", "") != table:
            raise ModelFormatError(f"{self.where} has the options of another operator")
        return found

    def tensor(self, position: int) -> Tensor:
        found = self.optional(position)
        if found is None:
            raise ModelFormatError(f"{self.where} has no input {position}")
        return found

    def optional(self, position: int) -> Tensor | None:
        if position >= len(self.slots) or self.slots[position] == -1:
            return None
        return self.importer.tensor(self.slots[position])

    def output(self) -> Tensor:
        return self.importer.tensor(int(self.record.outputs[0]))

    def values(self, position: int, what: str) -> list[int]:
        """Values of a constant integer operand, flattened."""
        tensor = self.tensor(position)
        if tensor.data is None and tensor.size:
            raise UnsupportedModelError(f"{self.where}: {what} is computed, a constant expected")
        if tensor.dtype not in (DType.INT32, DType.INT64):
            raise UnsupportedModelError(f"{self.where}: {what} is {tensor.dtype.value}")
        return [] if tensor.data is None else [int(v) for v in tensor.data.reshape(-1)]

    def activation(self, code: int) -> ops.Activation:
        name = self.member(schema.ACTIVATIONS, code, "activation")
        if name not in ops.Activation.__members__:
            raise UnsupportedModelError(f"{self.where}: fused activation {name} is not supported")
        return ops.Activation[name]

    def member(self, names: tuple[str, ...], code: int, what: str) -> str:
        if not 0 <= code < len(names):
            raise ModelFormatError(f"{self.where}: {what} {code} is none of {', '.join(names)}")
        return names[code]

    def unsupported(self, what: str) -> UnsupportedModelError:
        return UnsupportedModelError(f"{self.where}: {what} is not supported")


_Converted = tuple[list[Tensor | None], object]


def _padding(
    source: _Source,
    code: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> ops.Padding:
    shape = source.tensor(0).shape
    if len(shape) != 4:
        raise ModelFormatError(f"{source.where}: input shape {list(shape)}, 4 dimensions expected")
    if min(*kernel, *stride, *dilation) < 1:
        raise ModelFormatError(
            f"{source.where}: filter {kernel}, stride {stride} and dilation {dilation} "
            "must be positive"
        )
    if source.member(schema.PADDINGS, code, "padding") == "VALID":
        return ops.Padding()
    top, bottom = same_padding(shape[1], kernel[0], stride[0], dilation[0])
    left, right = same_padding(shape[2], kernel[1], stride[1], dilation[1])
    return ops.Padding(top, bottom, left, right)


def _weighted(source: _Source) -> list[Tensor | None]:
    return [source.tensor(0), source.tensor(1), source.optional(2)]


def _convolution(source: _Source, table: str, multiplier: int) -> _Converted:
    options = source.options(table)
    inputs = _weighted(source)
    if len(inputs[1].shape) != 4:
        raise ModelFormatError(f"{source.where}: weights of shape {list(inputs[1].shape)}")
    stride = (options.stride_h, options.stride_w)
    dilation = (options.dilation_h_factor, options.dilation_w_factor)
    kernel = inputs[1].shape[1:3]
    padding = _padding(source, options.padding, kernel, stride, dilation)
    activation = source.activation(options.fused_activation_function)
    return inputs, ops.ConvAttrs(stride, dilation, padding, activation, multiplier)


def _conv_2d(source: _Source) -> _Converted:
    return _convolution(source, "Conv2DOptions", 1)


def _depthwise_conv_2d(source: _Source) -> _Converted:
    # The options' multiplier may be 0 in old files; the shapes say the same.
    channels = max(source.tensor(0).shape[-1:] or (1,))
    filters = max(source.tensor(1).shape[-1:] or (1,))
    return _convolution(source, "DepthwiseConv2DOptions", filters // max(channels, 1))


def _fully_connected(source: _Source) -> _Converted:
    options = source.options("FullyConnectedOptions")
    if options.weights_format != 0:
        raise source.unsupported("the shuffled weights format")
    activation = source.activation(options.fused_activation_function)
    return _weighted(source), ops.FullyConnectedAttrs(activation, bool(options.keep_num_dims))


def _pool(source: _Source) -> _Converted:
    options = source.options("Pool2DOptions")
    kernel = (options.filter_height, options.filter_width)
    stride = (options.stride_h, options.stride_w)
    padding = _padding(source, options.padding, kernel, stride)
    activation = source.activation(options.fused_activation_function)
    return [source.tensor(0)], ops.PoolAttrs(kernel, stride, padding, activation)


def _axis(source: _Source, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ModelFormatError(f"{source.where}: axis {axis} of {rank} dimensions")
    return axis % rank


def _reduce(source: _Source) -> _Converted:
    options = source.options("ReducerOptions")
    x = source.tensor(0)
    axes = {_axis(source, a, len(x.shape)) for a in source.values(1, "axis")}
    return [x], ops.ReduceAttrs(tuple(sorted(axes)), bool(options.keep_dims))


def _add(source: _Source) -> _Converted:
    options = source.options("AddOptions")
    activation = source.activation(options.fused_activation_function)
    return [source.tensor(0), source.tensor(1)], ops.AddAttrs(activation)


def _concatenation(source: _Source) -> _Converted:
    options = source.options("ConcatenationOptions")
    inputs = [source.tensor(i) for i in range(len(source.slots))]
    rank = len(source.tensor(0).shape)
    activation = source.activation(options.fused_activation_function)
    if activation is not ops.Activation.NONE:
        raise source.unsupported(f"fused activation {activation.value}")
    return inputs, ops.ConcatAttrs(_axis(source, options.axis, rank))


def _slice(source: _Source) -> _Converted:
    x = source.tensor(0)
    begin, size = source.values(1, "begin"), source.values(2, "size")
    if len(begin) != len(x.shape) or len(size) != len(x.shape):
        raise ModelFormatError(f"{source.where}: begin {begin}, size {size} of {list(x.shape)}")
    rest = [d - b for d, b in zip(x.shape, begin, strict=True)]
    size = [r if s == -1 else s for s, r in zip(size, rest, strict=True)]
    return [x], ops.SliceAttrs(tuple(begin), tuple(size), (1,) * len(begin))


def _strided_slice(source: _Source) -> _Converted:
    options = source.options("StridedSliceOptions")
    if options.ellipsis_mask or options.new_axis_mask:
        raise source.unsupported("a slice with ellipsis or a new axis")
    x = source.tensor(0)
    begin, end, strides = (
        source.values(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides"))
    )
    if not len(begin) == len(end) == len(strides) <= len(x.shape) or 0 in strides:
        raise ModelFormatError(
            f"{source.where}: begin {begin}, end {end}, strides {strides} of {list(x.shape)}"
        )
    bounds = []
    for d, extent in enumerate(x.shape):
        if d >= len(begin):
            bounds.append((0, extent, 1))
            continue
        stop = begin[d] + end[d] if options.offset else end[d]
        first = None if options.begin_mask >> d & 1 else begin[d]
        last = None if options.end_mask >> d & 1 else stop
        shrink = bool(options.shrink_axis_mask >> d & 1)
        bounds.append(_slice_bounds(first, last, strides[d], extent, shrink))
    return [x], ops.SliceAttrs(*(tuple(column) for column in zip(*bounds, strict=True)))


def _slice_bounds(
    begin: int | None, end: int | None, stride: int, extent: int, shrink: bool
) -> tuple[int, int, int]:
    """(begin, size, stride) of one dimension; Python's rules, and a shrunk axis has one value."""
    if shrink:
        begin = begin or 0
        return (begin + extent if begin < 0 else begin), 1, 1
    positions = range(*slice(begin, end, stride).indices(extent))
    return positions.start, len(positions), stride


def _reshape(source: _Source) -> _Converted:
    return [source.tensor(0)], ops.NoAttrs()


def _softmax(source: _Source) -> _Converted:
    return [source.tensor(0)], ops.SoftmaxAttrs(float(source.options("SoftmaxOptions").beta))


def _pads(source: _Source) -> tuple[tuple[int, int], ...]:
    values = source.values(1, "paddings")
    rank = len(source.tensor(0).shape)
    if len(values) != 2 * rank:
        raise ModelFormatError(f"{source.where}: paddings {values} for {rank} dimensions")
    return tuple(zip(values[::2], values[1::2], strict=True))


def _pad(source: _Source) -> _Converted:
    output = source.output()
    if output.quant is None:
        raise UnsupportedModelError(f"{source.where}: output has no quantisation")
    return [source.tensor(0)], ops.PadAttrs(_pads(source), output.zero_point)


def _padv2(source: _Source) -> _Converted:
    fill = source.tensor(2)
    if fill.data is None or fill.size != 1 or fill.dtype is not DType.INT8:
        raise source.unsupported("a fill value that is not one constant int8")
    return [source.tensor(0)], ops.PadAttrs(_pads(source), int(fill.data.reshape(-1)[0]))


def _plain(source: _Source) -> _Converted:
    return [source.tensor(0)], ops.NoAttrs()


_CONVERT: dict[str, Callable[[_Source], _Converted]] = {
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
    "STRIDED_SLICE": _strided_slice,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "PAD": _pad,
    "PADV2": _padv2,
    "RELU": _plain,
    "RELU6": _plain,
    "QUANTIZE": _plain,
    "LOGISTIC": _plain,
}
