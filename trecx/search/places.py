"""Where a network can be cut: layers whose output alone carries everything to the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Layers that the int8 converter fuses into the layer before: no cut between the two.
FUSED = ("BatchNormalization", "ReLU", "Activation")


@dataclass(frozen=True)
class Place:
    """A layer behind which an exit may stand.

    cost: share of the network's cost that is spent up to and including the layer, 0..1.
    crossing: names of the layers whose outputs the rest of the network needs; exactly this one
        when the place can be cut.
    """

    layer: str
    output_shape: tuple[int, ...]
    cost: float
    crossing: tuple[str, ...]

    @property
    def reason_against(self) -> str | None:
        """Why the network cannot be cut here; None when it can."""
        if self.crossing == (self.layer,):
            return None
        others = ", ".join(name for name in self.crossing if name != self.layer)
        return f"{len(self.crossing)} tensors cross: the rest also needs the output of {others}"


def exit_places(model: Any, layer_cost: Callable[[Any], float]) -> list[Place]:
    """All feature maps of a functional Keras model, in order of depth, cuttable or not.

    layer_cost: cost of one layer (MACs). A layer that is fused with the one after it is no place.
    """
    layers = {layer.name: layer for layer in model.layers}
    sources = {name: _inputs(layer) for name, layer in layers.items()}
    users: dict[str, list[str]] = {name: [] for name in layers}
    for name, its_inputs in sources.items():
        for source in its_inputs:
            users[source].append(name)
    costs = {name: layer_cost(layer) for name, layer in layers.items()}
    whole = sum(costs.values()) or 1.0
    found = []
    for name, layer in layers.items():
        shape = tuple(layer.output.shape[1:])
        if len(shape) != 3 or not sources[name] or _is_fused(users[name], layers):
            continue
        before = _ancestors(name, sources)
        crossing = tuple(
            n for n in layers if n in before and any(u not in before for u in users[n])
        )
        spent = sum(costs[n] for n in before) / whole
        found.append(Place(name, shape, spent, crossing))
    return sorted(found, key=lambda place: place.cost)


def _inputs(layer: Any) -> list[str]:
    """Names of the layers that a layer reads."""
    if not layer._inbound_nodes:
        return []
    tensors = layer._inbound_nodes[0].input_tensors
    return [tensor._keras_history.operation.name for tensor in tensors]


def _is_fused(users: list[str], layers: dict[str, Any]) -> bool:
    return len(users) == 1 and type(layers[users[0]]).__name__ in FUSED


def _ancestors(name: str, sources: dict[str, list[str]]) -> set[str]:
    """The layer and everything that it depends on."""
    found, pending = set(), [name]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(sources[current])
    return found
