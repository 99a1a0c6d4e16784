"""What each operator of a chain is for, read from the dependencies, not from names.

- *backbone*: a hand-off to the next segment, or the final output, depends on it.
- *exit head*: only the exit's output depends on it.
- *exit assistance*: a branch of the last segment that joins the classifier's features beside a
  branch without weights (the pooled features): T-RecX's early-view assistance.
"""

from __future__ import annotations

import enum

from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.ops import parameters


class Role(enum.Enum):
    BACKBONE = "backbone"
    HEAD = "exit head"
    ASSISTANCE = "exit assistance"


def roles(chain: list[Graph]) -> list[list[Role]]:
    """The role of every operator: one list a segment, in execution order."""
    result = []
    for k, graph in enumerate(chain):
        last = k == len(chain) - 1
        backbone = ancestors(graph, graph.outputs if last else graph.outputs[1:])
        assistance = _assistance(graph) if last and len(chain) > 1 else set()
        result.append([_role(id(op), backbone, assistance) for op in graph.operators])
    return result


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


def _assistance(graph: Graph) -> set[int]:
    """Operators of the weighted branches into the classifier's feature concatenation."""
    join = _feature_concatenation(graph)
    if join is None:
        return set()
    behind = [ancestors(graph, [t]) for t in join.activation_inputs]
    own = [b.difference(*behind[:i], *behind[i + 1 :]) for i, b in enumerate(behind)]
    weights = [sum(parameters(op) for op in graph.operators if id(op) in ops) for ops in own]
    if 0 not in weights:
        return set()
    return set().union(*(ops for ops, w in zip(own, weights, strict=True) if w))


def _feature_concatenation(graph: Graph) -> Operator | None:
    """The CONCATENATION that only reshapes and dense layers separate from the final output."""
    op = graph.producer(graph.outputs[0])
    while op is not None and op.kind in ("SOFTMAX", "FULLY_CONNECTED", "RESHAPE"):
        op = graph.producer(op.inputs[0])
    return op if op is not None and op.kind == "CONCATENATION" else None
