"""From a `Graph` of the intermediate representation to a .tflite file with one subgraph.

The inverse of `trecx.tflite.importer`: attributes become options and constant operands again.
Tests build models with it, one operator or many, and run them on other runtimes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir import ops
from trecx.ir.graph import DType, Graph, Operator, QuantParams, Tensor
from trecx.ir.shapes import same_padding
from trecx.ir.verify import verify
from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import new_operator_code, write_model

# The operator version in which the int8 kernel came; runtimes look a kernel up by it.
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1}
_INT8_VERSION = 2


def write_graph(graph: Graph) -> bytes:
    """The bytes of a .tflite file that computes `graph`.

    Raises VerificationError when `graph` is not sound, and UnsupportedModelError when it has a
    padding that is neither SAME nor VALID in TFLite's sense (use a PAD operator instead).
    """
    verify(graph)
    return write_model(_Exporter(graph).model())


class _Exporter:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.buffers = [schema.new("Buffer")]  # buffer 0 is empty by convention
        self.codes: dict[tuple[str, int], int] = {}
        self.tensors: list[Record] = []
        self.places: dict[Tensor, int] = {}

    def model(self) -> Record:
        inputs = [self.tensor(t) for t in self.graph.inputs]
        operators = [self.operator(op) for op in self.graph.operators]
        outputs = [self.tensor(t) for t in self.graph.outputs]
        subgraph = schema.new(
            "SubGraph",
            name=self.graph.name,
            tensors=self.tensors,
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
            operators=operators,
        )
        return schema.new(
            "Model",
            version=schema.VERSION,
            description="trecx",
            operator_codes=[new_operator_code(*key) for key in self.codes],
            subgraphs=[subgraph],
            buffers=self.buffers,
        )

    def operator(self, op: Operator) -> Record:
        options, operands = _OPTIONS[op.kind](op)
        inputs = [-1 if t is None else self.tensor(t) for t in [*op.inputs, *operands]]
        version = _VERSIONS.get(op.kind, _INT8_VERSION)
        code = self.codes.setdefault((op.kind, version), len(self.codes))
        return schema.new(
            "Operator",
            opcode_index=code,
            inputs=np.array(inputs, np.int32),
            outputs=np.array([self.tensor(t) for t in op.outputs], np.int32),
            builtin_options=options,
        )

    def tensor(self, tensor: Tensor) -> int:
        if tensor not in self.places:
            self.places[tensor] = len(self.tensors)
            self.tensors.append(self.tensor_record(tensor))
        return self.places[tensor]

    def tensor_record(self, tensor: Tensor) -> Record:
        return schema.new(
            "Tensor",
            name=tensor.name,
            shape=np.array(tensor.shape, np.int32),
            type=schema.TENSOR_TYPE_CODE[tensor.dtype.name],
            buffer=self.buffer(tensor.data, tensor.dtype),
            quantization=_quantisation(tensor.quant),
            has_rank=True,
        )

    def buffer(self, data: np.ndarray | None, dtype: DType) -> int:
        if data is None:
            return 0
        raw = np.frombuffer(np.asarray(data, dtype.numpy.newbyteorder("<")).tobytes(), np.uint8)
        self.buffers.append(schema.new("Buffer", data=raw))
        return len(self.buffers) - 1


def _quantisation(quant: QuantParams | None) -> Record | None:
    if quant is None:
        return None
    return schema.new(
        "QuantizationParameters",
        scale=np.asarray(quant.scale, np.float32),
        zero_point=np.asarray(quant.zero_point, np.int64),
        quantized_dimension=quant.axis,
    )


# --- Options and constant operands of each operator ---

_Converted = tuple[Record | None, list[Tensor]]


def _constant(op: Operator, what: str, values: object) -> Tensor:
    data = np.array(values, np.int32)
    return Tensor(f"{op.output.name}/{what}", data.shape, DType.INT32, None, data)


def _activation(attrs: object) -> int:
    return schema.ACTIVATIONS.index(attrs.activation.value)


def _padding(
    op: Operator,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> int:
    """Code of the rule that gives the operator's pixels of padding."""
    pad = op.attrs.padding
    if pad == ops.Padding():
        return schema.PADDINGS.index("VALID")
    size = op.inputs[0].shape[1:3]
    rows, columns = (
        same_padding(size[i], kernel[i], stride[i], dilation[i]) for i in range(len(size))
    )
    if pad != ops.Padding(*rows, *columns):
        raise UnsupportedModelError(
            f"operator {op.kind} (index {op.index}): {pad} is neither SAME nor VALID; "
            "TFLite needs a PAD operator for it"
        )
    return schema.PADDINGS.index("SAME")


def _conv_2d(op: Operator) -> _Converted:
    attrs = op.attrs
    options = schema.new(
        "Conv2DOptions",
        padding=_padding(op, op.inputs[1].shape[1:3], attrs.stride, attrs.dilation),
        stride_h=attrs.stride[0],
        stride_w=attrs.stride[1],
        dilation_h_factor=attrs.dilation[0],
        dilation_w_factor=attrs.dilation[1],
        fused_activation_function=_activation(attrs),
    )
    return options, []


def _depthwise_conv_2d(op: Operator) -> _Converted:
    attrs = op.attrs
    options = schema.new(
        "DepthwiseConv2DOptions",
        padding=_padding(op, op.inputs[1].shape[1:3], attrs.stride, attrs.dilation),
        stride_h=attrs.stride[0],
        stride_w=attrs.stride[1],
        depth_multiplier=attrs.depth_multiplier,
        dilation_h_factor=attrs.dilation[0],
        dilation_w_factor=attrs.dilation[1],
        fused_activation_function=_activation(attrs),
    )
    return options, []


def _fully_connected(op: Operator) -> _Converted:
    options = schema.new(
        "FullyConnectedOptions",
        fused_activation_function=_activation(op.attrs),
        keep_num_dims=op.attrs.keep_num_dims,
    )
    return options, []


def _pool(op: Operator) -> _Converted:
    attrs = op.attrs
    options = schema.new(
        "Pool2DOptions",
        padding=_padding(op, attrs.filter, attrs.stride),
        stride_h=attrs.stride[0],
        stride_w=attrs.stride[1],
        filter_height=attrs.filter[0],
        filter_width=attrs.filter[1],
        fused_activation_function=_activation(attrs),
    )
    return options, []


def _reduce(op: Operator) -> _Converted:
    options = schema.new("ReducerOptions", keep_dims=op.attrs.keep_dims)
    return options, [_constant(op, "axes", list(op.attrs.axes))]


def _add(op: Operator) -> _Converted:
    return schema.new("AddOptions", fused_activation_function=_activation(op.attrs)), []


def _concatenation(op: Operator) -> _Converted:
    options = schema.new(
        "ConcatenationOptions",
        axis=op.attrs.axis,
        fused_activation_function=_activation(op.attrs),
    )
    return options, []


def _slice(op: Operator) -> _Converted:
    attrs = op.attrs
    if set(attrs.strides) - {1}:
        raise UnsupportedModelError(
            f"operator SLICE (index {op.index}) with strides {attrs.strides}: use STRIDED_SLICE"
        )
    operands = [_constant(op, "begin", attrs.begin), _constant(op, "size", attrs.size)]
    return schema.new("SliceOptions"), operands


def _strided_slice(op: Operator) -> _Converted:
    attrs = op.attrs
    end = []
    open_end = 0
    for d, (begin, size, stride) in enumerate(
        zip(attrs.begin, attrs.size, attrs.strides, strict=True)
    ):
        end.append(begin + size * stride)
        if end[-1] < 0:  # a negative end would count from the back
            end[-1] = 0
            open_end |= 1 << d
    options = schema.new(
        "StridedSliceOptions", end_mask=open_end, shrink_axis_mask=_dropped_axes(op)
    )
    operands = [
        _constant(op, "begin", attrs.begin),
        _constant(op, "end", end),
        _constant(op, "strides", attrs.strides),
    ]
    return options, operands


def _dropped_axes(op: Operator) -> int:
    """Mask of the dimensions of size 1 that the output does not have."""
    kept = list(op.output.shape)
    mask = 0
    for d, size in enumerate(op.attrs.size):
        if kept and kept[0] == size:
            kept.pop(0)
        else:
            mask |= 1 << d
    return mask


def _reshape(op: Operator) -> _Converted:
    shape = np.array(op.output.shape, np.int32)
    return schema.new("ReshapeOptions", new_shape=shape), [_constant(op, "shape", shape)]


def _softmax(op: Operator) -> _Converted:
    return schema.new("SoftmaxOptions", beta=op.attrs.beta), []


def _pad(op: Operator) -> _Converted:
    return schema.new("PadOptions"), [_constant(op, "paddings", op.attrs.pads)]


def _padv2(op: Operator) -> _Converted:
    fill = np.array([op.attrs.value], np.int8)
    name = f"{op.output.name}/fill"
    operands = [
        _constant(op, "paddings", op.attrs.pads),
        Tensor(name, (1,), DType.INT8, op.output.quant, fill),
    ]
    return schema.new("PadV2Options"), operands


def _no_options(op: Operator) -> _Converted:
    return None, []


def _quantize(op: Operator) -> _Converted:
    return schema.new("QuantizeOptions"), []


_OPTIONS: dict[str, Callable[[Operator], _Converted]] = {
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
    "RELU": _no_options,
    "RELU6": _no_options,
    "QUANTIZE": _quantize,
    "LOGISTIC": _no_options,
}
