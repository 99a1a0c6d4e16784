"""Cutting: the segments one after the other give the whole model's bytes, on every runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import tflm
from tests.support.graph_builder import GraphBuilder
from tests.support.patterns import int8_patterns
from trecx.errors import CutError, ModelFormatError
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import Activation
from trecx.tflite import schema
from trecx.tflite.cut import cut, cut_at_tensor, cut_points, segment_names
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import read_graph
from trecx.tflite.model import new_operator_code, operator_kind, read_model, write_model
from trecx.tflite.runtime import find_runtime

DATA = Path(__file__).parent / "data"
OUTPUTS = json.loads((DATA / "models.json").read_text())
LOADERS = {
    "tflite-micro": tflm.load,
    "tflite-runtime": find_runtime("tflite-runtime").load,
    "ai-edge-litert": find_runtime("ai-edge-litert").load,
}


def model(name: str) -> bytes:
    return (DATA / f"{name}.tflite").read_bytes()


def run_segments(load, segments: list[bytes], x: np.ndarray) -> list[np.ndarray]:
    """First output of every segment for one sample with batch."""
    found, tensors = [], [x]
    for segment in segments:
        first, *tensors = load(segment)(tensors)
        found.append(first)
    return found


@pytest.mark.parametrize("package", LOADERS)
@pytest.mark.parametrize("name", ["resnet_exit", "ds_cnn_two_exits", "learned_confidence"])
def test_segments_equal_the_whole_model(name, package):
    data = model(name)
    graph = read_graph(data)
    outputs = OUTPUTS[name]["outputs"]
    segments = cut(data, outputs[:-1])
    order = [t.name for t in graph.outputs]
    load = LOADERS[package]
    whole = load(data)
    for x in int8_patterns(np.random.default_rng(0), 4, graph.inputs[0].shape[1:]):
        expected = dict(zip(order, whole([x[None]]), strict=True))
        found = run_segments(load, segments, x[None])
        for output, value in zip(outputs, found, strict=True):
            assert np.array_equal(value, expected[output])


@pytest.mark.parametrize("name", ["resnet_exit", "ds_cnn_two_exits", "learned_confidence"])
def test_segments_equal_the_whole_model_on_many_samples(name):
    """As above on the integer interpreter, which is fast enough for more samples."""
    data = model(name)
    graph = read_graph(data)
    outputs = OUTPUTS[name]["outputs"]
    x = int8_patterns(np.random.default_rng(1), 100, graph.inputs[0].shape[1:])
    expected = dict(zip([t.name for t in graph.outputs], run_graph(graph, [x]), strict=True))
    tensors = [x]
    for output, segment in zip(outputs, cut(data, outputs[:-1]), strict=True):
        first, *tensors = run_graph(read_graph(segment), tensors)
        assert np.array_equal(first, expected[output])
        assert np.unique(first, axis=0).shape[0] > 20  # the inputs do make a difference


def test_nothing_is_computed_twice_and_nothing_is_lost():
    data = model("ds_cnn_two_exits")
    whole = read_graph(data)
    parts = [read_graph(s) for s in cut(data, OUTPUTS["ds_cnn_two_exits"]["outputs"][:-1])]
    produced = [op.output.name for part in parts for op in part.operators]
    assert sorted(produced) == sorted(op.output.name for op in whole.operators)


def test_hand_off_is_what_later_segments_read():
    """The second exit sits inside a residual connection: two tensors cross there."""
    segments = cut(model("ds_cnn_two_exits"), ["output_0", "output_1"])
    stem, middle, tail = (read_graph(s) for s in segments)
    assert [len(g.inputs) for g in (stem, middle, tail)] == [1, 1, 2]
    assert [len(g.outputs) for g in (stem, middle, tail)] == [2, 3, 1]
    for before, after in ((stem, middle), (middle, tail)):
        for given, taken in zip(before.outputs[1:], after.inputs, strict=True):
            assert given.name == taken.name
            assert given.shape == taken.shape
            assert given.quant.same_as(taken.quant)


def test_order_of_exits_is_by_depth_not_by_argument():
    data = model("ds_cnn_two_exits")
    assert cut(data, ["output_0", "output_1"]) == cut(data, ["output_1", "output_0"])


def test_exits_by_signature_tensor_name_and_number():
    data = model("resnet_exit")
    subgraph = read_model(data).subgraphs[0]
    name = OUTPUTS["resnet_exit"]["outputs"][0]
    number = next(i for i in subgraph.outputs if subgraph.tensors[i].name == name)
    assert cut(data, ["output_0"]) == cut(data, [name]) == cut(data, [int(number)])


def test_segment_files():
    """Names, signatures and metadata of the segments; smaller than the whole."""
    data = model("resnet_exit")
    stem, tail = (read_model(s) for s in cut(data, ["output_0"]))
    assert [stem.subgraphs[0].name, tail.subgraphs[0].name] == ["stem", "tail"]
    assert [e.name for e in stem.signature_defs[0].outputs] == ["exit", "handoff"]
    assert [e.name for e in tail.signature_defs[0].inputs] == ["handoff"]
    assert [e.name for e in tail.signature_defs[0].outputs] == ["output"]
    assert [e.name for e in stem.metadata] == ["min_runtime_version"]
    assert sum(map(len, cut(data, ["output_0"]))) < 1.03 * len(data)
    assert cut(data, ["output_0"]) == cut(data, ["output_0"])


def test_segment_names():
    assert segment_names(1) == ["full"]
    assert segment_names(2) == ["stem", "tail"]
    assert segment_names(4) == ["stem", "mid1", "mid2", "tail"]


def cut_graph(graph, exits):
    return [read_graph(s) for s in cut(write_graph(graph), exits)]


def test_network_input_and_exit_output_can_be_handed_on():
    """The tail reads the network's input and the exit's own output again."""
    b = GraphBuilder(3)
    x = b.input((1, 6, 6, 2))
    early = b.conv(x, 2, activation=Activation.NONE)
    late = b.conv(b.add(early, x), 2)
    graph = b.graph(early, late)
    data = write_graph(graph)
    stem, tail = cut_graph(graph, [early.name])
    assert [t.name for t in stem.outputs] == [early.name, x.name, early.name]
    assert [t.name for t in tail.inputs] == [x.name, early.name]
    sample = np.random.default_rng(0).integers(-128, 128, (1, 6, 6, 2)).astype(np.int8)
    for load in LOADERS.values():
        expected = load(data)([sample])
        found = run_segments(load, cut(data, [early.name]), sample)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_unknown_options_survive_a_cut():
    """Operators that trecx cannot execute are kept with all their options."""
    data = model("resnet_exit")
    tree = read_model(data)
    tree.operator_codes.append(new_operator_code("LSTM", 7))
    options = schema.new("LSTMOptions", cell_clip=1.5, kernel_type=1)
    tail = next(
        op for op in tree.subgraphs[0].operators if operator_kind(tree, op) == "CONCATENATION"
    )
    tail.opcode_index = len(tree.operator_codes) - 1
    tail.builtin_options = options
    tail.custom_options = np.arange(5, dtype=np.uint8)
    part = read_model(cut(write_model(tree), ["output_0"])[1])
    found = next(op for op in part.subgraphs[0].operators if operator_kind(part, op) == "LSTM")
    assert repr(found.builtin_options) == repr(options)
    assert list(found.custom_options) == [0, 1, 2, 3, 4]
    assert part.operator_codes[found.opcode_index].version == 7


def test_offline_memory_plan_is_dropped():
    """Metadata with tensor numbers would be wrong in a segment."""
    tree = read_model(model("resnet_exit"))
    tree.buffers.append(schema.new("Buffer", data=np.ones(64, np.uint8)))
    entry = schema.new("Metadata", name="OfflineMemoryAllocation", buffer=len(tree.buffers) - 1)
    tree.metadata.append(entry)
    for part in cut(write_model(tree), ["output_0"]):
        assert [e.name for e in read_model(part).metadata] == ["min_runtime_version"]


# --- Refusals ---


def refusal(call) -> str:
    with pytest.raises(CutError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_exit_that_is_no_output():
    message = refusal(lambda: cut(model("resnet_exit"), ["nonsense"]))
    assert "'nonsense' is no output" in message
    assert "StatefulPartitionedCall:1" in message


def test_all_outputs_given_as_exits():
    message = refusal(lambda: cut(model("resnet_exit"), ["output_0", "output_1"]))
    assert "exactly one must be left" in message


def test_no_exit_or_one_twice():
    assert "0 given" in refusal(lambda: cut(model("resnet_exit"), []))
    assert "only once" in refusal(lambda: cut(model("ds_cnn_two_exits"), ["output_0"] * 2))


def test_single_output_model_has_no_exit():
    assert "exactly one" in refusal(lambda: cut(model("resnet_plain"), ["output_0"]))


def test_final_output_before_the_exit():
    b = GraphBuilder()
    first = b.conv(b.input((1, 4, 4, 2)), 2)
    second = b.conv(first, 2)
    data = write_graph(b.graph(first, second))
    assert "needs no operator" in refusal(lambda: cut(data, [second.name]))


def test_variables_are_refused():
    tree = read_model(model("resnet_exit"))
    tree.subgraphs[0].tensors[0].is_variable = True
    assert "variable" in refusal(lambda: cut(write_model(tree), ["output_0"]))


def test_truncated_model():
    with pytest.raises(ModelFormatError):
        cut(model("resnet_exit")[:5000], ["output_0"])


# --- Models without exits ---


@pytest.mark.parametrize("name", ["resnet_plain", "autoencoder"])
def test_cut_at_every_possible_tensor(name):
    data = model(name)
    graph = read_graph(data)
    points = [p for p in cut_points(graph) if p.possible]
    assert len(points) >= 3
    x = int8_patterns(np.random.default_rng(0), 5, graph.inputs[0].shape[1:])
    (expected,) = run_graph(graph, [x])
    for point in points:
        stem, tail = (read_graph(s) for s in cut_at_tensor(data, point.tensor))
        assert [t.name for t in stem.outputs] == [point.tensor]
        assert stem.outputs[0].nbytes == point.handoff_bytes
        (found,) = run_graph(tail, run_graph(stem, [x]))
        assert np.array_equal(found, expected)


def test_cut_points_know_what_else_crosses():
    graph = read_graph(model("resnet_plain"))
    points = cut_points(graph)
    total = points[0].macs_before + points[0].macs_after
    assert all(p.macs_before + p.macs_after == total for p in points)
    impossible = [p for p in points if not p.possible]
    assert impossible
    for point in impossible:
        message = refusal(lambda p=point: cut_at_tensor(model("resnet_plain"), p.tensor))
        assert all(repr(name) in message for name in point.also_crossing)
        assert "it can be cut at" in message


def test_cut_at_unknown_tensor_offers_the_nearest():
    message = refusal(lambda: cut_at_tensor(model("resnet_plain"), "flatten_4/Reshape"))
    assert "/flatten_4_1/Reshape" in message


def test_cut_behind_the_last_tensor():
    last = OUTPUTS["resnet_plain"]["outputs"][0]
    assert "nothing follows" in refusal(lambda: cut_at_tensor(model("resnet_plain"), last))


def fused(names: list[str]) -> bytes:
    """Convolutions in a row whose outputs have these names."""
    b = GraphBuilder(0)
    x = b.input((1, 4, 4, 2))
    for name in names:
        x = b.conv(x, 2)
        x.name = name
    return write_graph(b.graph(b.softmax(b.dense(b.reduce(x, "MEAN", (1, 2)), 3))))


def test_cut_at_a_layers_part_of_a_fused_name():
    data = fused(["net/conv_1/BiasAdd", "net/block1_relu_1/Relu;net/norm_3/mul", "net/relu1/Relu"])
    wanted = cut_at_tensor(data, "net/block1_relu_1/Relu;net/norm_3/mul")
    assert cut_at_tensor(data, "block1_relu") == wanted
    assert cut_at_tensor(data, "norm") == wanted
    assert cut_at_tensor(data, "net/norm_3/mul") == wanted
    for name in ("relu", "block1", "mul", "Relu", "block1_relu_2", ""):
        with pytest.raises(CutError, match="computes no tensor"):
            cut_at_tensor(data, name)
    with pytest.raises(CutError, match="3 tensors are named 'net', the place is ambiguous"):
        cut_at_tensor(data, "net")
