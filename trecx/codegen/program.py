"""The whole network as one straight line of steps: what the planner and the emitter work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from trecx.codegen.lowering import Lowered, Step
from trecx.codegen.views import Views
from trecx.errors import InputError, VerificationError
from trecx.ir.graph import Graph, Tensor


@dataclass(frozen=True, eq=False)
class TimedStep:
    """A step with its place in the line: `time` counts over all segments."""

    time: int
    segment: int
    operator_index: int
    step: Step


@dataclass(eq=False)
class Program:
    """Segments lowered to steps, and which tensors share a buffer.

    lowered[k] holds one Lowered per operator of graphs[k]. views: of all segments; the input of a
    segment is a view of what the one before hands over.
    """

    graphs: list[Graph]
    lowered: list[list[Lowered]]
    steps: list[TimedStep] = field(default_factory=list)
    views: Views = field(default_factory=Views)

    def representative(self, tensor: Tensor) -> Tensor:
        """The tensor whose buffer holds `tensor`."""
        return self.views.locate(tensor)[0]

    def segment_end(self, segment: int) -> int:
        """Time of the last step of a segment (of an earlier one, when the segment has none)."""
        return max((s.time for s in self.steps if s.segment <= segment), default=0)


def build_program(graphs: list[Graph], lowered: list[list[Lowered]], views: list[Views]) -> Program:
    """Join lowered segments. Raises InputError when a hand-off does not fit its receiver."""
    program = Program(graphs, lowered)
    for found in views:
        program.views.base |= found.base
        program.views.elided |= found.elided
    for before, after in pairwise(graphs):
        _join_handoff(program, before, after)
    time = 0
    for segment, operators in enumerate(lowered):
        for op_index, low in enumerate(operators):
            for step in low.steps:
                program.steps.append(TimedStep(time, segment, op_index, step))
                time += 1
    return program


def _join_handoff(program: Program, before: Graph, after: Graph) -> None:
    sent = before.outputs[1:] or before.outputs
    if len(sent) != len(after.inputs):
        raise InputError(
            f"segment {after.name!r} takes {len(after.inputs)} tensors, but {before.name!r} hands "
            f"over {len(sent)}"
        )
    for source, target in zip(sent, after.inputs, strict=True):
        if source.shape != target.shape or not source.quant.same_as(target.quant):
            raise InputError(
                f"hand-off {source.name!r} {source.shape} does not match input {target.name!r} "
                f"{target.shape} in shape or quantisation: cut both segments from one model"
            )
        if program.representative(source) is target:
            raise VerificationError(f"hand-off {source.name!r} is its own source")
        program.views.base[id(target)] = (source, 0)
