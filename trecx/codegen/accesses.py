"""When each byte of a buffer is written and read, and how far two buffers may therefore overlap.

Times are doubled step numbers: step t reads and writes at 2t; what happens between two steps, such
as an exit decision, is at 2t + 1; what the caller writes before the first step is at -1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trecx.codegen.lowering import Step
from trecx.codegen.program import Program
from trecx.ir.graph import Tensor

BEFORE_ALL = -1
NO_LIMIT = -(2**40)  # a distance that every placement keeps


@dataclass(frozen=True)
class Access:
    """Bytes [begin, end) of a buffer, read or written at `time`.

    promise: for a read, the overlap gap that the step promises for this input; None: none.
    scratch: whether the bytes are a step's scratch, for which no promise holds.
    """

    time: int
    begin: int
    end: int
    write: bool
    promise: int | None = None
    scratch: bool = False


@dataclass(eq=False)
class Accesses:
    """All accesses of one buffer of `nbytes` bytes."""

    nbytes: int
    found: list[Access] = field(default_factory=list)

    @property
    def writes(self) -> list[Access]:
        return [a for a in self.found if a.write]

    def written_at(self) -> np.ndarray:
        """Time at which each byte is first written, int64 (nbytes,)."""
        times = np.full(self.nbytes, np.iinfo(np.int64).max)
        for a in self.writes:
            np.minimum(times[a.begin : a.end], a.time, out=times[a.begin : a.end])
        return times

    def used_until(self) -> np.ndarray:
        """Time of the last access of each byte, int64 (nbytes,)."""
        times = np.full(self.nbytes, np.iinfo(np.int64).min)
        for a in self.found:
            np.maximum(times[a.begin : a.end], a.time, out=times[a.begin : a.end])
        return times


def collect_accesses(program: Program) -> dict[int, Accesses]:
    """Accesses of every buffer, by the id of the tensor that stands for it."""
    found: dict[int, Accesses] = {}

    def add(tensor: Tensor, time: int, write: bool, promise: int | None = None) -> None:
        holder, offset = program.views.locate(tensor)
        accesses = found.setdefault(id(holder), Accesses(holder.nbytes))
        accesses.found.append(Access(time, offset, offset + tensor.nbytes, write, promise))

    for tensor in program.graphs[0].inputs:
        add(tensor, BEFORE_ALL, write=True)
    for timed in program.steps:
        for position, tensor in enumerate(timed.step.inputs):
            promise = _promise(program, timed.step, position)
            add(tensor, 2 * timed.time, write=False, promise=promise)
        for tensor in timed.step.outputs:
            add(tensor, 2 * timed.time, write=True)
    for k, graph in enumerate(program.graphs):
        after = 2 * program.segment_end(k) + 1
        for tensor in graph.outputs:
            add(tensor, after, write=False)
    return found


def _promise(program: Program, step: Step, position: int) -> int | None:
    """The gap promised for an input; none when the step reads its buffer in another place too."""
    holder = program.representative(step.inputs[position])
    if sum(program.representative(t) is holder for t in step.inputs) > 1:
        return None
    return step.overlap.get(position) if len(step.outputs) == 1 else None


def distance_below(upper: Accesses, lower: Accesses) -> int:
    """Smallest d for which `lower` may begin d bytes before `upper`, even where they overlap.

    No byte of `upper` may be written by `lower` while it is still needed, and the other way round:
    what `lower` writes at some time must end before all that `upper` reads or writes later. In the
    same step the promise of the kernel decides. Negative: it may even begin behind.
    """
    accesses = sorted(upper.found, key=lambda a: a.time, reverse=True)
    distance, lowest, i = NO_LIMIT, None, 0
    for write in sorted(lower.writes, key=lambda a: a.time, reverse=True):
        while i < len(accesses) and accesses[i].time > write.time:
            begin = accesses[i].begin
            lowest = begin if lowest is None else min(lowest, begin)
            i += 1
        if lowest is not None:
            distance = max(distance, write.end - lowest)
        j = i
        while j < len(accesses) and accesses[j].time == write.time:
            distance = max(distance, _same_step(accesses[j], write))
            j += 1
    return distance


def _same_step(access: Access, write: Access) -> int:
    apart = write.end - access.begin
    if access.write or write.scratch or access.promise is None:
        return apart
    return min(apart, access.promise + write.begin - access.begin)


def working_sets(program: Program, buffers: dict[int, Accesses]) -> np.ndarray:
    """Bytes that must exist during each step, whatever the placement: int64 (steps,).

    Bytes that live across the step, those that it reads for the last time, those that it writes
    first, and its scratch; less what its kernel allows its output to share with its input.
    """
    steps = len(program.steps)
    born = {key: a.written_at() for key, a in buffers.items()}
    dies = {key: a.used_until() for key, a in buffers.items()}
    change = np.zeros(2 * steps + 4, np.int64)  # of the bytes that live across a time; by time + 1
    for key in buffers:
        used = dies[key] > born[key]
        change += np.bincount(born[key][used] + 2, minlength=len(change))
        change -= np.bincount(dies[key][used] + 1, minlength=len(change))
    across = np.cumsum(change)
    found = np.zeros(steps, np.int64)
    for timed in program.steps:
        now, step = 2 * timed.time, timed.step
        written = _bytes_with(program, born, step.outputs, now)
        read = _bytes_with(program, dies, step.inputs, now)
        shared = 0
        for position, tensor in enumerate(step.inputs):
            promise = _promise(program, step, position)
            if promise is not None:
                dying = _bytes_with(program, dies, [tensor], now)
                shared += min(dying, max(0, step.outputs[0].nbytes - promise))
        total = int(across[now + 1]) + read + written + step.scratch_bytes
        found[timed.time] = total - min(shared, written)
    return found


def _bytes_with(program: Program, times: dict[int, np.ndarray], tensors, now: int) -> int:
    """Bytes of the tensors whose time is `now`; those that tensors share count once."""
    chosen: dict[int, np.ndarray] = {}
    for tensor in tensors:
        holder, offset = program.views.locate(tensor)
        mask = chosen.setdefault(id(holder), np.zeros(holder.nbytes, bool))
        part = slice(offset, offset + tensor.nbytes)
        mask[part] = times[id(holder)][part] == now
    return sum(int(np.count_nonzero(mask)) for mask in chosen.values())
