"""The one-file cascade gives what the segments and the policy give, on three runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlperf_tiny.zoo.catalogue import MODELS
from tests.support import tflm
from tests.support.graph_builder import GraphBuilder
from tests.support.patterns import int8_patterns
from trecx.errors import InputError, UnsupportedModelError
from trecx.ir.graph import QuantParams
from trecx.ir.interpreter import run_graph
from trecx.policies import Confidence, Margin, TableSum, TopClassThresholds
from trecx.tflite.cut import cut
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import read_graph
from trecx.tflite.link import is_cascade, link, unlink
from trecx.tflite.model import operator_kind, read_model, write_model
from trecx.tflite.runtime import find_runtime
from trecx.tflite.tflm import measure_arena
from trecx.tflite.tidy import exact_concatenations, flat_dense_outputs

DATA = Path(__file__).parent / "data"
OUTPUTS = json.loads((DATA / "models.json").read_text())
LOADERS = {
    "tflite-micro": tflm.load,
    "tflite-runtime": find_runtime("tflite-runtime").load,
    "ai-edge-litert": find_runtime("ai-edge-litert").load,
}


def chain(name: str) -> list[bytes]:
    data = exact_concatenations((DATA / f"{name}.tflite").read_bytes())
    return cut(data, OUTPUTS[name]["outputs"][:-1])


def linked(segments: list[bytes], policies) -> bytes:
    return link(segments, [p.to_manifest() for p in policies])


def run_segments(parts, policies, x: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Probabilities and exit of one sample, segment by segment on one runtime."""
    tensors = [x]
    for k, part in enumerate(parts):
        first, *tensors = part(tensors)
        scores = first.reshape(1, -1)
        if k == len(parts) - 1 or policies[k].decide(scores)[0]:
            break
    return scores[:, :classes], k


def compare(load, segments, policies, samples: np.ndarray) -> set[int]:
    """Assert that the cascade equals the segments on one runtime; the exits that were taken."""
    whole = load(linked(segments, policies))
    parts = [load(s) for s in segments]
    classes = read_graph(segments[-1]).outputs[0].size
    taken = set()
    for x in samples:
        scores, k = run_segments(parts, policies, x[None], classes)
        answer, index = whole([x[None]])
        assert np.array_equal(answer.reshape(1, -1), scores)
        assert index.dtype == np.int32
        assert index.reshape(-1).tolist() == [k]
        taken.add(k)
    return taken


def samples_of(segments: list[bytes], count: int, seed: int = 0) -> np.ndarray:
    shape = read_graph(segments[0]).inputs[0].shape[1:]
    return int8_patterns(np.random.default_rng(seed), count, shape)


def spread_policies(segments: list[bytes], kind: str) -> list:
    """Policies of one kind under which about half of the samples stop at each exit."""
    tensors = [samples_of(segments, 200, seed=9)]
    policies = []
    for segment in segments[:-1]:
        first, *tensors = run_graph(read_graph(segment), tensors)
        scores = first.reshape(len(first), -1)
        middle = int(np.median(scores.max(axis=1)))
        if kind == "one threshold":
            policies.append(TopClassThresholds((middle,) * scores.shape[1]))
        elif kind == "class gate":
            steps = np.resize([-9, 4, 15, -3], scores.shape[1]) + middle
            policies.append(TopClassThresholds(tuple(int(t) for t in np.clip(steps, -128, 128))))
        elif kind == "margin":
            policies.append(Margin(int(np.median(Margin(0).margins(scores)))))
        else:
            last = scores.shape[1] - 1
            policies.append(Confidence(last, int(np.median(scores[:, last]))))
    return policies


@pytest.mark.parametrize("package", LOADERS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet_exit", "one threshold"),
        ("resnet_exit", "class gate"),
        ("resnet_exit", "margin"),
        ("ds_cnn_two_exits", "one threshold"),
        ("ds_cnn_two_exits", "class gate"),
        ("ds_cnn_two_exits", "margin"),
        ("learned_confidence", "confidence"),
    ],
)
def test_cascade_equals_segments(name, kind, package):
    segments = chain(name)
    policies = spread_policies(segments, kind)
    taken = compare(LOADERS[package], segments, policies, samples_of(segments, 25))
    assert taken == set(range(len(segments)))  # every branch was taken


ALWAYS, NEVER = -128, 128


@pytest.mark.parametrize("package", LOADERS)
@pytest.mark.parametrize(
    ("policy", "taken"),
    [
        (TopClassThresholds((NEVER,) * 10), {1}),
        (TopClassThresholds((ALWAYS,) * 10), {0}),
        (TopClassThresholds((127,) * 10), {1}),
        (TopClassThresholds((ALWAYS, NEVER) * 5), {0, 1}),
        (TopClassThresholds((ALWAYS, 20) * 5), {0, 1}),
        (TopClassThresholds((NEVER, -60) * 5), {0, 1}),
        (Margin(0), {0}),
        (Margin(256), {1}),
        (Margin(255), {1}),
    ],
)
def test_extreme_policies(policy, taken, package):
    segments = chain("resnet_exit")
    assert compare(LOADERS[package], segments, [policy], samples_of(segments, 12)) == taken


def exhaustive_exit(scale: float, zero_point: int) -> list[bytes]:
    """Segments whose exit output is simply the input: every int8 value reaches the decision."""
    b = GraphBuilder(0)
    quant = QuantParams.per_tensor(scale, zero_point)
    x = b.input((1, 3), quant)
    early = b.reshape(x, (1, 3))
    late = b.slice(early, (0, 0), (1, 3), (1, 1))
    return cut(write_graph(b.graph(early, late)), [early.name])


@pytest.mark.parametrize("package", LOADERS)
@pytest.mark.parametrize("scale", [1 / 256, 1 / 300, 0.00001, 0.02, 0.999, 1.5, 1000.0])
def test_decision_is_exact_for_every_value_and_scale(scale, package):
    """The comparison kernels rescale; it must not matter at any scale of the exit output."""
    segments = exhaustive_exit(scale, -3)
    values = np.array([[v, -128, v - 1 if v > -128 else v] for v in range(-128, 128, 5)], np.int8)
    for limit in (-127, -3, -2, 57):
        policies = [TopClassThresholds((limit,) * 3)]
        near = np.array([[v, -128, -128] for v in (limit - 1, limit, limit + 1)], np.int8)
        compare(LOADERS[package], segments, policies, np.concatenate([values, near]))
    ties = np.array([[5, 5, 4], [4, 5, 5], [5, 4, 5], [-128, -128, -128], [127, -128, 127]])
    for limit in (1, 9, 200):
        compare(
            LOADERS[package],
            segments,
            [Margin(limit)],
            np.concatenate([values[::3], ties.astype(np.int8)]),
        )
    gate = [TopClassThresholds((4, 5, 6))]
    compare(LOADERS[package], segments, gate, ties.astype(np.int8))


def test_size_and_constants():
    """At most 3 KB over the uncut model, and no weight twice."""
    full = (DATA / "resnet_exit.tflite").read_bytes()
    segments = chain("resnet_exit")
    for kind in ("one threshold", "class gate", "margin"):
        cascade = linked(segments, spread_policies(segments, kind))
        assert len(cascade) - len(full) <= 3 * 1024
        buffers = [b.data.tobytes() for b in read_model(cascade).buffers if b.data is not None]
        assert len(set(buffers)) == len(buffers)


def test_names_that_make_sense():
    segments = chain("ds_cnn_two_exits")
    model = read_model(linked(segments, spread_policies(segments, "class gate")))
    names = [s.name for s in model.subgraphs]
    assert names == ["main", "exit_0", "segment_1", "exit_1", "segment_2"]
    (signature,) = model.signature_defs
    assert [e.name for e in signature.inputs] == ["input"]
    assert [e.name for e in signature.outputs] == ["probabilities", "exit_index"]
    main = model.subgraphs[0]
    assert [main.tensors[i].name for i in main.outputs] == ["probabilities", "exit_index"]
    kinds = [operator_kind(model, op) for op in main.operators[-5:]]
    assert kinds == ["REDUCE_MAX", "ARG_MAX", "GATHER", "GREATER_EQUAL", "IF"]
    assert {s.type for s in main.tensors if s.quantization} <= {9, 2}  # INT8, INT32 biases


def test_early_branch_is_empty():
    """The then-branch passes its input through: a subgraph without operators."""
    segments = chain("resnet_exit")
    model = read_model(linked(segments, spread_policies(segments, "one threshold")))
    assert len(model.subgraphs[1].operators) == 0


def test_signature_runner_finds_the_outputs():
    from ai_edge_litert.interpreter import Interpreter

    segments = chain("resnet_exit")
    cascade = linked(segments, spread_policies(segments, "one threshold"))
    runner = Interpreter(model_content=cascade).get_signature_runner("serving_default")
    answer = runner(input=samples_of(segments, 1))
    assert set(answer) == {"probabilities", "exit_index"}


def test_arena_of_activations_is_no_larger_than_the_stems():
    """TFLM's arena: activations as in the larger segment, and the data of all operators."""
    segments = chain("resnet_exit")
    stem, tail = (measure_arena(s) for s in segments)
    cascade = measure_arena(linked(segments, spread_policies(segments, "one threshold")))
    handoff = sum(t.nbytes for t in read_graph(segments[1]).inputs)
    assert cascade.activations <= 1.05 * max(stem.activations, tail.activations + handoff)
    assert cascade.persistent <= 1.05 * (stem.persistent + tail.persistent)


def test_link_is_deterministic_and_unlink_is_its_inverse():
    for name, kind in (("resnet_exit", "margin"), ("ds_cnn_two_exits", "class gate")):
        segments = chain(name)
        policies = [p.to_manifest() for p in spread_policies(segments, kind)]
        cascade = link(segments, policies)
        assert link(segments, policies) == cascade
        parts, found = unlink(cascade)
        assert found == policies
        assert link(parts, found) == cascade
        tensors = [samples_of(segments, 10)]
        for part, segment in zip(parts, segments, strict=True):
            found = run_graph(read_graph(part), tensors)
            expected = run_graph(read_graph(segment), tensors)
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
            tensors = found[1:]


def test_only_our_own_cascades_are_unlinked():
    segments = chain("resnet_exit")
    assert not is_cascade(read_model(segments[0]))
    with pytest.raises(UnsupportedModelError, match="no cascade"):
        unlink(segments[0])
    model = read_model(linked(segments, spread_policies(segments, "one threshold")))
    assert is_cascade(model)
    threshold = next(t for t in model.subgraphs[0].tensors if "threshold" in t.name)
    model.buffers[threshold.buffer].data = np.array([99], np.uint8)
    with pytest.raises(UnsupportedModelError, match="changed"):
        unlink(write_model(model))


# --- Refusals ---


def refusal(segments, policies) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        link(segments, policies)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_policy_that_tflm_has_no_operators_for():
    entropy = TableSum((1,) * 256, 5).to_manifest()
    message = refusal(chain("resnet_exit"), [entropy])
    assert "'table_sum'" in message
    assert "confidence, margin, top_class_thresholds" in message


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"kind": "top_class_thresholds"},
        {"kind": "top_class_thresholds", "thresholds": [1, 2]},
        {"kind": "top_class_thresholds", "thresholds": [500] * 10},
        {"kind": "top_class_thresholds", "thresholds": ["1"] * 10},
        {"kind": "margin", "limit": 1.5},
        {"kind": "margin", "limit": [1, 2]},
        {"kind": "margin", "limit": 257},
        {"kind": "confidence", "unit": 3, "limit": 0},
    ],
)
def test_malformed_policy(entry):
    assert refusal(chain("resnet_exit"), [entry])


def test_number_of_policies():
    segments = chain("resnet_exit")
    with pytest.raises(InputError, match="2 segments and 0 policies"):
        link(segments, [])
    with pytest.raises(InputError, match="1 segments and 0 policies"):
        link(segments[:1], [])


def test_exit_and_final_output_of_different_scales():
    """Without `exact_concatenations` the exit's scores have another scale than the final ones."""
    data = (DATA / "learned_confidence.tflite").read_bytes()
    message = refusal(cut(data, ["output_0"]), [Confidence(4, 10).to_manifest()])
    assert "cannot be both" in message


def test_always_and_never_together_need_a_softmax():
    policy = TopClassThresholds((ALWAYS, NEVER, 3))
    message = refusal(exhaustive_exit(0.1, 0), [policy.to_manifest()])
    assert "always and never" in message


@pytest.mark.parametrize("name", ["ic-tower", "kws-tower"])
def test_dense_outputs_are_flat_where_only_reshaped(name):
    """The zoo's towers hand pooled features to a dense layer of the final classifier."""
    flat = (MODELS / name / "bundle" / "full.tflite").read_bytes()
    assert flat_dense_outputs(flat) == flat
    tree = read_model(flat)
    operators = tree.subgraphs[0].operators
    dense = [op for op in operators if operator_kind(tree, op) == "FULLY_CONNECTED"]
    tensors = tree.subgraphs[0].tensors
    assert len(dense) == 3 and all(tensors[op.outputs[0]].shape.size == 2 for op in dense)
    before_reshape = {op.inputs[0] for op in operators if operator_kind(tree, op) == "RESHAPE"}
    (view,) = [op for op in dense if op.outputs[0] in before_reshape]
    units = tensors[view.outputs[0]].shape[-1]
    tensors[view.outputs[0]].shape = np.array([1, 1, 1, units], np.int32)
    view.builtin_options.keep_num_dims = True
    deep = write_model(tree)
    assert flat_dense_outputs(deep) == flat
    x = np.random.default_rng(5).integers(-128, 128, (4, *read_graph(flat).inputs[0].shape[1:]))
    results = [run_graph(read_graph(m), [x.astype(np.int8)]) for m in (flat, deep)]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_exact_concatenations():
    """The learned confidence and the scores leave the model as softmax and sigmoid made them."""
    original = (DATA / "learned_confidence.tflite").read_bytes()
    data = exact_concatenations(original)
    graph = read_graph(data)
    assert "QUANTIZE" not in {op.kind for op in graph.operators}
    exit_output = next(t for t in graph.outputs if t.size == 5)
    assert (exit_output.scale, exit_output.zero_point) == (1 / 256, -128)
    x = samples_of([original], 50)
    record: dict = {}
    run_graph(graph, [x], record=record)
    by_kind = {op.kind: op.output for op in graph.operators if op.output not in graph.outputs}
    scores = next(
        t
        for t in record
        if t is not by_kind["LOGISTIC"]
        and t.size == 4
        and t.scale == 1 / 256
        and t not in graph.outputs
    )
    expected = np.concatenate([record[scores], record[by_kind["LOGISTIC"]]], axis=-1)
    assert np.array_equal(record[exit_output].reshape(50, -1), expected.reshape(50, -1))
    assert exact_concatenations(data) == data
    unchanged = (DATA / "resnet_exit.tflite").read_bytes()
    assert exact_concatenations(unchanged) is unchanged
