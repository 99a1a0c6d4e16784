"""Cuts an int8 model into a chain of segments, without touching a number in it.

The model is quantised once, as a whole, and cut afterwards: both sides of a cut share one scale and
zero point, so running the segments one after the other gives the model's own bytes.

Segment k has the outputs [exit, hand-off...], the last segment [final output]. The hand-off tensors
are the inputs of segment k+1, in the same order. A segment holds the operators that its exit
depends on and no earlier segment has; nothing is computed twice, and only tensors that a
later segment reads are handed on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from trecx.errors import CutError
from trecx.ir import ops
from trecx.ir.graph import Graph
from trecx.tflite.assemble import Assembler
from trecx.tflite.dataflow import Dataflow
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import SUBGRAPH_FIELDS, operator_kind, read_model

# The sets of operators kept while looking for cut points grow with the square of their number.
_MAX_OPERATORS = 2_000
_COMPARED_NAMES = 500
_COMPARED_CHARACTERS = 120


@dataclass(frozen=True)
class CutPoint:
    """A tensor behind which a network might be cut.

    operator: index of its producer. handoff_bytes: its size. also_crossing: names of the other
    tensors that a cut here would have to hand on; empty when the network can be cut here.
    macs_before, macs_after: multiply-accumulates of the two sides.
    """

    tensor: str
    operator: int
    handoff_bytes: int
    also_crossing: tuple[str, ...]
    macs_before: int
    macs_after: int

    @property
    def possible(self) -> bool:
        return not self.also_crossing


def cut(model: bytes, exit_outputs: Sequence[str | int]) -> list[bytes]:
    """Cut a multi-output model at its exits into segments, first to last, as .tflite files.

    Args:
        model: bytes of a .tflite file with one subgraph.
        exit_outputs: the early outputs, each by its name in the signature, its tensor's name,
            or its tensor number; in any order, they are sorted by depth. The one output left
            is the final one.

    Raises:
        CutError: an exit is no output of the model, or the outputs cannot form a chain.
        ModelFormatError: `model` is damaged.
    """
    tree = read_model(model)
    flow = _dataflow(tree)
    exits = [_find_output(tree, flow, name) for name in exit_outputs]
    final = _final_output(flow, exits)
    trunk = flow.needed_by([final])
    needs = {e: flow.needed_by([e]) for e in exits}
    ordered = sorted(exits, key=lambda e: (len(needs[e] & trunk), len(needs[e])))
    targets = [*ordered, final]
    parts = _parts([*(needs[e] for e in ordered), trunk], [flow.names[t] for t in targets])
    return _write_segments(tree, flow, parts, [[t] for t in targets])


def cut_at_tensor(model: bytes, tensor_name: str) -> list[bytes]:
    """Cut a model in two behind a tensor; the first segment's only output is that tensor.

    tensor_name: the whole name, or the part of it that a layer gave. The converter joins the names
    of all operations that it fused, and numbers layers that a model calls: "relu" finds
    "net/relu_1/Relu;net/conv_1/BiasAdd".

    Raises CutError when there is no such tensor or others would have to cross the cut; the
    message names the nearest tensors where it can be cut.
    """
    tree = read_model(model)
    flow = _dataflow(tree)
    tensor = _find_tensor(flow, tensor_name)
    before = flow.needed_by([tensor])
    after = flow.needed_by(flow.outputs) - before
    others = _also_crossing(flow, tensor, before, after)
    if others:
        raise CutError(
            f"cannot cut at {tensor_name!r}: {', '.join(map(repr, others))} would have to cross "
            f"as well; {_alternatives(flow, flow.producer[tensor])}"
        )
    if not after:
        raise CutError(f"cannot cut at {tensor_name!r}: nothing follows it")
    return _write_segments(tree, flow, [before, after], [[], flow.outputs])


def cut_points(graph: Graph) -> list[CutPoint]:
    """Every tensor of `graph` that an operator produces and another reads, in execution order."""
    macs = [ops.macs(op) for op in graph.operators]
    return _cut_points(Dataflow.of_graph(graph), macs)


# --- Finding the parts ---


def _dataflow(tree: Record) -> Dataflow:
    subgraph = tree.subgraphs[0]
    for number, op in enumerate(subgraph.operators):
        if getattr(op.builtin_options, "table", "") in SUBGRAPH_FIELDS:
            raise CutError(
                f"operator {operator_kind(tree, op)} (index {number}) runs another subgraph: "
                "only models of one subgraph can be cut"
            )
    for tensor in subgraph.tensors:
        if tensor.is_variable:
            raise CutError(
                f"tensor {tensor.name!r} is a variable: a model with state cannot be cut"
            )
    return Dataflow.of_subgraph(tree, subgraph)


def _signature_names(tree: Record) -> dict[str, int]:
    """Names of the outputs in the signatures of subgraph 0."""
    return {
        entry.name: entry.tensor_index
        for signature in tree.signature_defs
        if signature.subgraph_index == 0
        for entry in signature.outputs or []
    }


def _find_output(tree: Record, flow: Dataflow, name: str | int) -> int:
    names = {flow.names[t]: t for t in flow.outputs} | _signature_names(tree)
    tensor = names.get(name) if isinstance(name, str) else name
    if tensor not in flow.outputs:
        known = ", ".join(f"{flow.names[t]!r} (tensor {t})" for t in flow.outputs)
        raise CutError(f"exit {name!r} is no output of the model; its outputs are {known}")
    return tensor


def _final_output(flow: Dataflow, exits: list[int]) -> int:
    if len(set(exits)) != len(exits) or not exits:
        raise CutError(f"at least one exit is needed and each only once, {len(exits)} given")
    rest = [t for t in flow.outputs if t not in exits]
    if len(rest) != 1:
        raise CutError(
            f"the model has {len(flow.outputs)} outputs and {len(exits)} of them are exits: "
            "exactly one must be left as the final output"
        )
    return rest[0]


def _parts(needs: list[set[int]], names: list[str]) -> list[set[int]]:
    """The operators that each target needs beyond those before it."""
    done: set[int] = set()
    parts = []
    for need, name in zip(needs, names, strict=True):
        parts.append(need - done)
        if not parts[-1]:
            raise CutError(f"output {name!r} needs no operator that an earlier exit does not need")
        done |= need
    return parts


def _find_tensor(flow: Dataflow, name: str) -> int:
    found = [t for t in flow.producer if flow.names[t] == name]
    found = found or [t for t in flow.producer if _has_part(flow.names[t], name)]
    if not found:
        near = _similar(name, [flow.names[t] for t in flow.producer])
        raise CutError(
            f"the model computes no tensor {name!r}; similar: {', '.join(map(repr, near))}"
        )
    if len(found) > 1:
        near = ", ".join(repr(flow.names[t][:_COMPARED_CHARACTERS]) for t in found[:3])
        raise CutError(f"{len(found)} tensors are named {name!r}, the place is ambiguous: {near}")
    return found[0]


def _has_part(name: str, part: str) -> bool:
    """True when `part` is one of the names that the converter joined, or a layer's in one."""
    joined = name.split(";")
    layers = {re.sub(r"_\d+$", "", layer) for path in joined for layer in path.split("/")[:-1]}
    return part in joined or part in layers


def _similar(name: str, names: list[str]) -> list[str]:
    """The three nearest names; comparing is slow, so of large or odd files only the first ones."""
    short = [n[:_COMPARED_CHARACTERS] for n in names[:_COMPARED_NAMES]]
    return difflib.get_close_matches(name[:_COMPARED_CHARACTERS], short, 3, 0)


def _also_crossing(flow: Dataflow, tensor: int, before: set[int], after: set[int]) -> list[str]:
    crossing = flow.crossing(before, after)
    outputs = [t for t in flow.outputs if flow.producer.get(t, -1) in before or t in flow.inputs]
    return [flow.names[t] for t in dict.fromkeys([*crossing, *outputs]) if t != tensor]


def _cut_points(flow: Dataflow, macs: list[int]) -> list[CutPoint]:
    if len(flow.reads) > _MAX_OPERATORS:
        raise CutError(f"{len(flow.reads)} operators, at most {_MAX_OPERATORS} are searched")
    live = flow.needed_by(flow.outputs)
    read = {t for op in live for t in flow.reads[op]}
    points = []
    for op in sorted(live):
        for tensor in flow.writes[op]:
            if tensor not in read:
                continue
            before = flow.needed_by([tensor])
            others = _also_crossing(flow, tensor, before, live - before)
            spent = sum(macs[i] for i in before)
            rest = sum(macs[i] for i in live) - spent
            points.append(
                CutPoint(flow.names[tensor], op, flow.nbytes[tensor], tuple(others), spent, rest)
            )
    return points


def _alternatives(flow: Dataflow, operator: int) -> str:
    points = [p for p in _cut_points(flow, [0] * len(flow.reads)) if p.possible]
    earlier = [p.tensor for p in points if p.operator < operator][-1:]
    later = [p.tensor for p in points if p.operator > operator][:1]
    if not earlier + later:
        return "there is no tensor where it can be cut"
    return "it can be cut at " + " or ".join(repr(name) for name in earlier + later)


# --- Writing the segments ---


def segment_names(count: int) -> list[str]:
    """File names (without suffix) of a chain's segments: stem, mid1, mid2, ..., tail."""
    if count == 1:
        return ["full"]
    return ["stem", *(f"mid{k}" for k in range(1, count - 1)), "tail"]


def _write_segments(
    tree: Record, flow: Dataflow, parts: list[set[int]], targets: list[list[int]]
) -> list[bytes]:
    """targets: for each segment the outputs in front of its hand-off."""
    names = segment_names(len(parts))
    inputs = flow.inputs
    files = []
    done: set[int] = set()
    for k, part in enumerate(parts):
        done |= part
        later = set().union(*parts[k + 1 :])
        passed = {t for outputs in targets[k + 1 :] for t in outputs}
        handoff = flow.crossing(done, later)
        made = [t for op in sorted(done) for t in flow.writes[op]]
        handoff += [t for t in made if t in passed and t not in handoff]
        files.append(_segment(tree, sorted(part), inputs, targets[k], handoff, names[k], k == 0))
        inputs = handoff
    return files


def _segment(
    tree: Record,
    operators: list[int],
    inputs: list[int],
    targets: list[int],
    handoff: list[int],
    name: str,
    first: bool,
) -> bytes:
    assembler = Assembler(f"{tree.description or 'model'}, {name} cut by trecx")
    assembler.keep_metadata(tree)
    source = tree.subgraphs[0]
    part = assembler.subgraph(name)
    places = {t: part.copy_tensor(tree, source.tensors[t]) for t in inputs}
    part.copy_operators(tree, source, operators, places)
    part.inputs = [places[t] for t in inputs]
    part.outputs = [places[t] for t in [*targets, *handoff]]
    prefix = "input" if first else "handoff"
    in_names = _numbered(prefix, len(inputs))
    out_names = [
        *_numbered("exit" if handoff else "output", len(targets)),
        *_numbered("handoff", len(handoff)),
    ]
    assembler.signature(
        0,
        dict(zip(in_names, part.inputs, strict=True)),
        dict(zip(out_names, part.outputs, strict=True)),
    )
    return assembler.model()


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
