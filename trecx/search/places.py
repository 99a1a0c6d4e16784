"""Where a network can be cut: layers whose output alone carries everything to the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# What the int8 converter fuses: a normalisation into the linear layer with weights before it, and
# an activation into any linear layer before it. No cut between the two.
ACTIVATIONS = ("ReLU", "Activation")
WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense")
NO_PLACE = ("Dropout", "SpatialDropout2D")


@dataclass(frozen=True)
class Place:
    """A layer behind which an exit may stand.

    cost: share of the network's cost that is spent up to and including the layer, 0..1.
    crossing: names of the layers whose outputs the rest of the network needs; exactly this one
        when the place can be cut.
    inside_block: between the depthwise and the 1x1 half of a separable convolution.
    """

    layer: str
    output_shape: tuple[int, ...]
    cost: float
    crossing: tuple[str, ...]
    inside_block: bool = False

    @property
    def reason_against(self) -> str | None:
        """Why the network cannot be cut here; None when it can."""
        if self.crossing == (self.layer,):
            return None
        others = ", ".join(name for name in self.crossing if name != self.layer)
        return f"{len(self.crossing)} tensors cross: the rest also needs the output of {others}"


def exit_places(model: Any, tensor_cost: Callable[[Any], float]) -> list[Place]:
    """All feature maps of a functional Keras model, in order of depth, cuttable or not.

    tensor_cost: cost of computing one symbolic tensor from its sources (MACs). No places: a layer
    that is fused with the one after it, one that is called more than once, and dropout, which
    computes nothing.
    """
    tensors = _in_order(model.outputs[0])
    users: dict[int, list[Any]] = {id(tensor): [] for tensor in tensors}
    for tensor in tensors:
        for source in _sources(tensor):
            users[id(source)].append(tensor)
    calls = Counter(_name(tensor) for tensor in tensors)
    costs = {id(tensor): tensor_cost(tensor) for tensor in tensors}
    whole = sum(costs.values()) or 1.0
    found = []
    for tensor in tensors:
        is_map = len(tensor.shape) == 4 and _sources(tensor) and calls[_name(tensor)] == 1
        if not is_map or _kind(tensor) in NO_PLACE or _is_fused(tensor, users[id(tensor)]):
            continue
        before = {id(t) for t in _in_order(tensor)}
        crossing = tuple(
            _name(t)
            for t in tensors
            if id(t) in before and any(id(user) not in before for user in users[id(t)])
        )
        spent = sum(costs[key] for key in before) / whole
        shape = tuple(tensor.shape[1:])
        found.append(Place(_name(tensor), shape, spent, crossing, _ends_depthwise(tensor)))
    return sorted(found, key=lambda place: place.cost)


def _name(tensor: Any) -> str:
    return tensor._keras_history.operation.name


def _sources(tensor: Any) -> list[Any]:
    """The symbolic tensors that a tensor is computed from."""
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index].input_tensors


def _in_order(output: Any) -> list[Any]:
    """A tensor and everything that it depends on, sources first, each once."""
    found: dict[int, Any] = {}
    pending = [(output, False)]
    while pending:
        tensor, sources_done = pending.pop()
        if id(tensor) in found:
            continue
        if sources_done:
            found[id(tensor)] = tensor
        else:
            pending.append((tensor, True))
            pending += [(source, False) for source in _sources(tensor)]
    return list(found.values())


def _kind(tensor: Any) -> str:
    return type(tensor._keras_history.operation).__name__


def _is_fused(tensor: Any, users: list[Any]) -> bool:
    if len(users) != 1 or not _is_linear(tensor):
        return False
    user = _kind(users[0])
    return user in ACTIVATIONS or (user == "BatchNormalization" and _kind(tensor) in WEIGHTED)


def _is_linear(tensor: Any) -> bool:
    if _kind(tensor) in ACTIVATIONS:
        return False
    activation = getattr(tensor._keras_history.operation, "activation", None)
    return activation is None or activation.__name__ == "linear"


def _ends_depthwise(tensor: Any) -> bool:
    while _kind(tensor) in (*ACTIVATIONS, "BatchNormalization"):
        tensor = _sources(tensor)[0]
    return _kind(tensor) == "DepthwiseConv2D"
