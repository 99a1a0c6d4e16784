"""Lower the peak of the arena by running parts of the network in bands of rows.

For a given target of bytes, the step with the largest working set above it is taken, every run of
a few operators around that step is tried in several numbers of bands, and of those that come below
the target the cheapest stays; and so on until no working set is above the target. Several targets
are tried; the arena that saves most for what it costs wins. What bands cost: the rows that a kernel
keeps are read anew in each band, some are copied, and every call needs its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from trecx.codegen.accesses import collect_accesses, working_sets
from trecx.codegen.planner import MemoryPlan, place_part
from trecx.codegen.program import Program
from trecx.ir.graph import Graph
from trecx.ir.passes.split_rows import can_split, split_rows

BANDS = (2, 3, 4, 5, 6, 8, 12)
LONGEST_PART = 4
MOST_PARTS = 6
PART_ROUNDS = 20  # of the placement search for one part
# Each target is this much below the one before; the search ends after two that cannot be reached.
TARGET_STEP = 0.96
# Flash of one more call: its function, and its parameters where no other band has the same.
CALL_FLASH_BYTES = 96
# One byte of RAM is worth this many bytes of flash: microcontrollers have four to eight times
# more flash than RAM.
FLASH_FOR_RAM = 4
# One more call is worth this many instructions where two ways to reach a target are compared.
CALL_INSTRUCTIONS = 10_000


@dataclass(frozen=True, eq=False)
class Trial:
    """A chain of graphs, lowered, with the bytes that each step needs at least."""

    graphs: list[Graph]
    program: Program
    sets: np.ndarray

    @property
    def instructions(self) -> int:
        """Estimated instructions of all steps."""
        return sum(t.step.instructions for t in self.program.steps)

    @property
    def calls(self) -> int:
        return len(self.program.steps)


@dataclass(frozen=True, eq=False)
class Plan:
    """A trial and its arena."""

    trial: Trial
    memory: MemoryPlan


def tile(
    graphs: list[Graph],
    lower: Callable[[list[Graph]], Program],
    place: Callable[[Program], MemoryPlan],
    slowdown: float,
) -> Plan:
    """The plan with the smallest arena that was found.

    slowdown: largest growth of the estimated instructions, as a share.
    """
    search = _Search(lower, slowdown)
    start = search.trial(graphs)
    best = first = Plan(start, place(start.program))
    target, missed = int(start.sets.max(initial=0)), 0
    while missed < 2 and target > 0:
        target = int(target * TARGET_STEP)
        trial = search.reach(start, target)
        missed = missed + 1 if trial is None else 0
        if trial is not None and trial.sets.max() < best.memory.arena_bytes:
            plan = Plan(trial, place(trial.program))
            if _gain(first, plan) > _gain(first, best):
                best = plan
    return best


def _gain(old: Plan, new: Plan) -> float:
    """Bytes of arena saved, less the flash that it takes at its price."""
    flash = (new.trial.calls - old.trial.calls) * CALL_FLASH_BYTES
    return old.memory.arena_bytes - new.memory.arena_bytes - flash / FLASH_FOR_RAM


@dataclass(eq=False)
class _Search:
    """known: candidates that were lowered, by the trial they start from and its peak.

    placed: arenas of parts alone, by trial and times.
    """

    lower: Callable[[list[Graph]], Program]
    slowdown: float
    known: dict[tuple[int, int], tuple[Trial, list]] = field(default_factory=dict)
    placed: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def trial(self, graphs: list[Graph]) -> Trial:
        program = self.lower(graphs)
        return Trial(graphs, program, working_sets(program, collect_accesses(program)))

    def reach(self, start: Trial, target: int) -> Trial | None:
        """A trial whose working sets are all at most `target`; None when none was found."""
        limit = start.instructions * (1 + self.slowdown)
        trial = start
        for _ in range(MOST_PARTS + 1):
            if trial.sets.max(initial=0) <= target:
                return trial
            fitting = [
                (made, times)
                for made, times in self._candidates(trial)
                if made.sets[slice(*times)].max() <= target and made.instructions <= limit
            ]
            fitting.sort(key=lambda candidate: _price(candidate[0]))
            trial = next((made for made, times in fitting if self._fits(made, times, target)), None)
            if trial is None:
                return None
        return None

    def _fits(self, trial: Trial, times: tuple[int, int], target: int) -> bool:
        """Whether the buffers that live in a part can be placed within the target."""
        key = (id(trial), *times)
        if key not in self.placed:
            arena = place_part(trial.program, trial.sets, times[0], times[1] - 1, PART_ROUNDS)
            self.placed[key] = arena
        return self.placed[key] <= target

    def _candidates(self, trial: Trial) -> list[tuple[Trial, tuple[int, int]]]:
        """Trials with one part around the peak in bands, and when that begins and ends."""
        time = int(trial.sets.argmax())
        key = (id(trial), time)
        if key not in self.known:
            found = []
            for graphs, segment, first, added in _splits(trial, time):
                made = self.trial(graphs)
                part = [
                    t.time
                    for t in made.program.steps
                    if t.segment == segment and first <= t.operator_index < first + added
                ]
                found.append((made, (part[0], part[-1] + 1)))
            self.known[key] = (trial, found)
        return self.known[key][1]


def _price(trial: Trial) -> int:
    return trial.instructions + CALL_INSTRUCTIONS * trial.calls


def _splits(trial: Trial, time: int) -> Iterator[tuple[list[Graph], int, int, int]]:
    """Chains with one part around a step in bands: (graphs, segment, position, operators)."""
    peak = trial.program.steps[time]
    graph = trial.graphs[peak.segment]
    at = peak.operator_index
    for first in range(max(0, at - LONGEST_PART + 1), at + 1):
        for last in range(at, min(len(graph.operators), first + LONGEST_PART)):
            if not can_split(graph, first, last):
                continue
            height = graph.operators[last].output.shape[1]
            for bands in BANDS:
                if bands <= height:
                    graphs = list(trial.graphs)
                    split = split_rows(graph, first, last, bands)
                    graphs[peak.segment] = split
                    grown = len(split.operators) - len(graph.operators)
                    yield graphs, peak.segment, first, grown + last + 1 - first
