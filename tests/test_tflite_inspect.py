"""What `trecx inspect` tells about a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tflite_micro

from tests.support.graph_builder import GraphBuilder
from trecx.errors import ModelFormatError
from trecx.ir import ops
from trecx.tflite.cut import cut
from trecx.tflite.dataflow import Dataflow
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import read_graph
from trecx.tflite.inspect import inspect_model, peak_activation_bytes
from trecx.tflite.link import link
from trecx.tflite.model import new_operator_code, read_model, write_model

DATA = Path(__file__).parent / "data"
RESNET = DATA / "resnet_exit.tflite"


def test_supported_model():
    found = inspect_model(RESNET)
    graph = read_graph(RESNET)
    (main,) = found.subgraphs
    assert found.file_bytes == RESNET.stat().st_size
    assert found.signatures == {
        "serving_default": {"inputs": ["input"], "outputs": ["output_0", "output_1"]}
    }
    assert main.unsupported is None
    assert main.macs == sum(map(ops.macs, graph.operators)) == sum(o.macs for o in main.operators)
    assert main.parameters == sum(map(ops.parameters, graph.operators))
    assert found.weight_bytes >= main.parameters
    conv = main.operators[0]
    assert (conv.kind, conv.version, conv.supported) == ("CONV_2D", 3, True)
    assert conv.options["stride_w"] == 1
    weights = main.tensors[conv.inputs[1]]
    assert weights.constant
    assert weights.type == "INT8"
    assert len(weights.scales) == weights.shape[weights.axis] == 8
    assert not main.tensors[conv.outputs[0]].constant
    assert any(p.possible for p in main.cut_points)
    assert inspect_model(RESNET.read_bytes()) == found


def test_report_is_json():
    text = json.dumps(inspect_model(RESNET).to_json())
    assert json.loads(text)["subgraphs"][0]["operators"][0]["kind"] == "CONV_2D"


def test_float_model_is_described_with_what_is_wrong():
    sine = Path(tflite_micro.__file__).parent / "python/tflite_micro/sine_float.tflite"
    (main,) = inspect_model(sine).subgraphs
    assert "FLOAT32" in main.unsupported
    assert {o.kind for o in main.operators} == {"FULLY_CONNECTED"}
    assert all(o.supported and o.macs is None for o in main.operators)
    assert main.cut_points == ()


def test_unsupported_operator_is_marked():
    model = read_model(RESNET)
    model.operator_codes.append(new_operator_code("CUMSUM", 1))
    model.subgraphs[0].operators[3].opcode_index = len(model.operator_codes) - 1
    (main,) = inspect_model(write_model(model)).subgraphs
    assert "CUMSUM (index 3)" in main.unsupported
    assert [o.index for o in main.operators if not o.supported] == [3]


def test_cascade():
    segments = cut(RESNET.read_bytes(), ["output_0"])
    policy = {"kind": "top_class_thresholds", "thresholds": [0] * 10}
    found = inspect_model(link(segments, [policy]))
    assert found.is_cascade
    assert not inspect_model(RESNET).is_cascade
    assert [s.name for s in found.subgraphs] == ["main", "exit_0", "segment_1"]
    assert found.exit_policies == (policy,)
    assert all(s.unsupported is None for s in found.subgraphs)
    assert all(o.supported for s in found.subgraphs for o in s.operators)
    main, early, after = found.subgraphs
    graphs = [read_graph(segment) for segment in segments]
    assert [main.macs, early.macs, after.macs] == [
        sum(map(ops.macs, graphs[0].operators)),
        None,
        sum(map(ops.macs, graphs[1].operators)),
    ]
    assert [o.macs for o in after.operators] == [ops.macs(op) for op in graphs[1].operators]
    assert [o.macs for o in main.operators[-3:]] == [None] * 3  # the decision


def test_altered_cascade_is_unsupported():
    segments = cut(RESNET.read_bytes(), ["output_0"])
    policy = {"kind": "top_class_thresholds", "thresholds": [0] * 10}
    model = read_model(link(segments, [policy]))
    model.subgraphs[0].name = "changed"
    found = inspect_model(write_model(model))
    assert found.is_cascade
    assert found.exit_policies == ()
    assert "IF" in found.subgraphs[0].unsupported


def test_damaged_file():
    with pytest.raises(ModelFormatError):
        inspect_model(RESNET.read_bytes()[:999])


def test_peak_activation_bytes():
    """input 48 -> conv 64 -> conv 32; the input is needed again by the last operator."""
    b = GraphBuilder()
    x = b.input((1, 4, 4, 3))
    y = b.conv(b.conv(x, 4), 3)
    z = b.add(x, y)
    graph = b.graph(z)
    assert peak_activation_bytes(Dataflow.of_graph(graph)) == 48 + 64 + 48
    model = read_model(write_graph(graph))
    assert peak_activation_bytes(Dataflow.of_subgraph(model, model.subgraphs[0])) == 160
