"""Place every activation and scratch buffer of a program in one static arena.

The line of steps is the time axis. A buffer lives from the step that writes it to the last step
that reads it; two buffers that live at the same time must not overlap, except an input that dies
at a step whose kernel allows its output to begin `gap` bytes before it (`Step.overlap`).

Greedy placement: buffers are taken in some order and each goes to the lowest offset that no placed
buffer forbids. Several orders are tried (by size, by time, and a seeded local search over orders)
and the smallest arena wins, so the result is deterministic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from trecx.codegen.program import Program
from trecx.ir.graph import Tensor

ALIGNMENT = 16
SEARCH_ROUNDS = 2000


@dataclass(eq=False)
class Buffer:
    """Bytes that live from time `first` to time `last`, both included."""

    name: str
    nbytes: int
    first: int
    last: int
    kind: str  # "input", "activation", "handoff", "output" or "scratch"
    offset: int = -1

    @property
    def size(self) -> int:
        return -(-self.nbytes // ALIGNMENT) * ALIGNMENT

    def lives_with(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(eq=False)
class MemoryPlan:
    """The result: offsets from the start of the arena, in bytes.

    lower_bound: the largest sum of bytes that must exist at one time (peak_time), overlaps used;
    no plan can be smaller. handoff_bytes: what stays alive across each exit decision, per boundary.
    """

    buffers: list[Buffer]
    arena_bytes: int
    lower_bound: int
    peak_time: int
    handoff_bytes: list[int]
    strategy: str
    tensor_buffer: dict[int, Buffer]
    scratch_buffer: dict[int, Buffer]  # by time
    gaps: dict[tuple[int, int], int] = field(default_factory=dict)  # (id in, id out) -> gap

    def offset_of(self, program: Program, tensor: Tensor) -> int:
        holder, offset = program.views.locate(tensor)
        return self.tensor_buffer[id(holder)].offset + offset

    def to_json(self) -> dict:
        return {
            "arena_bytes": self.arena_bytes,
            "lower_bound": self.lower_bound,
            "handoff_bytes": self.handoff_bytes,
            "strategy": self.strategy,
            "buffers": [
                {
                    "name": b.name,
                    "kind": b.kind,
                    "bytes": b.nbytes,
                    "offset": b.offset,
                    "first": b.first,
                    "last": b.last,
                }
                for b in self.buffers
            ],
        }


def plan_memory(program: Program, rounds: int = SEARCH_ROUNDS) -> MemoryPlan:
    """Plan the arena of a whole program; see the module's docstring.

    rounds: of the local search.
    """
    tensor_buffer, scratch_buffer, handoffs = _collect_buffers(program)
    buffers = [*tensor_buffer.values(), *scratch_buffer.values()]
    gaps = _overlap_gaps(program, tensor_buffer)
    strategy, offsets, arena = _best_placement(buffers, gaps, rounds)
    for buffer, offset in zip(buffers, offsets, strict=True):
        buffer.offset = offset
    bound, peak_time = _lower_bound(program, buffers, gaps)
    return MemoryPlan(
        buffers=sorted(buffers, key=lambda b: (b.first, b.offset)),
        arena_bytes=arena,
        lower_bound=bound,
        peak_time=peak_time,
        handoff_bytes=handoffs,
        strategy=strategy,
        tensor_buffer=tensor_buffer,
        scratch_buffer=scratch_buffer,
        gaps=gaps,
    )


def _collect_buffers(program: Program):
    """Buffers by tensor and by scratch, with their lifetimes."""
    found: dict[int, Buffer] = {}

    def touch(tensor: Tensor, time: int, kind: str) -> Buffer:
        rep = program.representative(tensor)
        buffer = found.get(id(rep))
        if buffer is None:
            buffer = found[id(rep)] = Buffer(rep.label, rep.nbytes, time, time, kind)
        buffer.first, buffer.last = min(buffer.first, time), max(buffer.last, time)
        return buffer

    scratch: dict[int, Buffer] = {}
    for tensor in program.graphs[0].inputs:
        touch(tensor, 0, "input")
    for timed in program.steps:
        for tensor in (*timed.step.inputs, *timed.step.outputs):
            touch(tensor, timed.time, "activation")
        if timed.step.scratch_bytes:
            scratch[timed.time] = Buffer(
                f"scratch of {timed.step.outputs[0].label}",
                timed.step.scratch_bytes,
                timed.time,
                timed.time,
                "scratch",
            )
    handoffs = []
    for k, graph in enumerate(program.graphs):
        end = program.segment_end(k)
        last = k == len(program.graphs) - 1
        for tensor in graph.outputs:
            touch(tensor, end, "activation")
        touch(graph.outputs[0], end, "output").kind = "output"
        if not last:
            sent = [touch(t, end + 1, "activation") for t in program.graphs[k + 1].inputs]
            for buffer in sent:
                buffer.kind = "handoff"
            handoffs.append(sum(b.nbytes for b in sent))
    return found, scratch, handoffs


def _overlap_gaps(program: Program, tensor_buffer: dict[int, Buffer]):
    """(id(input buffer), id(output buffer)) -> gap, where a step allows it and the input dies."""
    gaps: dict[tuple[int, int], int] = {}
    for timed in program.steps:
        out = tensor_buffer[id(program.representative(timed.step.outputs[0]))]
        if out.first != timed.time or not program.views.is_whole(timed.step.outputs[0]):
            continue
        readers = [program.representative(t) for t in timed.step.inputs]
        for position, gap in timed.step.overlap.items():
            rep = readers[position]
            source = tensor_buffer[id(rep)]
            read_once = sum(r is rep for r in readers) == 1
            whole = program.views.is_whole(timed.step.inputs[position])
            if source.last == timed.time and source is not out and read_once and whole:
                gaps[id(source), id(out)] = gap
    return gaps


def _place(order: list[int], buffers: list[Buffer], gaps: dict, conflicts: list[list[int]]):
    """Offsets by first fit in the given order, and the arena size."""
    offsets = [-1] * len(buffers)
    arena = 0
    for index in order:
        buffer = buffers[index]
        forbidden = []
        for other in conflicts[index]:
            if offsets[other] < 0:
                continue
            low, high = offsets[other] - buffer.size, offsets[other] + buffers[other].size
            as_output = gaps.get((id(buffers[other]), id(buffer)))
            as_input = gaps.get((id(buffer), id(buffers[other])))
            if as_output is not None:  # may begin `gap` before the input it replaces
                low = max(low, offsets[other] - as_output)
            if as_input is not None:  # may begin `gap` after the output that replaces it
                high = min(high, offsets[other] + as_input)
            if low < high:
                forbidden.append((low, high))
        offset = _lowest_free(forbidden)
        offsets[index] = offset
        arena = max(arena, offset + buffer.size)
    return offsets, arena


def _lowest_free(forbidden: list[tuple[int, int]]) -> int:
    """Smallest aligned offset >= 0 that lies strictly inside none of the open intervals."""
    offset = 0
    for low, high in sorted(forbidden):
        if low < offset < high:
            offset = -(-high // ALIGNMENT) * ALIGNMENT
    return offset


def _best_placement(buffers: list[Buffer], gaps: dict, rounds: int):
    n = len(buffers)
    conflicts = [
        [j for j in range(n) if j != i and buffers[i].lives_with(buffers[j])] for i in range(n)
    ]
    orders = {
        "by size": sorted(range(n), key=lambda i: (-buffers[i].size, buffers[i].first)),
        "by time": sorted(range(n), key=lambda i: (buffers[i].first, -buffers[i].size)),
        "by time, last first": sorted(range(n), key=lambda i: (-buffers[i].last, -buffers[i].size)),
        "by size times life": sorted(
            range(n),
            key=lambda i: -buffers[i].size * (buffers[i].last - buffers[i].first + 1),
        ),
    }
    best_name, best_order, best = "", [], None
    for name, order in orders.items():
        offsets, arena = _place(order, buffers, gaps, conflicts)
        if best is None or arena < best[1]:
            best_name, best_order, best = name, order, (offsets, arena)
    improved = _local_search(best_order, best, buffers, gaps, conflicts, rounds)
    if improved[1] < best[1]:
        best_name, best = "local search", improved
    return best_name, best[0], best[1]


def _local_search(order, best, buffers, gaps, conflicts, rounds):
    """Seeded hill climbing over placement orders: move one buffer, keep what is not worse."""
    floor = max((b.size for b in buffers), default=0)
    rng = random.Random(0)
    order = list(order)
    for _ in range(rounds if len(order) > 2 else 0):
        if best[1] <= floor:
            break
        trial = list(order)
        trial.insert(rng.randrange(len(order)), trial.pop(rng.randrange(len(order))))
        placed = _place(trial, buffers, gaps, conflicts)
        if placed[1] <= best[1]:
            order, best = trial, placed
    return best


def _lower_bound(program: Program, buffers: list[Buffer], gaps: dict) -> tuple[int, int]:
    """Largest working set over time, the best allowed overlap of each step taken off; and when."""
    bound, peak_time = 0, 0
    for timed in program.steps:
        live = [b for b in buffers if b.first <= timed.time <= b.last]
        total = sum(b.nbytes for b in live)
        saved = 0
        for source in live:
            for out in live:
                gap = gaps.get((id(source), id(out)))
                if gap is not None:
                    joint = max(out.nbytes, gap + source.nbytes)
                    saved = max(saved, source.nbytes + out.nbytes - joint)
        if total - saved > bound:
            bound, peak_time = total - saved, timed.time
    return bound, peak_time
