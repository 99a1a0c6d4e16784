"""What each operator of a chain is for, read from the dependencies, not from names.

- *backbone*: a hand-off to the next segment, or the final output, depends on it.
- *exit head*: only the exit's output depends on it, and features that it hands straight to the
  final classifier.
- *exit assistance*: a branch of the last segment that joins the classifier's features beside a
  branch without weights (the pooled features): T-RecX's early-view assistance; or the exit's own
  features on their way to the classifier.
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
    given: set[int] = set()  # positions of the next segment's inputs that are an exit's features
    for k, graph in reversed(list(enumerate(chain))):
        last = k == len(chain) - 1
        sent = graph.outputs if last else graph.outputs[1:]
        features = [t for n, t in enumerate(sent) if not last and n in given]
        backbone = ancestors(graph, [t for t in sent if all(t is not f for f in features)])
        assistance = _assistance(graph) if last and len(chain) > 1 else set()
        if last and len(chain) > 1:
            features = _exit_features(graph)
            assistance |= set().union(set(), *(_straight(graph, t) or set() for t in features))
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


def _assistance(graph: Graph) -> set[int]:
    """Operators of the weighted branches into the classifier's feature concatenation."""
    join = _feature_concatenation(graph)
    if join is None:
        return set()
    features = {id(t) for t in _exit_features(graph)}
    branches = [t for t in join.activation_inputs if id(t) not in features]
    behind = [ancestors(graph, [t]) for t in branches]
    own = [b.difference(*behind[:i], *behind[i + 1 :]) for i, b in enumerate(behind)]
    weights = [sum(parameters(op) for op in graph.operators if id(op) in ops) for ops in own]
    if 0 not in weights:
        return set()
    return set().union(*(ops for ops, w in zip(own, weights, strict=True) if w))


def _exit_features(graph: Graph) -> list[Tensor]:
    """Inputs of the classifier's concatenation that come straight from another segment."""
    join = _feature_concatenation(graph)
    found = [] if join is None else join.activation_inputs
    return [t for t in found if _straight(graph, t) is not None]


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


def _feature_concatenation(graph: Graph) -> Operator | None:
    """The CONCATENATION that only reshapes and dense layers separate from the final output."""
    op = graph.producer(graph.outputs[0])
    while op is not None and op.kind in ("SOFTMAX", "FULLY_CONNECTED", "RESHAPE"):
        op = graph.producer(op.inputs[0])
    return op if op is not None and op.kind == "CONCATENATION" else None
