"""What each operator of a chain is for, read from the dependencies, not from names.

- *backbone*: a hand-off to the next segment, or the final output, depends on it.
- *exit head*: only the exit's output depends on it, and features that it hands straight to the
  final classifier.
- *exit assistance*: what the last segment computes to let the final classifier see more than the
  network's own features: a branch with weights that joins them (T-RecX's early view), the exit's
  own features on their way, and where the classifier sums a dense layer for each of them, those
  layers and the sum.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.ops import parameters


class Role(enum.Enum):
    BACKBONE = "backbone"
    HEAD = "exit head"
    ASSISTANCE = "exit assistance"


def roles(chain: list[Graph]) -> list[list[Role]]:
    """The role of every operator: one list a segment, in execution order."""
    result = []
    given: set[int] = set()  # positions of the next segment's inputs that are an exit's features
    for k, graph in reversed(list(enumerate(chain))):
        last = k == len(chain) - 1
        sent = graph.outputs if last else graph.outputs[1:]
        features = [t for n, t in enumerate(sent) if not last and n in given]
        backbone = ancestors(graph, [t for t in sent if all(t is not f for f in features)])
        assistance: set[int] = set()
        if last and len(chain) > 1:
            assistance, features = _assistance(graph)
        result.append([_role(id(op), backbone, assistance) for op in graph.operators])
        sources = {id(_source(graph, t)) for t in features}
        given = {n for n, t in enumerate(graph.inputs) if id(t) in sources}
    return result[::-1]


def ancestors(graph: Graph, tensors: list[Tensor]) -> set[int]:
    """ids of the operators that the tensors depend on."""
    wanted = {id(t) for t in tensors}
    found = set()
    for op in reversed(graph.operators):
        if any(id(t) in wanted for t in op.outputs):
            found.add(id(op))
            wanted.update(id(t) for t in op.activation_inputs)
    return found


def _role(op: int, backbone: set[int], assistance: set[int]) -> Role:
    if op in assistance:
        return Role.ASSISTANCE
    return Role.BACKBONE if op in backbone else Role.HEAD


@dataclass(frozen=True, eq=False)
class _Branch:
    """One of the tensors that the final classifier reads.

    readers: ids of the operators between it and the classifier's sum; none when the classifier
    reads all its features as one tensor.
    """

    features: Tensor
    readers: frozenset[int] = frozenset()


def _assistance(graph: Graph) -> tuple[set[int], list[Tensor]]:
    """ids of the operators of exit assistance; the exits' features that the classifier reads."""
    branches, sums = _branches(graph)
    found: set[int] = set()
    handed, computed = [], []
    for branch in branches:
        straight = _straight(graph, branch.features)
        if straight is None:
            computed.append(branch)
        else:
            handed.append(branch.features)
            found |= straight | branch.readers
    for branch, own in _weighted_branches(graph, computed):
        found |= own | branch.readers
    return (found | sums if found else found), handed


def _weighted_branches(graph: Graph, branches: list[_Branch]) -> list[tuple[_Branch, set[int]]]:
    """Those with operators of their own that have weights, beside one that has none (the
    network's pooled features); with the ids of these operators."""
    behind = [ancestors(graph, [branch.features]) for branch in branches]
    own = [b.difference(*behind[:i], *behind[i + 1 :]) for i, b in enumerate(behind)]
    weights = [sum(parameters(op) for op in graph.operators if id(op) in ops) for ops in own]
    if 0 not in weights:
        return []
    return [(b, ops) for b, ops, w in zip(branches, own, weights, strict=True) if w]


def _straight(graph: Graph, tensor: Tensor) -> set[int] | None:
    """ids of the reshapes between an input of the graph and `tensor`; None when others come in."""
    passed = set()
    while tensor not in graph.inputs:
        op = graph.producer(tensor)
        if op is None or op.kind != "RESHAPE":
            return None
        passed.add(id(op))
        tensor = op.inputs[0]
    return passed


def _source(graph: Graph, tensor: Tensor) -> Tensor:
    """The tensor that reshapes made `tensor` of."""
    op = graph.producer(tensor)
    while op is not None and op.kind == "RESHAPE":
        tensor = op.inputs[0]
        op = graph.producer(tensor)
    return tensor


def _branches(graph: Graph) -> tuple[list[_Branch], set[int]]:
    """What the final classifier reads, and the ids of the additions that join its summands.

    Either one CONCATENATION that only reshapes and dense layers separate from the final output, or
    a sum of dense layers just before the softmax; nothing when it is neither.
    """
    op = graph.producer(graph.outputs[0])
    while op is not None and op.kind in ("SOFTMAX", "RESHAPE"):
        op = graph.producer(op.inputs[0])
    if op is not None and op.kind == "ADD":
        sums: set[int] = set()
        branches = _summands(graph, op, sums)
        return (branches, sums) if branches is not None else ([], set())
    while op is not None and op.kind in ("FULLY_CONNECTED", "RESHAPE"):
        op = graph.producer(op.inputs[0])
    if op is None or op.kind != "CONCATENATION":
        return [], set()
    return [_Branch(tensor) for tensor in op.activation_inputs], set()


def _summands(graph: Graph, addition: Operator, sums: set[int]) -> list[_Branch] | None:
    """The dense layers that an addition sums, nested ones too; None if it sums anything else."""
    sums.add(id(addition))
    found = []
    for tensor in addition.activation_inputs:
        readers = set()
        op = graph.producer(tensor)
        while op is not None and op.kind == "RESHAPE":
            readers.add(id(op))
            op = graph.producer(op.inputs[0])
        if op is not None and op.kind == "ADD":
            inner = _summands(graph, op, sums)
            if inner is None:
                return None
            found += inner
        elif op is not None and op.kind == "FULLY_CONNECTED":
            found.append(_Branch(op.inputs[0], frozenset(readers | {id(op)})))
        else:
            return None
    return found
