"""Graph to graph rewrites that keep every output bit. `optimise` runs all, verified after each."""

from __future__ import annotations

from trecx.ir.graph import Graph, Operator
from trecx.ir.passes.drop_identity import drop_identity
from trecx.ir.passes.fold_pad import fold_pad
from trecx.ir.verify import verify

PASSES = (drop_identity, fold_pad)


def optimise(graph: Graph) -> Graph:
    """A rewritten copy of `graph`: same tensors, new operators, same inputs and outputs."""
    graph = Graph(
        graph.name,
        list(graph.inputs),
        list(graph.outputs),
        [
            Operator(op.kind, list(op.inputs), list(op.outputs), op.attrs, op.index)
            for op in graph.operators
        ],
    )
    for rewrite in PASSES:
        rewrite(graph)
        verify(graph)
    return graph
