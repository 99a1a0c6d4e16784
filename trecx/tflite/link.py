"""One file for the whole cascade: segments, exit decisions, and IF operators between them.

    main      segment 0, the decision, IF -> probabilities, exit_index
    exit_0    then-branch: the early answer passed through
    segment_1 else-branch: the next segment; with more exits, again a decision and an IF

Everything stays int8 and as it was quantised; constants are shared between the subgraphs. Both
branches take the same inputs: the exit output and the hand-off; each leaves unused what it does not
need. `unlink` takes a cascade apart again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from trecx.errors import InputError, UnsupportedModelError
from trecx.ir.graph import Graph, Tensor
from trecx.tflite import arena, schema
from trecx.tflite.assemble import Assembler, SubgraphAssembler
from trecx.tflite.cut import segment_names
from trecx.tflite.dataflow import Dataflow
from trecx.tflite.decision import Exit, add_decision, class_units
from trecx.tflite.flatbuffer import Record
from trecx.tflite.importer import graph_from_model
from trecx.tflite.model import indices, operator_kind, read_model, write_model

_IF_VERSION = 1
_SLICE_VERSION = 2
_METADATA = "trecx_cascade"

# The branches are nested as deep as there are exits.
_MAX_SEGMENTS = 64


def link(segments: Sequence[bytes], policies: Sequence[dict], *, memory_plan: bool = True) -> bytes:
    """Link a chain of segments into one .tflite file with the exit decisions inside.

    Args:
        segments: .tflite files as `trecx.tflite.cut.cut` makes them, first to last.
        policies: manifest entries of the device policies, one for each segment but the last.
        memory_plan: put a plan of the arena into the file, with which TFLM needs a smaller one
            (`trecx.tflite.arena`).

    The file's outputs are the probabilities (int8, of the exit taken) and the index of the segment
    that gave them (int32, one element). Raises UnsupportedModelError when a policy cannot be
    expressed with operators of TFLM, a segment's hand-off is not what the next one takes, or an
    exit's scores and the final output are not of one shape and quantisation.
    """
    if len(policies) != len(segments) - 1 or not 2 <= len(segments) <= _MAX_SEGMENTS:
        raise InputError(
            f"a cascade needs 2 to {_MAX_SEGMENTS} segments and a policy for each but the last, "
            f"{len(segments)} segments and {len(policies)} policies given"
        )
    models = [read_model(s) for s in segments]
    graphs = [graph_from_model(m) for m in models]
    for k in range(1, len(graphs)):
        _require_fit(k, graphs[k - 1].outputs[1:], graphs[k].inputs)
    model = _Linker(models, graphs, list(policies)).model()
    if memory_plan:
        arena.plan_arena(model)
    return write_model(model)


def _require_fit(k: int, given: Sequence[Tensor], taken: Sequence[Tensor]) -> None:
    """Segment k takes the tensors that the one before hands over."""
    if len(given) == len(taken) and all(
        a.shape == b.shape and a.quant.same_as(b.quant) for a, b in zip(given, taken, strict=True)
    ):
        return
    described = [
        ", ".join(f"{list(t.shape)} of scale {t.scale:g}" for t in tensors) or "nothing"
        for tensors in (given, taken)
    ]
    raise UnsupportedModelError(
        f"segment {k} takes {described[1]}, the segment before it hands over {described[0]}: "
        "link segments of one network, as `trecx cut` makes them"
    )


class _Linker:
    def __init__(self, models: list[Record], graphs: list[Graph], policies: list[dict]):
        self.models = models
        self.graphs = graphs
        self.policies = policies
        self.final = graphs[-1].outputs[0]
        self.assembler = Assembler("early-exit cascade linked by trecx")

    def model(self) -> Record:
        self.assembler.keep_metadata(self.models[0])
        text = json.dumps({"policies": self.policies}, separators=(",", ":"))
        self.assembler.metadata[_METADATA] = self.assembler.buffer(text.encode())
        main = self.assembler.subgraph("main")
        self.add_segment(main, 0, [])
        names = ["input"] if len(main.inputs) == 1 else None
        names = names or [f"input_{i}" for i in range(len(main.inputs))]
        self.assembler.signature(
            0,
            dict(zip(names, main.inputs, strict=True)),
            dict(zip(("probabilities", "exit_index"), main.outputs, strict=True)),
        )
        return self.assembler.record()

    def add_segment(self, part: SubgraphAssembler, k: int, unused: list[Tensor]) -> None:
        """Fill `part` with segment k and all that follows it.

        unused: inputs that the branch gets in front of the segment's own and does not read.
        """
        model, graph = self.models[k], self.graphs[k]
        source = model.subgraphs[0]
        places: dict[int, int] = {}
        ignored = [self.copy(part, t, f"unused_{i}") for i, t in enumerate(unused)]
        for index in indices(source.inputs):
            places[index] = part.copy_tensor(model, source.tensors[index])
        part.inputs = [*ignored, *(places[i] for i in indices(source.inputs))]
        part.copy_operators(model, source, range(len(source.operators)), places)
        outputs = [places[i] for i in indices(source.outputs)]
        if k == len(self.graphs) - 1:
            part.outputs = [outputs[0], self.exit_index(part, k)]
        else:
            part.outputs = self.add_if(part, k, graph, outputs)

    def add_if(
        self, part: SubgraphAssembler, k: int, graph: Graph, outputs: list[int]
    ) -> list[int]:
        tensor = graph.outputs[0]
        producer = graph.producer(tensor)
        is_softmax = producer is not None and producer.kind == "SOFTMAX"
        condition = add_decision(part, Exit(outputs[0], tensor, is_softmax), self.policies[k])
        then = self.assembler.subgraph(f"exit_{k}")
        self.add_early_answer(then, k, graph)
        after = self.assembler.subgraph(f"segment_{k + 1}")
        self.add_segment(after, k + 1, [tensor])
        results = [
            part.tensor("probabilities", "INT8", self.final.shape, self.final.quant),
            part.tensor("exit_index", "INT32", (1,)),
        ]
        options = schema.new(
            "IfOptions", then_subgraph_index=then.index, else_subgraph_index=after.index
        )
        part.operator("IF", _IF_VERSION, [condition, *outputs], results, options)
        return results

    def add_early_answer(self, then: SubgraphAssembler, k: int, graph: Graph) -> None:
        """The branch that keeps the early answer: the class scores of the exit output."""
        tensor = graph.outputs[0]
        names = ["early_answer", *(f"unused_{i}" for i in range(len(graph.outputs) - 1))]
        then.inputs = [
            self.copy(then, t, name) for t, name in zip(graph.outputs, names, strict=True)
        ]
        scores = class_units(self.policies[k], tensor.size)
        self.require_like_final(tensor, scores, k)
        answer = then.inputs[0]
        if scores != tensor.size:
            answer = then.tensor("class_scores", "INT8", (1, scores), tensor.quant)
            operands = [
                then.tensor(name, "INT32", (2,), None, np.array(values, np.int32))
                for name, values in (("begin", [0, 0]), ("size", [1, scores]))
            ]
            options = schema.new("SliceOptions")
            inputs = [then.inputs[0], *operands]
            then.operator("SLICE", _SLICE_VERSION, inputs, [answer], options)
        then.outputs = [answer, self.exit_index(then, k)]

    def require_like_final(self, tensor: Tensor, scores: int, k: int) -> None:
        final = self.final
        if (*tensor.shape[:-1], scores) == final.shape and tensor.quant.same_as(final.quant):
            return
        raise UnsupportedModelError(
            f"exit {k} gives {scores} scores of scale {tensor.scale:g} and zero point "
            f"{tensor.zero_point}, the final output {final.size} of {final.scale:g} and "
            f"{final.zero_point}: one output of a cascade cannot be both"
        )

    def copy(self, part: SubgraphAssembler, tensor: Tensor, name: str) -> int:
        return part.tensor(name, "INT8", tensor.shape, tensor.quant)

    def exit_index(self, part: SubgraphAssembler, k: int) -> int:
        return part.tensor("exit_index", "INT32", (1,), None, np.array([k], np.int32))


# --- Taking a cascade apart ---


def is_cascade(model: Record) -> bool:
    """True for a file that `link` made."""
    return any(entry.name == _METADATA for entry in model.metadata)


def unlink(cascade: bytes) -> tuple[list[bytes], list[dict]]:
    """The segments and policies that `link` made a cascade of; the inverse of `link`.

    Raises UnsupportedModelError when the file is no cascade, or not one that this version of
    `link` would make of what it contains.
    """
    model = read_model(cascade)
    policies = _read_policies(model)
    segments = []
    place = 0
    names = segment_names(len(policies) + 1)
    for k in range(len(policies) + 1):
        subgraph = model.subgraphs[place]
        last = k == len(policies)
        branch = None if last else _last_if(model, subgraph)
        segments.append(_extract(model, subgraph, branch, names[k], skip=int(k > 0)))
        place = _next_place(branch, place)
    has_plan = any(entry.name == arena.METADATA for entry in model.metadata)
    if link(segments, policies, memory_plan=has_plan) != cascade:
        raise UnsupportedModelError(
            "the cascade is not what this version of trecx links from its parts: "
            "it was changed, or made by another version"
        )
    return segments, policies


def _read_policies(model: Record) -> list[dict]:
    entry = next((e for e in model.metadata if e.name == _METADATA), None)
    if entry is None:
        raise UnsupportedModelError("the model is no cascade made by trecx")
    try:
        data = model.buffers[entry.buffer].data
        policies = json.loads(bytes(data).decode("utf-8"))["policies"]
        if not policies or not all(isinstance(p, dict) for p in policies):
            raise ValueError("no policies")
        if len(model.subgraphs) != 2 * len(policies) + 1 or len(policies) >= _MAX_SEGMENTS:
            raise ValueError(f"{len(policies)} policies, {len(model.subgraphs)} subgraphs")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnsupportedModelError(f"the cascade's policies cannot be read: {error}") from None
    return policies


def _last_if(model: Record, subgraph: Record) -> Record:
    operator = subgraph.operators[-1] if subgraph.operators else None
    options = getattr(operator, "builtin_options", None)
    if getattr(options, "table", "") != "IfOptions" or operator_kind(model, operator) != "IF":
        raise UnsupportedModelError("the cascade has fewer exits than policies")
    return operator


def _next_place(branch: Record | None, place: int) -> int:
    """The else-branch; `link` puts every branch behind the subgraph that runs it."""
    if branch is None:
        return place
    after = branch.builtin_options.else_subgraph_index
    if after <= place:
        raise UnsupportedModelError(f"the cascade's subgraph {place} runs subgraph {after}")
    return after


def _extract(model: Record, subgraph: Record, branch: Record | None, name: str, skip: int) -> bytes:
    """The segment inside a subgraph of a cascade.

    branch: the IF at its end, or None. skip: inputs in front that the segment does not read.
    """
    outputs = indices(subgraph.outputs)[:1] if branch is None else indices(branch.inputs)[1:]
    needed = Dataflow.of_subgraph(model, subgraph).needed_by(outputs)
    assembler = Assembler(f"{name} unlinked by trecx")
    assembler.keep_metadata(model)
    part = assembler.subgraph(name)
    inputs = indices(subgraph.inputs)[skip:]
    places = {i: part.copy_tensor(model, subgraph.tensors[i]) for i in inputs}
    part.copy_operators(model, subgraph, sorted(needed), places)
    part.inputs = [places[i] for i in inputs]
    part.outputs = [places[i] for i in outputs if i in places]
    return assembler.model()
