"""Place every activation and scratch buffer of a program in one static arena.

The line of steps is the time axis. A buffer lives from the step that writes it to the last step
that reads it. Two buffers that live at the same time must not overlap, except where no byte of one
is written while a byte of the other is needed there (`accesses.distance_below`): an output may
take the place of an input that dies as far as the kernel promises (`Step.overlap`), and an image
that is written in bands of rows that of an image that is read in bands.

Greedy placement: buffers are taken in some order and each goes to the lowest offset that no placed
buffer forbids. Several orders are tried (by size, by time, and a seeded local search over orders)
and the smallest arena wins, so the result is deterministic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from trecx.codegen.accesses import (
    Access,
    Accesses,
    collect_accesses,
    distance_below,
    working_sets,
)
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

    lower_bound: the largest number of bytes that must exist at one time (peak_time), overlaps used;
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
    accesses = collect_accesses(program)
    sets = working_sets(program, accesses)
    bound = max([int(sets.max(initial=0)), *(b.nbytes for b in tensor_buffer.values())])
    used = _with_accesses(tensor_buffer, scratch_buffer, accesses)
    buffers = [b for b, _ in used]
    strategy, offsets, arena = _best_placement(buffers, _distances(used), bound, rounds)
    for buffer, offset in zip(buffers, offsets, strict=True):
        buffer.offset = offset
    return MemoryPlan(
        buffers=sorted(buffers, key=lambda b: (b.first, b.offset)),
        arena_bytes=arena,
        lower_bound=bound,
        peak_time=int(sets.argmax()) if len(sets) else 0,
        handoff_bytes=handoffs,
        strategy=strategy,
        tensor_buffer=tensor_buffer,
        scratch_buffer=scratch_buffer,
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


def place_part(program: Program, sets: np.ndarray, first: int, last: int, rounds: int) -> int:
    """Bytes of an arena for the steps from `first` to `last` alone.

    sets: working_sets of the program.
    """
    tensor_buffer, scratch_buffer, _ = _collect_buffers(program)
    used = _with_accesses(tensor_buffer, scratch_buffer, collect_accesses(program))
    used = [(b, a) for b, a in used if b.first <= last and b.last >= first]
    bound = int(sets[first : last + 1].max())
    buffers = [b for b, _ in used]
    return _best_placement(buffers, _distances(used), bound, rounds)[2]


def _with_accesses(tensor_buffer, scratch_buffer, accesses) -> list[tuple[Buffer, Accesses]]:
    used = [(b, accesses[key]) for key, b in tensor_buffer.items()]
    return used + [(b, _whole(b)) for b in scratch_buffer.values()]


def _whole(scratch: Buffer) -> Accesses:
    access = Access(2 * scratch.first, 0, scratch.nbytes, write=True, scratch=True)
    return Accesses(scratch.nbytes, [access])


def _distances(used: list[tuple[Buffer, Accesses]]) -> dict[tuple[int, int], int]:
    """(i, j) -> how many bytes before buffer i buffer j must at least begin, if not behind it.

    Only for buffers that live at the same time.
    """
    return {
        (i, j): distance_below(upper, lower)
        for i, (a, upper) in enumerate(used)
        for j, (b, lower) in enumerate(used)
        if i != j and a.lives_with(b)
    }


@dataclass(frozen=True, eq=False)
class _Problem:
    """Sizes of the buffers, and which distances they keep from those that live with them.

    floor: no arena is smaller.
    """

    sizes: list[int]
    distances: dict[tuple[int, int], int]
    neighbours: list[list[int]]
    floor: int

    def place(self, order: list[int], high: frozenset[int] = frozenset()):
        """Offsets by first fit in the given order, and the arena size.

        high: buffers that go to the highest free place below the floor instead of the lowest.
        """
        offsets = [-1] * len(self.sizes)
        arena = 0
        for index in order:
            forbidden = []
            for other in self.neighbours[index]:
                if offsets[other] < 0:
                    continue
                low = offsets[other] - self.distances[other, index]
                high_end = offsets[other] + self.distances[index, other]
                if low < high_end:
                    forbidden.append((low, high_end))
            offset = self._beside_twin(index, offsets, forbidden, max(arena, self.floor))
            if offset < 0 and index in high:
                offset = _highest_free(forbidden, self.floor - self.sizes[index])
            if offset < 0:
                offset = _lowest_free(forbidden)
            offsets[index] = offset
            arena = max(arena, offset + self.sizes[index])
        return offsets, arena

    def _beside_twin(self, index: int, offsets, forbidden, limit: int) -> int:
        """The place of a buffer of equal size that this one may replace in place; else -1.

        Some kernels take fewer instructions where input and output are the same memory.
        """
        for other in self.neighbours[index]:
            place = offsets[other]
            if place < 0 or self.sizes[other] != self.sizes[index]:
                continue
            in_place = 0 in (self.distances[other, index], self.distances[index, other])
            free = not any(low < place < high for low, high in forbidden)
            if in_place and free and place + self.sizes[index] <= limit:
                return place
        return -1


def _lowest_free(forbidden: list[tuple[int, int]]) -> int:
    """Smallest aligned offset >= 0 that lies strictly inside none of the open intervals."""
    offset = 0
    for low, high in sorted(forbidden):
        if low < offset < high:
            offset = -(-high // ALIGNMENT) * ALIGNMENT
    return offset


def _highest_free(forbidden: list[tuple[int, int]], limit: int) -> int:
    """Largest aligned offset <= limit that lies strictly inside none; negative: there is none."""
    offset = limit // ALIGNMENT * ALIGNMENT
    for low, high in sorted(forbidden, key=lambda interval: -interval[1]):
        if low < offset < high:
            offset = low // ALIGNMENT * ALIGNMENT
    return offset


def _best_placement(buffers: list[Buffer], distances: dict, bound: int, rounds: int):
    n = len(buffers)
    sizes = [b.size for b in buffers]
    neighbours = [[j for j in range(n) if (i, j) in distances] for i in range(n)]
    problem = _Problem(sizes, distances, neighbours, -(-bound // ALIGNMENT) * ALIGNMENT)
    orders = {
        "by size": sorted(range(n), key=lambda i: (-sizes[i], buffers[i].first)),
        "by time": sorted(range(n), key=lambda i: (buffers[i].first, -sizes[i])),
        "by time, last first": sorted(range(n), key=lambda i: (-buffers[i].last, -sizes[i])),
        "by size times life": sorted(
            range(n),
            key=lambda i: -sizes[i] * (buffers[i].last - buffers[i].first + 1),
        ),
    }
    # Images that are read in bands belong above what is made of them: others may begin below.
    large = frozenset(i for i in range(n) if 2 * sizes[i] > max(sizes))
    starts = [(name, order, frozenset()) for name, order in orders.items()]
    starts += [(f"{name}, large ones high", order, large) for name, order in orders.items()]
    placed = [(problem.place(order, high), name, order, high) for name, order, high in starts]
    placed.sort(key=lambda start: start[0][1])
    best, best_name = placed[0][:2]
    for found, name, order, high in placed:
        improved = _local_search(problem, order, found, high, rounds)
        if improved[1] < best[1]:
            best_name, best = f"{name}, improved", improved
    return best_name, best[0], best[1]


def _local_search(problem: _Problem, order, best, high, rounds):
    """Seeded hill climbing over placement orders: one buffer earlier, keep what is not worse.

    Every other round moves a buffer that reaches the top of the arena, or one that lives with it.
    """
    rng = random.Random(0)
    order = list(order)
    for i in range(rounds if len(order) > 2 else 0):
        if best[1] <= problem.floor:
            break
        moved = rng.choice(order)
        if i % 2:
            tops = [b for b in order if best[0][b] + problem.sizes[b] == best[1]]
            moved = rng.choice(tops)
            if i % 4 == 1:
                moved = rng.choice([moved, *problem.neighbours[moved]])
        trial = [b for b in order if b != moved]
        trial.insert(rng.randrange(len(order)), moved)
        placed = problem.place(trial, high)
        if placed[1] <= best[1]:
            order, best = trial, placed
    return best
