"""Lower the peak of the arena by running parts of the network in bands of rows.

The working set is largest at one step. Every run of a few operators around that step is tried in
several numbers of bands; the one that lowers the arena most for what it costs wins, and the search
goes on at the new peak. What bands cost: rows computed twice, and constants for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trecx.codegen.planner import MemoryPlan
from trecx.codegen.program import Program
from trecx.ir.graph import Graph
from trecx.ir.passes.split_rows import can_split, split_rows

BANDS = (2, 3, 4, 6, 8, 12)
LONGEST_PART = 4
MAX_ROUNDS = 6
# Flash of one more call: its parameters and its function.
CALL_FLASH_BYTES = 96
# One byte of RAM is worth this many bytes of flash: microcontrollers have four to eight times
# more flash than RAM.
FLASH_FOR_RAM = 4


@dataclass(frozen=True, eq=False)
class Plan:
    """A chain of graphs with its program and its arena."""

    graphs: list[Graph]
    program: Program
    memory: MemoryPlan

    @property
    def instructions(self) -> int:
        return sum(t.step.instructions for t in self.program.steps)

    @property
    def calls(self) -> int:
        return len(self.program.steps)


def tile(plan: Plan, make: Callable[[list[Graph]], Plan], slowdown: float) -> Plan:
    """The plan with the smallest arena that was found.

    make: graphs -> plan. slowdown: largest growth of the estimated instructions, as a share.
    """
    limit = plan.instructions * (1 + slowdown)
    for _ in range(MAX_ROUNDS):
        better = [
            trial
            for graphs in _candidates(plan)
            if (trial := make(graphs)).instructions <= limit and _gain(plan, trial) > 0
        ]
        if not better:
            return plan
        plan = max(better, key=lambda trial: _gain(plan, trial))
    return plan


def _gain(old: Plan, new: Plan) -> float:
    """Bytes of arena saved, less the flash that it takes at its price."""
    flash = (new.calls - old.calls) * CALL_FLASH_BYTES
    return old.memory.arena_bytes - new.memory.arena_bytes - flash / FLASH_FOR_RAM


def _candidates(plan: Plan):
    """Chains of graphs with one part around the peak in bands."""
    peak = plan.program.steps[plan.memory.peak_time]
    graph = plan.graphs[peak.segment]
    at = peak.operator_index
    for first in range(max(0, at - LONGEST_PART + 1), at + 1):
        for last in range(max(at, first + 1), min(len(graph.operators), first + LONGEST_PART)):
            if not can_split(graph, first, last):
                continue
            height = graph.operators[last].output.shape[1]
            for bands in BANDS:
                if bands <= height:
                    graphs = list(plan.graphs)
                    graphs[peak.segment] = split_rows(graph, first, last, bands)
                    yield graphs
