"""The memory plan inside a cascade: what TFLM makes of it, and a replay that shares no code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import tflm
from tests.support.graph_builder import GraphBuilder
from trecx.errors import InputError, UnsupportedModelError
from trecx.policies import Confidence, Margin, TopClassThresholds
from trecx.tflite import arena, schema
from trecx.tflite.cut import cut
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import read_graph
from trecx.tflite.link import link, unlink
from trecx.tflite.model import (
    indices,
    is_given,
    operator_kind,
    read_model,
    tensor_bytes,
    write_model,
)
from trecx.tflite.tflm import measure_arena
from trecx.tflite.tidy import exact_concatenations

DATA = Path(__file__).parent / "data"
OUTPUTS = json.loads((DATA / "models.json").read_text())


def chain(name: str) -> list[bytes]:
    data = exact_concatenations((DATA / f"{name}.tflite").read_bytes())
    return cut(data, OUTPUTS[name]["outputs"][:-1])


def policies_of(segments: list[bytes], kind: str) -> list[dict]:
    found = []
    for segment in segments[:-1]:
        units = read_graph(segment).outputs[0].size
        if kind == "confidence":
            found.append(Confidence(units - 1, 10))
        elif kind == "margin":
            found.append(Margin(40))
        else:
            found.append(TopClassThresholds(tuple(range(3, 3 + units))))
    return [policy.to_manifest() for policy in found]


CASES = [
    ("resnet_exit", "class gate"),
    ("resnet_exit", "margin"),
    ("ds_cnn_two_exits", "class gate"),
    ("ds_cnn_two_exits", "margin"),
    ("learned_confidence", "confidence"),
]


def cascade_of(name: str, kind: str, **options) -> bytes:
    segments = chain(name)
    return link(segments, policies_of(segments, kind), **options)


def plan_of(model) -> np.ndarray:
    (entry,) = [e for e in model.metadata if e.name == "OfflineMemoryAllocation"]
    return model.buffers[entry.buffer].data.tobytes()


def offsets_of(model) -> list[list[int]]:
    """For each subgraph, the entries of its tensors, as the metadata's description has them."""
    table = np.frombuffer(plan_of(model), "<i4").tolist()
    assert table[:2] == [0, 0]
    assert table[2] == len(table) - 3 == sum(len(s.tensors) for s in model.subgraphs)
    rest = iter(table[3:])
    return [[next(rest) for _ in subgraph.tensors] for subgraph in model.subgraphs]


class Replay:
    """Runs a cascade over a map of which tensor last wrote each byte of the arena."""

    def __init__(self, model, offsets: list[list[int]], size: int):
        self.model, self.offsets = model, offsets
        self.owner = np.full(size, -1)
        self.values: dict[tuple[int, int], int] = {}
        self.made = 0

    def span(self, number: int, tensor: int) -> slice | None:
        record = self.model.subgraphs[number].tensors[tensor]
        if is_given(self.model, record):
            return None
        offset = self.offsets[number][tensor]
        assert offset >= 0
        assert offset % 16 == 0
        return slice(offset, offset + tensor_bytes(record))

    def write(self, number: int, tensor: int, value: int | None = None) -> None:
        """value: of a copy; otherwise a new one."""
        self.made += 1
        span = self.span(number, tensor)
        self.values[number, tensor] = self.made if value is None else value
        if span is not None:
            self.owner[span] = self.values[number, tensor]

    def read(self, number: int, tensor: int) -> int | None:
        span = self.span(number, tensor)
        if span is None:
            return None
        value = self.values[number, tensor]
        assert (self.owner[span] == value).all(), (number, tensor)
        return value

    def copy(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        value = self.read(*source)
        self.write(*target, value)

    def run(self, number: int, stop_at: int) -> None:
        """Run a subgraph; exit `stop_at` is the first that is taken."""
        subgraph = self.model.subgraphs[number]
        for operator in subgraph.operators:
            inputs, outputs = indices(operator.inputs), indices(operator.outputs)
            for tensor in inputs:
                if tensor != -1:
                    self.read(number, tensor)
            if operator_kind(self.model, operator) != "IF":
                spans = [self.span(number, t) for t in inputs if t != -1]
                for output in outputs:
                    mine = self.span(number, output)
                    assert not any(s and s.start < mine.stop and mine.start < s.stop for s in spans)
                    self.write(number, output)
                continue
            options = operator.builtin_options
            early = stop_at == 0
            branch = options.then_subgraph_index if early else options.else_subgraph_index
            target = self.model.subgraphs[branch]
            for a, b in zip(inputs[1:], indices(target.inputs), strict=True):
                self.copy((number, a), (branch, b))
            self.run(branch, stop_at - 1)
            for a, b in zip(indices(target.outputs), outputs, strict=True):
                self.copy((branch, a), (number, b))
        for tensor in indices(subgraph.outputs):
            self.read(number, tensor)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_replay(name, kind):
    """On every path each tensor is read as it was written, and no operator writes its input."""
    model = read_model(cascade_of(name, kind))
    offsets = offsets_of(model)
    size = max(
        offset + tensor_bytes(tensor)
        for subgraph, places in zip(model.subgraphs, offsets, strict=True)
        for tensor, offset in zip(subgraph.tensors, places, strict=True)
    )
    exits = len(model.subgraphs) // 2
    for stop_at in range(exits + 1):
        replay = Replay(model, offsets, size)
        for tensor in indices(model.subgraphs[0].inputs):
            replay.write(0, tensor)
        replay.run(0, stop_at)
        assert replay.made > 5


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_both_ways_of_reading_the_table_agree(name, kind):
    """By the tensor's place among all, and by its number within whichever subgraph it is in."""
    model = read_model(cascade_of(name, kind))
    offsets = offsets_of(model)
    compared = 0
    for subgraph, places in zip(model.subgraphs, offsets, strict=True):
        for number, tensor in enumerate(subgraph.tensors):
            if not is_given(model, tensor):
                assert places[number] == offsets[0][number] >= 0
                compared += 1
    assert compared > 20


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_activations_on_tflm(name, kind):
    """As many as the largest segment has, and a few bytes of the decision and the results."""
    segments = chain(name)
    policies = policies_of(segments, kind)
    largest = max(measure_arena(s).activations for s in segments)
    planned = measure_arena(link(segments, policies))
    unplanned = measure_arena(link(segments, policies, memory_plan=False))
    exits = len(segments) - 1
    assert planned.activations <= min(unplanned.activations, largest + 128 * exits)
    assert abs(planned.persistent - unplanned.persistent) <= 16


def large_hand_off() -> list[bytes]:
    """Segments of four convolutions with activations of one size."""
    b = GraphBuilder(2)
    x = b.conv(b.input((1, 24, 24, 4)), 8)
    x = b.conv(x, 8)
    early = b.softmax(b.dense(b.reduce(x, "MEAN", (1, 2)), 4))
    x = b.conv(b.conv(x, 8), 8)
    late = b.softmax(b.dense(b.reduce(x, "MEAN", (1, 2)), 4))
    return cut(write_graph(b.graph(early, late)), [early.name])


def test_whole_arena_on_tflm():
    """Within 5 % of the larger of stem and tail plus the hand-off; without a plan it is not."""
    segments = large_hand_off()
    policies = policies_of(segments, "class gate")
    handoff = sum(t.nbytes for t in read_graph(segments[1]).inputs)
    allowed = 1.05 * (max(measure_arena(s).total for s in segments) + handoff)
    assert measure_arena(link(segments, policies)).total <= allowed
    assert measure_arena(link(segments, policies, memory_plan=False)).total > allowed


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_placement_is_near_its_lower_bound(name, kind):
    buffers = arena.find_buffers(read_model(cascade_of(name, kind)))
    needed = max(sum(b.size for b in buffers if b.first <= a.first <= b.last) for a in buffers)
    assert needed <= arena.place_buffers(buffers) <= 1.1 * needed


def test_the_handoff_is_there_once():
    segments = chain("resnet_exit")
    model = read_model(link(segments, policies_of(segments, "margin")))
    offsets = offsets_of(model)
    branch = model.subgraphs[0].operators[-1]
    given = indices(branch.inputs)[1:]
    for number in (1, 2):
        taken = indices(model.subgraphs[number].inputs)
        assert [offsets[0][t] for t in given] == [offsets[number][t] for t in taken]


def test_kernels_scratch_is_planned_around():
    """A planned cascade needs no more than its tensors' plan where kernels need no scratch."""
    cascade = cascade_of("resnet_exit", "class gate")
    buffers = arena.find_buffers(read_model(cascade))
    assert measure_arena(cascade).activations == arena.place_buffers(buffers)


def test_same_answers_with_and_without_a_plan():
    segments = chain("ds_cnn_two_exits")
    policies = policies_of(segments, "margin")
    runs = [tflm.load(link(segments, policies, memory_plan=plan)) for plan in (True, False)]
    shape = read_graph(segments[0]).inputs[0].shape
    random = np.random.default_rng(3)
    for _ in range(20):
        x = random.integers(-128, 128, shape).astype(np.int8)
        first, second = (run([x]) for run in runs)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_unlink_takes_both():
    segments = chain("resnet_exit")
    policies = policies_of(segments, "class gate")
    with_plan, without = (link(segments, policies, memory_plan=p) for p in (True, False))
    assert with_plan != without
    assert unlink(with_plan)[0] == unlink(without)[0]


def test_a_plan_that_was_changed_is_refused():
    model = read_model(cascade_of("resnet_exit", "class gate"))
    (entry,) = [e for e in model.metadata if e.name == arena.METADATA]
    data = model.buffers[entry.buffer].data.copy()
    data[12:16] = 64
    model.buffers[entry.buffer].data = data
    with pytest.raises(UnsupportedModelError, match="changed"):
        unlink(write_model(model))


def wide_exit(branches: int) -> list[bytes]:
    """Segments with so many tensors alive that numbering or placement gives up."""
    b = GraphBuilder(0)
    x = b.input((1, 4))
    kept = [b.dense(x, 4) for _ in range(branches)]
    early = b.softmax(kept[0])
    total = kept[0]
    for other in kept[1:]:
        total = b.add(total, other)
    return cut(write_graph(b.graph(early, b.softmax(total))), [early.name])


def test_too_many_tensors_are_left_to_tflm(monkeypatch):
    monkeypatch.setattr(arena, "_MAX_BUFFERS", 10)
    segments = wide_exit(6)
    cascade = link(segments, policies_of(segments, "margin"))
    assert not any(e.name == arena.METADATA for e in read_model(cascade).metadata)
    assert unlink(cascade)[1] == policies_of(segments, "margin")


def test_orders_that_do_not_exist():
    """Subgraph 1 has two tensors with places of their own, the main subgraph only one number."""
    table = [-1]
    assert arena._orders([1, 3], {(1, 0): 0, (1, 1): 16}, table) is None
    table = [-1, -1]
    assert arena._orders([2, 3], {(1, 0): 0, (1, 2): 16}, table) == [[0, 1], [0, 2, 1]]
    assert table == [0, 16]


def test_segments_that_do_not_fit():
    segments = chain("ds_cnn_two_exits")
    policies = policies_of(segments, "margin")
    with pytest.raises(UnsupportedModelError, match=r"segment 1 takes .* hands over"):
        link([segments[0], segments[0]], policies[:1])
    with pytest.raises(UnsupportedModelError, match=r"segment 1 takes .* hands over nothing"):
        link([segments[2], segments[2]], policies[:1])


def test_number_of_segments_is_bounded():
    segments = chain("resnet_exit")
    policies = policies_of(segments, "margin")
    with pytest.raises(InputError, match="2 to 64 segments"):
        link([segments[0]] * 100 + segments[1:], policies * 100)
    cascade = read_model(link(segments, policies))
    entry = next(e for e in cascade.metadata if e.name == "trecx_cascade")
    many = json.dumps({"policies": policies * 400}).encode()
    cascade.buffers[entry.buffer].data = np.frombuffer(many, np.uint8)
    cascade.subgraphs += [schema.new("SubGraph", tensors=[], operators=[])] * 798
    with pytest.raises(UnsupportedModelError, match="400 policies"):
        unlink(write_model(cascade))
