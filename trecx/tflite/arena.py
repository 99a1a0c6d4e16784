"""A memory plan in a cascade's file, for TensorFlow Lite Micro.

TFLM copies what an IF is given into the inputs of the branch, and keeps the originals until the
branch has ended: a hand-off is there twice, and never free for the tail's own tensors. But TFLM
takes a plan from the file, metadata "OfflineMemoryAllocation": three int32 numbers (version 0,
subgraph 0, number of tensors in all subgraphs), then for each tensor its place in the arena, or -1
to have it planned. In the plan made here a tensor that is given to a branch and the branch's input
are in one place, which TFLM then does not copy, and which is free after its last reader. Kernels'
scratch buffers are placed by TFLM around the plan. The other runtimes ignore it.

The table goes through the tensors of one subgraph after the other. Earlier versions of TFLM (seen
in a source of 2022) instead look up a tensor of whichever subgraph by its number within it. So
the tensors are renumbered until both are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import indices, is_given, operator_kind, tensor_bytes

METADATA = "OfflineMemoryAllocation"

_ALIGNMENT = 16
_BY_TFLM = -1
_LARGEST_ARENA = 2**31 - 1

# Placement compares each buffer with each other one; larger cascades are left to TFLM.
_MAX_BUFFERS = 500

Place = tuple[int, int]  # numbers of a subgraph and of a tensor in it


@dataclass(eq=False)
class Buffer:
    """Memory of one tensor, or of several that share it.

    size: bytes, a multiple of 16. first, last: time at which it is first written and last read.
    offset: bytes from the arena's begin.
    """

    tensors: list[Place]
    size: int
    first: int
    last: int
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


def plan_arena(model: Record) -> None:
    """Add a memory plan to a cascade and renumber its tensors accordingly.

    model: subgraphs joined by IF operators, each run from one place. Left as it is when the
    tensors cannot be numbered for the plan, or there are too many.
    """
    buffers = find_buffers(model)
    if len(buffers) > _MAX_BUFFERS or place_buffers(buffers) > _LARGEST_ARENA:
        return
    offsets = {tensor: b.offset for b in buffers for tensor in b.tensors}
    table: list[int] = [_BY_TFLM] * len(model.subgraphs[0].tensors)
    orders = _orders([len(part.tensors) for part in model.subgraphs], offsets, table)
    if orders is None:
        return
    for number, order in enumerate(orders):
        _renumber(model, number, order)
        if number:
            table += [offsets.get((number, tensor), _BY_TFLM) for tensor in order]
    data = np.array([0, 0, len(table), *table], "<i4").view(np.uint8)
    model.buffers.append(schema.new("Buffer", data=data))
    model.metadata.append(schema.new("Metadata", name=METADATA, buffer=len(model.buffers) - 1))


# --- What lives when ---


def find_buffers(model: Record) -> list[Buffer]:
    """The buffers of all computed tensors, with lifetimes on one axis of time.

    The branches of an IF follow each other in time, which keeps the first one's inputs a little
    longer than necessary.
    """
    timeline = _Timeline(model)
    timeline.run(0)
    buffers: dict[Place, Buffer] = {}
    for tensor, (first, last) in timeline.lives.items():
        number, index = tensor
        size = -(-tensor_bytes(model.subgraphs[number].tensors[index]) // _ALIGNMENT) * _ALIGNMENT
        buffer = buffers.setdefault(timeline.holder(tensor), Buffer([], size, first, last))
        buffer.tensors.append(tensor)
        buffer.size = max(buffer.size, size)
        buffer.first, buffer.last = min(buffer.first, first), max(buffer.last, last)
    return list(buffers.values())


class _Timeline:
    """Runs the model in thought. lives: first and last time of each computed tensor."""

    def __init__(self, model: Record):
        self.model = model
        self.time = 0
        self.lives: dict[Place, tuple[int, int]] = {}
        self._shares: dict[Place, Place] = {}

    def run(self, number: int) -> None:
        subgraph = self.model.subgraphs[number]
        self._touch(number, indices(subgraph.inputs))
        for operator in subgraph.operators:
            self.time += 1
            if operator_kind(self.model, operator) == "IF":
                self._run_branches(number, operator)
            else:
                self._touch(number, indices(operator.inputs))
                self._touch(number, indices(operator.outputs))
        self.time += 1
        self._touch(number, indices(subgraph.outputs))

    def _run_branches(self, number: int, operator: Record) -> None:
        options = operator.builtin_options
        given = indices(operator.inputs)[1:]
        results = indices(operator.outputs)
        for branch in (options.then_subgraph_index, options.else_subgraph_index):
            subgraph = self.model.subgraphs[branch]
            self._touch(number, indices(operator.inputs))
            self._share(number, given, branch, indices(subgraph.inputs))
            self.run(branch)
            self._touch(number, results)
        self._share(number, results, branch, indices(subgraph.outputs))

    def _touch(self, number: int, tensors: Iterable[int]) -> None:
        subgraph = self.model.subgraphs[number]
        for index in tensors:
            if index != -1 and not is_given(self.model, subgraph.tensors[index]):
                first, _ = self.lives.setdefault((number, index), (self.time, self.time))
                self.lives[number, index] = (first, self.time)

    def _share(self, number: int, tensors: list[int], branch: int, others: list[int]) -> None:
        """Let tensors of two subgraphs have the same memory, unless one needs none."""
        parts = self.model.subgraphs
        for mine, other in zip(tensors, others, strict=True):
            needed = not is_given(self.model, parts[number].tensors[mine])
            if needed and not is_given(self.model, parts[branch].tensors[other]):
                holder, also = self.holder((number, mine)), self.holder((branch, other))
                if holder != also:
                    self._shares[also] = holder

    def holder(self, tensor: Place) -> Place:
        """The tensor that stands for all that share its memory."""
        while tensor in self._shares:
            tensor = self._shares[tensor]
        return tensor


# --- Where it is ---


def place_buffers(buffers: list[Buffer]) -> int:
    """Give each buffer an offset; the size of the arena.

    First fit in three orders (by size, by time, by both), of which the smallest arena counts.
    """
    orders = [
        lambda b: (-b.size, b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
    ]
    found = [_first_fit(sorted(buffers, key=order)) for order in orders]
    best = min(found, key=lambda offsets: max((o + b.size for b, o in offsets.items()), default=0))
    for buffer, offset in best.items():
        buffer.offset = offset
    return max((b.end for b in buffers), default=0)


def _first_fit(buffers: list[Buffer]) -> dict[Buffer, int]:
    offsets: dict[Buffer, int] = {}
    for buffer in buffers:
        near = [
            (offset, other.size)
            for other, offset in offsets.items()
            if other.first <= buffer.last and buffer.first <= other.last
        ]
        lowest = 0
        for offset, size in sorted(near):
            if offset - lowest >= buffer.size:
                break
            lowest = max(lowest, offset + size)
        offsets[buffer] = lowest
    return offsets


# --- Which number it has ---


def _orders(
    counts: list[int], offsets: dict[Place, int], table: list[int]
) -> list[list[int]] | None:
    """The tensors of each subgraph in their new order, or None when there is none.

    counts: tensors of each subgraph. table: for each number that the main subgraph has, the
    offset of the planned tensors with that number in any subgraph; filled in. No planned tensor
    gets a higher number.
    """
    orders: dict[int, list[int]] = {}
    for number in sorted(range(len(counts)), key=counts.__getitem__):
        planned = {t: offset for (n, t), offset in offsets.items() if n == number}
        order = _order(counts[number], planned, table)
        if order is None:
            return None
        orders[number] = order
    return [orders[number] for number in range(len(counts))]


def _order(count: int, planned: dict[int, int], table: list[int]) -> list[int] | None:
    """The tensors of one subgraph in their new order; `table` is extended."""
    order: list[int | None] = [None] * count
    for tensor, offset in planned.items():
        free = [i for i in range(min(count, len(table))) if order[i] is None]
        fitting = [i for i in free if table[i] == offset] or [
            i for i in free if table[i] == _BY_TFLM
        ]
        if not fitting:
            return None
        order[fitting[0]] = tensor
        table[fitting[0]] = offset
    others = iter([t for t in range(count) if t not in planned])
    return [next(others) if tensor is None else tensor for tensor in order]


def _renumber(model: Record, number: int, order: list[int]) -> None:
    """Put the tensors of a subgraph in a new order, wherever they are mentioned."""
    subgraph = model.subgraphs[number]
    new = {old: place for place, old in enumerate(order)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[old] for old in order]
    for record in (subgraph, *subgraph.operators):
        for name in ("inputs", "outputs", "intermediates"):
            vector = getattr(record, name, None)
            if vector is not None:
                setattr(record, name, np.array([new[i] for i in indices(vector)], np.int32))
    for signature in model.signature_defs:
        if signature.subgraph_index == number:
            for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
                entry.tensor_index = new[entry.tensor_index]
