"""A recipe for every method on every task: the method's exits as published, the task's schedule."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trecx.errors import InputError
from trecx.quiet import load_keras
from trecx.search import Place, exit_places
from trecx.task import ExitSpec, Recipe, Task
from trecx.typed import nearest

# An exit behind almost the whole network saves nothing.
DEEPEST = 0.95


@dataclass(frozen=True)
class Layout:
    """A method's exits on any network.

    shares: the exits go behind the first blocks that end after at least so much of the network's
        cost, see `places_by_share`.
    options: of the head. loss_weights: of the exits, where the method has fixed ones.
    own_channels: the head has one 3x3 convolution with as many filters as its feature map.
    """

    method: str
    head: str
    shares: tuple[float, ...]
    options: dict[str, Any] = field(default_factory=dict)
    loss_weights: tuple[float, ...] = ()
    own_channels: bool = False


# EENet and PTEENet: two exits by the 80/20 rule (eksuas/eenets.pytorch, distribution "pareto").
_PARETO = (1 - 0.8, 1 - 0.8**2)

LAYOUTS = {
    "eenet": Layout("eenet", "confidence", _PARETO),
    "pteenet": Layout("pteenet", "confidence", _PARETO, own_channels=True),
    # The branch without its convolution: EENet's head on a frozen network.
    "pteenet-pool": Layout("pteenet", "confidence", _PARETO),
    # BranchyNet: two branches, the first weighing 1, the second 0.3 (arXiv 1709.01686).
    "branchynet": Layout("branchynet", "conv", (1 / 3, 2 / 3), loss_weights=(1.0, 0.3)),
    # SDN: internal classifiers at these shares of the network's cost (arXiv 1810.07052).
    "sdn": Layout("sdn", "pool", (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)),
}


def method_recipe(
    task: Task,
    name: str,
    *,
    template: str | None = None,
    epochs: int | None = None,
    network: Any = None,
    at: Sequence[str] = (),
) -> Recipe:
    """The recipe called `name`: a recipe of the task, a method, or a .json file of a recipe.

    template: recipe of the task whose data handling and schedule all methods take over. Without
        one it is the task's default, but its other recipes keep their own. All run for the same
        number of epochs.
    network: the Keras model that gets the exits [a new one of the task].
    at: layers for the exits of a method of `LAYOUTS`, instead of its own places.

    Raises InputError for an unknown name, or a network without a place for the exits.
    """
    pattern = task.recipe(template)
    epochs = epochs or pattern.epochs
    if name.endswith(".json"):
        return read_recipe(Path(name)).stretched(epochs)
    if template is None and name in task.recipes:
        return task.recipes[name].stretched(epochs)
    return _derived(task, name, pattern, network, at).stretched(epochs)


def known_names(task: Task) -> list[str]:
    """What `method_recipe` accepts for a task, recipe files apart."""
    own = ["t-recx", "t-recx-no-ev"] if task.recipe().method == "t-recx" else []
    return list(dict.fromkeys(["base", *own, *LAYOUTS, *task.recipes]))


def load_network(model_file: Path):
    """A user's Keras network, read in safe mode. InputError when it is none, or no classifier."""
    load_keras()
    from trecx.exits.classifier import find_classifier
    from trecx.exits.user_model import load_network as load

    network = load(model_file)
    find_classifier(network)
    return network


def require_place(places: Sequence[Place], layer: str) -> Place:
    """The place behind a layer. InputError when the network cannot be cut there: why, and where
    it can."""
    good = good_places(places)
    alternatives = ", ".join(f"{place.layer} ({100 * place.cost:.0f} %)" for place in good)
    found = {place.layer: place for place in places}
    if layer not in found:
        raise InputError(
            f"no feature map {layer!r} to exit behind; {nearest(layer, found)}; places at which "
            f"the network can be cut (share of its cost): {alternatives}"
        )
    place = found[layer]
    if place.reason_against is not None:
        raise InputError(
            f"the network cannot be cut behind {layer!r}: {place.reason_against}; places at which "
            f"it can (share of its cost): {alternatives}"
        )
    return place


def places_of(network: Any) -> list[Place]:
    """All feature maps of a functional Keras model by depth; the share is of its MACs."""
    from trecx.exits.cost import tensor_macs

    return exit_places(network, tensor_macs)


def good_places(places: Sequence[Place]) -> list[Place]:
    """Those that end a block, can be cut, and leave something to save behind them."""
    return [
        place
        for place in places
        if place.reason_against is None and not place.inside_block and place.cost <= DEEPEST
    ]


def places_by_share(places: Sequence[Place], shares: Sequence[float]) -> list[Place]:
    """For each share in turn, the next end of a block that has spent as much; fewer when the
    network ends before.

    InputError when there is none before the end of the network.
    """
    waiting = list(good_places(places))
    chosen: list[Place] = []
    for share in shares:
        # A rounding error must not skip the place that is meant.
        while waiting and waiting[0].cost < share - 1e-6:
            waiting.pop(0)
        chosen += waiting[:1]
        del waiting[:1]
    if not chosen:
        raise InputError(
            "the network has no place for an exit: no feature map before its last layers carries "
            "everything to the rest"
        )
    return chosen


def _derived(
    task: Task, name: str, pattern: Recipe, network: Any, at: Sequence[str] = ()
) -> Recipe:
    """The recipe of a method, with the data handling and schedule of `pattern`."""
    if name == "base":
        return dataclasses.replace(pattern, name=name, method="base", exits=(), method_options={})
    if name in task.recipes:
        return _with_exits_of(task.recipes[name], name, pattern)
    if name in ("t-recx", "t-recx-no-ev") and pattern.method == "t-recx":
        return _t_recx(name, pattern)
    if name not in LAYOUTS:
        known = known_names(task)
        raise InputError(f"unknown method {name!r} for task {task.name!r}; {nearest(name, known)}")
    layout = LAYOUTS[name]
    if network is None:
        load_keras()
        network = task.build(len(task.labels))
    places = places_of(network)
    if at:
        chosen = sorted((require_place(places, layer) for layer in at), key=lambda p: p.cost)
    else:
        chosen = places_by_share(places, layout.shares)
    exits = tuple(_exit(layout, number, place) for number, place in enumerate(chosen))
    return dataclasses.replace(
        pattern, name=name, method=layout.method, exits=exits, method_options={}
    )


def _t_recx(name: str, pattern: Recipe) -> Recipe:
    """A recipe that is T-RecX's already, with or without assistance."""
    exits = pattern.exits
    if name == "t-recx-no-ev":
        exits = tuple(dataclasses.replace(e, assist=None, assist_options={}) for e in exits)
    return dataclasses.replace(pattern, name=name, exits=exits)


def _with_exits_of(source: Recipe, name: str, pattern: Recipe) -> Recipe:
    return dataclasses.replace(
        pattern,
        name=name,
        method=source.method,
        exits=source.exits,
        method_options=source.method_options,
    )


def _exit(layout: Layout, number: int, place: Place) -> ExitSpec:
    options = dict(layout.options)
    if layout.own_channels:
        options["convs"] = [place.output_shape[-1]]
    weights = layout.loss_weights or (1.0,)
    weight = weights[min(number, len(weights) - 1)]
    return ExitSpec(place.layer, layout.head, options, weight)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a .json file, as `trecx search` writes one."""
    try:
        return Recipe.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        raise InputError(f"there is no recipe file {path}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no recipe: {error}") from None
