"""Which operator depends on which, for finding where a network can be cut.

Works on tensor numbers alone, so it serves both the records of a file (operators that trecx does
not execute included) and a `Graph`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trecx.ir.graph import Graph
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import indices, is_given, tensor_bytes


@dataclass
class Dataflow:
    """Computed tensors and the operators between them; constants are left out.

    reads, writes: for each operator, in execution order, the tensors it reads and writes.
    names, nbytes: by tensor number.
    """

    inputs: list[int]
    outputs: list[int]
    reads: list[list[int]]
    writes: list[list[int]]
    names: list[str]
    nbytes: list[int]
    producer: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.producer = {t: op for op, written in enumerate(self.writes) for t in written}

    @staticmethod
    def of_subgraph(model: Record, subgraph: Record) -> Dataflow:
        tensors = subgraph.tensors
        given = {i for i, t in enumerate(tensors) if is_given(model, t)} | {-1}
        return Dataflow(
            inputs=indices(subgraph.inputs),
            outputs=indices(subgraph.outputs),
            reads=[[i for i in indices(op.inputs) if i not in given] for op in subgraph.operators],
            writes=[indices(op.outputs) for op in subgraph.operators],
            names=[t.name or f"tensor_{i}" for i, t in enumerate(tensors)],
            nbytes=[tensor_bytes(t) for t in tensors],
        )

    @staticmethod
    def of_graph(graph: Graph) -> Dataflow:
        tensors = graph.activations()
        number = {t: i for i, t in enumerate(tensors)}
        return Dataflow(
            inputs=[number[t] for t in graph.inputs],
            outputs=[number[t] for t in graph.outputs],
            reads=[[number[t] for t in op.activation_inputs] for op in graph.operators],
            writes=[[number[t] for t in op.outputs] for op in graph.operators],
            names=[t.name for t in tensors],
            nbytes=[t.nbytes for t in tensors],
        )

    def needed_by(self, tensors: Iterable[int]) -> set[int]:
        """Operators that the tensors depend on."""
        found: set[int] = set()
        waiting = [self.producer[t] for t in tensors if t in self.producer]
        while waiting:
            op = waiting.pop()
            if op not in found:
                found.add(op)
                waiting += [self.producer[t] for t in self.reads[op] if t in self.producer]
        return found

    def crossing(self, before: set[int], after: set[int]) -> list[int]:
        """Tensors that the operators `after` read and that are inputs or written by `before`.

        In order of production, inputs first.
        """
        read = {t for op in after for t in self.reads[op]}
        made = [t for op in sorted(before) for t in self.writes[op]]
        return [t for t in [*self.inputs, *made] if t in read]
