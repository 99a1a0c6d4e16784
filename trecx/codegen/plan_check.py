"""An independent check of a memory plan: replay the steps over a map of who owns each byte.

Shares no code with the planner: it looks at addresses and at what each step reads and writes.
"""

from __future__ import annotations

import numpy as np

from trecx.codegen.planner import MemoryPlan
from trecx.codegen.program import Program
from trecx.codegen.views import VIEW_ALIGNMENT
from trecx.errors import VerificationError

_NOBODY = -1


def check_plan(program: Program, plan: MemoryPlan) -> None:
    """Raise VerificationError if any step would read bytes that another one has overwritten."""
    owner = np.full(plan.arena_bytes, _NOBODY, np.int64)

    def span(tensor):
        start = plan.offset_of(program, tensor)
        stop = start + tensor.nbytes
        if start < 0 or stop > plan.arena_bytes or start % VIEW_ALIGNMENT:
            raise VerificationError(f"{tensor.name!r} at {start}..{stop} is outside the arena")
        return start, stop

    def write(tensor):
        start, stop = span(tensor)
        owner[start:stop] = id(program.representative(tensor))

    def expect(tensor, when):
        start, stop = span(tensor)
        if (owner[start:stop] != id(program.representative(tensor))).any():
            raise VerificationError(f"{tensor.name!r} is damaged before {when}")

    for tensor in program.graphs[0].inputs:
        write(tensor)
    ends = {program.segment_end(k): k for k in reversed(range(len(program.graphs)))}
    for timed in program.steps:
        step = timed.step
        for tensor in step.inputs:
            expect(tensor, f"step {timed.time} ({step.kernel}) reads it")
        _check_step_overlap(program, step, span)
        if step.scratch_bytes:
            start = plan.scratch_buffer[timed.time].offset
            stop = start + step.scratch_bytes
            for tensor in (*step.inputs, *step.outputs):
                a, b = span(tensor)
                if a < stop and start < b:
                    raise VerificationError(f"scratch of {step.kernel} overlaps {tensor.name!r}")
            owner[start:stop] = _NOBODY
        for tensor in step.outputs:
            write(tensor)
        if timed.time in ends:
            graph = program.graphs[ends[timed.time]]
            for tensor in graph.outputs:
                expect(tensor, f"the end of segment {graph.name!r}")


def _check_step_overlap(program: Program, step, span) -> None:
    """Inputs and outputs of one step are apart, or overlap as the kernel allows."""
    for out_position, out in enumerate(step.outputs):
        a, b = span(out)
        for position, tensor in enumerate(step.inputs):
            c, d = span(tensor)
            if b <= c or d <= a:
                continue
            gap = step.overlap.get(position) if out_position == 0 else None
            if gap is None or a > c - gap:
                raise VerificationError(
                    f"{step.kernel}: output {out.name!r} at {a}..{b} overlaps input "
                    f"{tensor.name!r} at {c}..{d}, which the kernel does not allow"
                )
