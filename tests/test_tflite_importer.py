"""From .tflite to Graph and back: operators, normal forms, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.graph_builder import GraphBuilder, every_operator
from tests.support.random_ops import random_graph
from trecx.errors import ModelFormatError, UnsupportedModelError
from trecx.ir import ops
from trecx.ir.graph import Graph
from trecx.ir.verify import verify
from trecx.tflite import schema
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import read_graph
from trecx.tflite.model import new_operator_code, read_model, write_model
from trecx.tflite.runtime import find_runtime

DATA = Path(__file__).parent / "data"
MODELS = sorted(DATA.glob("*.tflite"))


def signature(graph: Graph) -> list:
    """All that the graph computes, without tensor identities."""
    return [
        (
            op.kind,
            op.attrs,
            [None if t is None else (t.name, t.shape, t.dtype) for t in op.inputs],
            [(t.name, t.shape, t.scale, t.zero_point) for t in op.outputs],
            [t.data.tobytes() for t in op.inputs if t is not None and t.is_constant],
        )
        for op in graph.operators
    ]


@pytest.mark.parametrize("seed", range(3))
def test_round_trip_of_every_operator(seed):
    graph = every_operator(seed)
    assert {op.kind for op in graph.operators} == set(ops.SUPPORTED_KINDS)
    data = write_graph(graph)
    again = read_graph(data)
    verify(again)
    assert signature(again) == signature(graph)
    assert write_graph(again) == data


@pytest.mark.parametrize("kind", ops.SUPPORTED_KINDS)
def test_round_trip_of_random_operators(kind):
    random = np.random.default_rng(0)
    for _ in range(20):
        graph = random_graph(kind, random)
        assert signature(read_graph(write_graph(graph))) == signature(graph)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_converted_models_survive_import_and_export(path):
    """Import and export of a converter's file: the same outputs on TFLite's own interpreter."""
    graph = read_graph(path)
    again = write_graph(graph)
    runtime = find_runtime()
    original, copy = runtime.load(path.read_bytes()), runtime.load(again)
    random = np.random.default_rng(0)
    for _ in range(3):
        x = random.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        for a, b in zip(original([x]), copy([x]), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("package", ["tflite-runtime", "ai-edge-litert", "tflite-micro"])
def test_runtimes_run_what_we_write(package):
    graph = every_operator(4)
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    if package == "tflite-micro":
        from tests.support.tflm import load

        outputs = load(write_graph(graph))([x])
    else:
        outputs = find_runtime(package).load(write_graph(graph))([x])
    assert [o.shape for o in outputs] == [t.shape for t in graph.outputs]
    assert all(o.std() > 0 for o in outputs)


# --- Normal forms ---


def one_slice(**options) -> ops.SliceAttrs:
    """The imported form of a STRIDED_SLICE of a (1, 4, 6, 3) tensor with other options."""
    b = GraphBuilder()
    x = b.input((1, 4, 6, 3))
    y = b.slice(x, (0, 0, 0, 0), (1, 4, 6, 3), (1, 1, 1, 1))
    model = read_model(write_graph(b.graph(y)))
    operands = {1: options.pop("begin"), 2: options.pop("end"), 3: options.pop("strides")}
    subgraph = model.subgraphs[0]
    (op,) = subgraph.operators
    for position, values in operands.items():
        tensor = subgraph.tensors[op.inputs[position]]
        tensor.shape = np.array([len(values)], np.int32)
        raw = np.array(values, "<i4").view(np.uint8)
        model.buffers[tensor.buffer].data = raw
    op.builtin_options = schema.new("StridedSliceOptions", **options)
    expected = np.empty((1, 4, 6, 3))[slices(operands, options)]
    subgraph.tensors[op.outputs[0]].shape = np.array(expected.shape, np.int32)
    return read_graph(write_model(model)).operators[0].attrs


def slices(operands: dict, options: dict) -> tuple:
    """The same slice in Python's own terms."""
    result = []
    for d, (begin, end, stride) in enumerate(zip(*operands.values(), strict=True)):
        if options.get("shrink_axis_mask", 0) >> d & 1:
            result.append(begin)
            continue
        first = None if options.get("begin_mask", 0) >> d & 1 else begin
        last = None if options.get("end_mask", 0) >> d & 1 else end
        result.append(slice(first, last, stride))
    return tuple(result)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"begin": [0, 1, 2, 0], "end": [1, 4, 6, 3], "strides": [1, 2, 3, 1]},
            ((0, 1, 2, 0), (1, 2, 2, 3), (1, 2, 3, 1)),
        ),
        (
            {"begin": [0, -3, 0, -1], "end": [1, -1, 99, -9], "strides": [1, 1, 1, -1]},
            ((0, 1, 0, 2), (1, 2, 6, 3), (1, 1, 1, -1)),
        ),
        (
            {"begin": [9, 9], "end": [9, 0], "strides": [1, -1], "begin_mask": 3, "end_mask": 3},
            ((0, 3, 0, 0), (1, 4, 6, 3), (1, -1, 1, 1)),
        ),
        (
            {"begin": [0, -1, 0], "end": [0, 0, 6], "strides": [1, 1, 1], "shrink_axis_mask": 3},
            ((0, 3, 0, 0), (1, 1, 6, 3), (1, 1, 1, 1)),
        ),
    ],
    ids=["strides", "negative and clipped", "masks", "shrunk axes"],
)
def test_strided_slice_has_one_normal_form(options, expected):
    assert one_slice(**options) == ops.SliceAttrs(*expected)


@pytest.mark.parametrize("option", ["ellipsis_mask", "new_axis_mask"])
def test_strided_slice_refuses_new_axes(option):
    with pytest.raises(UnsupportedModelError, match=r"STRIDED_SLICE .index 0.*ellipsis"):
        one_slice(begin=[0], end=[1], strides=[1], **{option: 1})


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (32, 3, 1, 1, (1, 1)),
        (32, 3, 2, 1, (0, 1)),
        (33, 3, 2, 1, (1, 1)),
        (32, 1, 2, 1, (0, 0)),
        (49, 10, 2, 1, (4, 5)),
        (10, 3, 1, 2, (2, 2)),
        (4, 2, 2, 1, (0, 0)),
        (5, 2, 3, 1, (0, 0)),
    ],
)
def test_same_padding_as_tflite_computes_it(size, kernel, stride, dilation, expected):
    """Imported as pixels; the exporter finds SAME or VALID again, and the shape agrees."""
    b = GraphBuilder()
    x = b.input((1, size, size, 2))
    y = b.conv(x, 3, (kernel, kernel), (stride, stride), (dilation, dilation))
    graph = read_graph(write_graph(b.graph(y)))
    padding = graph.operators[0].attrs.padding
    assert (padding.top, padding.bottom) == (padding.left, padding.right) == expected
    assert graph.outputs[0].shape[1] == -(-size // stride)


def test_padding_that_tflite_cannot_express():
    b = GraphBuilder()
    x = b.input((1, 8, 8, 2))
    weights = b.weights((3, 3, 3, 2), axis=0)
    attrs = ops.ConvAttrs(padding=ops.Padding(2, 2, 2, 2))
    y = b.add_operator("CONV_2D", [x, weights, None], attrs)
    with pytest.raises(UnsupportedModelError, match="neither SAME nor VALID"):
        write_graph(b.graph(y))


def test_old_files_with_the_narrow_operator_code_only():
    """Schema 3 before 2020: the operator is in deprecated_builtin_code alone."""
    model = read_model(DATA / "resnet_exit.tflite")
    for code in model.operator_codes:
        code.builtin_code = 0
    graph = read_graph(write_model(model))
    assert signature(graph) == signature(read_graph(DATA / "resnet_exit.tflite"))


def test_batch_left_open_is_one():
    model = read_model(DATA / "resnet_plain.tflite")
    for tensor in model.subgraphs[0].tensors:
        if tensor.name.startswith("serving_default"):
            tensor.shape_signature = np.array([-1, 16, 16, 3], np.int32)
    assert read_graph(write_model(model)).inputs[0].shape == (1, 16, 16, 3)


def test_shape_arithmetic_before_reshape_is_left_out():
    """A dynamic batch puts SHAPE and PACK before RESHAPE, whose shape is known all the same."""
    b = GraphBuilder()
    x = b.input((1, 2, 3, 4))
    y = b.softmax(b.dense(b.reshape(x, (1, 24)), 5))
    model = read_model(write_graph(b.graph(y)))
    subgraph = model.subgraphs[0]
    reshape = subgraph.operators[0]
    shape = schema.new("Tensor", name="shape", shape=np.array([4], np.int32), type=2)
    packed = schema.new("Tensor", name="packed", shape=np.array([2], np.int32), type=2)
    subgraph.tensors += [shape, packed]
    count = len(subgraph.tensors)
    for kind, source, target in (("SHAPE", 0, count - 2), ("PACK", count - 2, count - 1)):
        model.operator_codes.append(new_operator_code(kind, 1))
        operator = schema.new(
            "Operator",
            opcode_index=len(model.operator_codes) - 1,
            inputs=np.array([source]),
            outputs=np.array([target]),
        )
        subgraph.operators.insert(len(subgraph.operators) - 3, operator)
    reshape.inputs = np.array([reshape.inputs[0], count - 1])
    graph = read_graph(write_model(model))
    assert [op.kind for op in graph.operators] == ["RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


def test_absent_bias_is_none():
    b = GraphBuilder()
    x = b.input((1, 4, 4, 2))
    graph = read_graph(write_graph(b.graph(b.conv(x, 3, use_bias=False))))
    assert graph.operators[0].inputs[2] is None


# --- Refusals ---


def changed(change: Callable, name: str = "resnet_plain") -> bytes:
    """A model file after `change(model, subgraph)`."""
    model = read_model(DATA / f"{name}.tflite")
    change(model, model.subgraphs[0])
    return write_model(model)


def first_conv(subgraph):
    return subgraph.operators[0]


def refusal(error: type, change: Callable, name: str = "resnet_plain") -> str:
    with pytest.raises(error) as caught:
        read_graph(changed(change, name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unsupported_operator_is_named_with_what_is_supported():
    def change(model, subgraph):
        model.operator_codes.append(new_operator_code("CUMSUM", 1))
        subgraph.operators[3].opcode_index = len(model.operator_codes) - 1

    message = refusal(UnsupportedModelError, change)
    assert "CUMSUM (index 3)" in message
    for kind in ops.SUPPORTED_KINDS:
        assert kind in message


def test_unknown_operator_number():
    def change(model, subgraph):
        model.operator_codes[0].builtin_code = 5000

    assert "OPERATOR_5000 (index 0)" in refusal(UnsupportedModelError, change)


def test_custom_operator():
    def change(model, subgraph):
        model.operator_codes[0].builtin_code = model.operator_codes[0].deprecated_builtin_code = 32
        model.operator_codes[0].custom_code = "MyOp"

    assert "CUSTOM:MyOp (index 0)" in refusal(UnsupportedModelError, change)


def test_float_model():
    def change(model, subgraph):
        tensor = subgraph.tensors[subgraph.inputs[0]]
        tensor.type = schema.TENSOR_TYPE_CODE["FLOAT32"]

    message = refusal(UnsupportedModelError, change)
    assert "FLOAT32" in message
    assert "representative data set" in message


@pytest.mark.parametrize("kind", ["INT16", "UINT8", "INT4"])
def test_other_element_types(kind):
    def change(model, subgraph):
        subgraph.tensors[subgraph.inputs[0]].type = schema.TENSOR_TYPE_CODE[kind]

    assert kind in refusal(UnsupportedModelError, change).upper()


def test_dynamic_shape():
    def change(model, subgraph):
        tensor = subgraph.tensors[subgraph.inputs[0]]
        tensor.shape_signature = np.array([1, -1, -1, 3], np.int32)

    message = refusal(UnsupportedModelError, change)
    assert "dynamic shape [1, -1, -1, 3]" in message


def test_missing_subgraph():
    with pytest.raises(UnsupportedModelError, match="subgraph 3 does not exist: the model has 1"):
        read_graph(DATA / "autoencoder.tflite", 3)


def test_missing_file(tmp_path):
    with pytest.raises(ModelFormatError, match="No such file"):
        read_graph(tmp_path / "none.tflite")
    with pytest.raises(ModelFormatError, match="directory"):
        read_graph(tmp_path)
    (tmp_path / "empty.tflite").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"empty.tflite: .* 0 bytes"):
        read_graph(tmp_path / "empty.tflite")


def _options(**values):
    def change(model, subgraph):
        for name, value in values.items():
            setattr(first_conv(subgraph).builtin_options, name, value)

    return change


def _weights(**values):
    def change(model, subgraph):
        tensor = subgraph.tensors[first_conv(subgraph).inputs[1]]
        for name, value in values.items():
            setattr(tensor.quantization, name, value)

    return change


def _output_shape(model, subgraph):
    subgraph.tensors[first_conv(subgraph).outputs[0]].shape = np.array([1, 16, 15, 8], np.int32)


def _no_quantisation(model, subgraph):
    subgraph.tensors[first_conv(subgraph).outputs[0]].quantization = None


def _foreign_options(model, subgraph):
    first_conv(subgraph).builtin_options = schema.new("SoftmaxOptions", beta=1.0)


def _too_few_inputs(model, subgraph):
    first_conv(subgraph).inputs = first_conv(subgraph).inputs[:1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (_options(padding=7), ModelFormatError, "padding 7"),
        (_options(stride_w=0), ModelFormatError, "must be positive"),
        (_options(dilation_h_factor=-1), ModelFormatError, "must be positive"),
        (_options(fused_activation_function=9), ModelFormatError, "activation 9"),
        (_options(fused_activation_function=4), UnsupportedModelError, "TANH"),
        (_options(stride_w=2), UnsupportedModelError, r"shape \[1, 16, 16, 8\]"),
        (_weights(zero_point=np.full(8, 3)), UnsupportedModelError, "symmetric"),
        (_weights(scale=np.full(8, np.nan)), ModelFormatError, "must be positive"),
        (_weights(scale=np.full(5, 0.1)), ModelFormatError, "5 scales"),
        (_weights(zero_point=np.full(8, 2**40)), ModelFormatError, "out of range"),
        (_weights(quantized_dimension=3), ModelFormatError, "8 scales along dimension 3"),
        (_output_shape, UnsupportedModelError, r"\[1, 16, 15, 8\]"),
        (_no_quantisation, UnsupportedModelError, "no per-tensor quantisation"),
        (_foreign_options, ModelFormatError, "options of another operator"),
        (_too_few_inputs, ModelFormatError, "has no input 1"),
    ],
)
def test_inconsistent_operator_is_refused(change, error, words):
    import re

    message = refusal(error, change)
    assert re.search(words, message), message


# --- Indices that lead nowhere ---


def _tensor_index(model, subgraph):
    first_conv(subgraph).inputs = np.array([999, 1, 2])


def _negative_output(model, subgraph):
    subgraph.outputs = np.array([-1])


def _buffer_index(model, subgraph):
    subgraph.tensors[3].buffer = 10_000


def _code_index(model, subgraph):
    first_conv(subgraph).opcode_index = 77


def _cycle(model, subgraph):
    last = subgraph.operators[-1].outputs[0]
    first_conv(subgraph).inputs = np.array([last, *first_conv(subgraph).inputs[1:]])


def _written_twice(model, subgraph):
    subgraph.operators[1].outputs = first_conv(subgraph).outputs


def _dangling_output(model, subgraph):
    subgraph.tensors.append(schema.new("Tensor", shape=np.array([1, 3]), type=9, name="lost"))
    subgraph.outputs = np.array([len(subgraph.tensors) - 1])


def _negative_shape(model, subgraph):
    subgraph.tensors[0].shape = np.array([1, -16, 16, 3])


def _huge_shape(model, subgraph):
    subgraph.tensors[0].shape = np.full(8, 2**31 - 1)


def _many_dimensions(model, subgraph):
    subgraph.tensors[0].shape = np.ones(5000)


def _data_size(model, subgraph):
    tensor = subgraph.tensors[first_conv(subgraph).inputs[1]]
    model.buffers[tensor.buffer].data = np.zeros(7, np.uint8)


def _tensor_type(model, subgraph):
    subgraph.tensors[0].type = 99


def _version(model, subgraph):
    model.version = 2


def _outside_buffer(model, subgraph):
    model.buffers[1].offset, model.buffers[1].size = 2**40, 2**40


def _no_subgraph(model, subgraph):
    model.subgraphs = []


def _signature_tensor(model, subgraph):
    model.signature_defs[0].outputs[0].tensor_index = 5000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_tensor_index, "999"),
        (_negative_output, "-1"),
        (_buffer_index, "10000"),
        (_code_index, "77"),
        (_cycle, "a cycle, or a dangling tensor"),
        (_written_twice, "written already"),
        (_dangling_output, "'lost'"),
        (_negative_shape, "-16"),
        (_huge_shape, "not possible"),
        (_many_dimensions, "5000 dimensions"),
        (_data_size, "7 bytes"),
        (_tensor_type, "99"),
        (_version, "version 2"),
        (_outside_buffer, "1099511627776"),
        (_no_subgraph, "no subgraph"),
        (_signature_tensor, "5000"),
    ],
)
def test_broken_reference_is_refused(change, words):
    assert words in refusal(ModelFormatError, change)


def test_buffers_behind_the_flatbuffer_are_found():
    """Files over 2 GB keep their constants behind the flatbuffer; small ones may, too."""
    data = (DATA / "resnet_plain.tflite").read_bytes()
    model = read_model(data)
    place = next(i for i, b in enumerate(model.buffers) if b.data is not None and b.data.size > 99)
    weights = model.buffers[place].data.tobytes()
    model.buffers[place].data = None
    model.buffers[place].size = len(weights)
    model.buffers[place].offset = 2  # a stand-in of the right width
    head = write_model(model)
    model.buffers[place].offset = len(head)
    moved = write_model(model) + weights
    assert signature(read_graph(moved)) == signature(read_graph(data))
