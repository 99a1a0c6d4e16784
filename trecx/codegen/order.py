"""Order the operators of a segment so that the largest working set is as small as possible.

Exact search over the sets of operators already run (dynamic programming): of all ways to reach a
set, only the one with the smallest peak matters. Networks with exits and residuals branch little,
so there are few such sets; when there are more than `MAX_STATES`, the order of the file stays.
"""

from __future__ import annotations

from trecx.codegen.lowering import Lowered
from trecx.codegen.views import Views
from trecx.ir.graph import Graph, Operator, Tensor

MAX_STATES = 20_000
_Reached = tuple[int, int, tuple[int, ...]]  # peak, sum of squares, order


def order_for_memory(
    graph: Graph, lowered: list[Lowered], views: Views, last: frozenset[int] = frozenset()
) -> list[int]:
    """Positions of `graph.operators` in the order in which they should run.

    last: ids of operators that run after all others, none of which may need them.
    The peak counts live activations, the step's scratch and its output, less the overlap that its
    kernel allows. Of orders with the same peak the one with the smaller sum of squared working sets
    is taken, then the one closest to the file's.
    """
    model = _Sizes(graph, lowered, views, last)
    n = len(graph.operators)
    layer: dict[int, _Reached] = {0: (0, 0, ())}
    for _ in range(n):
        following: dict[int, _Reached] = {}
        for done, (peak, squares, order) in layer.items():
            for i in range(n):
                if done >> i & 1 or model.needs[i] & ~done:
                    continue
                reached = done | 1 << i
                here = model.peak(done, i)
                entry = (max(peak, here), squares + here * here, (*order, i))
                if reached not in following or entry < following[reached]:
                    following[reached] = entry
        if len(following) > MAX_STATES:
            return sorted(range(n), key=lambda i: id(graph.operators[i]) in last)
        layer = following
    (_, _, order) = layer[(1 << n) - 1]
    return list(order)


class _Sizes:
    """Working sets by the bit set of operators that have run.

    A concatenation is counted as a copy here, even where its inputs are views of its output.
    """

    def __init__(self, graph: Graph, lowered: list[Lowered], views: Views, last: frozenset[int]):
        self.graph, self.lowered = graph, lowered
        self.moves_nothing = {
            id(op)
            for op in graph.operators
            if op.kind != "CONCATENATION" and id(op) in views.elided
        }
        self.source: dict[int, Tensor] = {}
        for op in graph.operators:
            if id(op) in self.moves_nothing:
                self.source[id(op.output)] = op.inputs[0]
        self.made_by: dict[int, int] = {}
        self.read_by: dict[int, int] = {}
        self.bytes: dict[int, int] = {}
        self.kept = {id(self._storage(t)) for t in graph.outputs}
        for tensor in graph.inputs:
            self.bytes[id(tensor)] = tensor.nbytes
            self.made_by[id(tensor)] = 0
        for i, op in enumerate(graph.operators):
            for tensor in op.activation_inputs:
                key = id(self._storage(tensor))
                self.read_by[key] = self.read_by.get(key, 0) | 1 << i
            if id(op) not in self.moves_nothing:
                for tensor in op.outputs:
                    self.bytes[id(tensor)] = tensor.nbytes
                    self.made_by[id(tensor)] = 1 << i
        producer = {id(t): 1 << i for i, op in enumerate(graph.operators) for t in op.outputs}
        self.needs = [
            sum({producer.get(id(t), 0) for t in op.activation_inputs}) for op in graph.operators
        ]
        first = sum(1 << i for i, op in enumerate(graph.operators) if id(op) not in last)
        self.needs = [
            needs | first if id(op) in last else needs
            for needs, op in zip(self.needs, graph.operators, strict=True)
        ]

    def _storage(self, tensor: Tensor) -> Tensor:
        while id(tensor) in self.source:
            tensor = self.source[id(tensor)]
        return tensor

    def _live(self, done: int) -> set[int]:
        return {
            key
            for key in self.bytes
            if not self.made_by[key] & ~done
            and (key in self.kept or self.read_by.get(key, 0) & ~done)
        }

    def peak(self, done: int, i: int) -> int:
        """Bytes that exist while operator i runs after the set `done`."""
        op: Operator = self.graph.operators[i]
        live = self._live(done)
        total = sum(self.bytes[key] for key in live)
        if id(op) in self.moves_nothing:
            return total
        steps = self.lowered[i].steps
        outputs = sum(t.nbytes for t in op.outputs)
        saved = 0
        if len(steps) == 1:
            after = self._live(done | 1 << i)
            for position, gap in steps[0].overlap.items():
                key = id(self._storage(steps[0].inputs[position]))
                if key in live and key not in after:
                    joint = max(op.output.nbytes, gap + self.bytes[key])
                    saved = max(saved, self.bytes[key] + op.output.nbytes - joint)
        scratch = max((s.scratch_bytes for s in steps), default=0)
        return total + outputs + scratch - saved
