"""Graft early exits onto a functional Keras classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from trecx.errors import InputError
from trecx.exits.assist import EarlyViewDepthwise, build_assist
from trecx.exits.classifier import (
    Classifier,
    check_functional,
    find_classifier,
    producer,
    upstream,
)
from trecx.exits.heads import build_head
from trecx.task import ExitSpec
from trecx.typed import nearest


@dataclass(frozen=True)
class EarlyExitModel:
    """A network with exits: a chain of segments, each but the last ending in an exit.

    model: functional Keras model; its outputs are the exits' in depth order, then the final one.
    exits: one specification for each output but the last.
    base_layers: names of the layers that came with the network (not heads, not assistance).
    """

    model: keras.Model
    exits: tuple[ExitSpec, ...]
    base_layers: frozenset[str]

    def release_assists(self) -> None:
        """End the weight transfer of early-view assistance; its layers train freely afterwards."""
        for layer in self.model.layers:
            if isinstance(layer, EarlyViewDepthwise):
                layer.release()

    def freeze_base(self) -> None:
        """Let only the exits train; the network that they were added to computes as it did."""
        for layer in self.model.layers:
            if layer.name in self.base_layers:
                layer.trainable = False
                if isinstance(layer, layers.Dropout):
                    layer.rate = 0.0  # Frozen means that training sees what inference computes.

    def plain(self) -> keras.Model:
        """A copy made of standard Keras layers only, for saving and conversion."""
        return plain_copy(self.model)


def add_exit(
    model: keras.Model,
    at: str,
    head: str = "t-recx",
    assist: str | None = None,
    *,
    head_options: Mapping[str, Any] | None = None,
    assist_options: Mapping[str, Any] | None = None,
    loss_weight: float = 0.5,
) -> EarlyExitModel:
    """Graft one exit behind the layer called `at`; see `add_exits`."""
    spec = ExitSpec(at, head, head_options or {}, loss_weight, assist, assist_options or {})
    return add_exits(model, [spec])


def add_exits(model: keras.Model, specs: Sequence[ExitSpec]) -> EarlyExitModel:
    """Graft exits onto `model`, whose layers are shared with the result.

    Args:
        model: a functional classifier with one input and one output.
        specs: the exits, in any order; they are sorted by depth.

    Raises:
        InputError: no classifier, no such layer (the nearest is offered), two exits at one layer,
            or a head or assistance that does not fit there.
    """
    classifier = find_classifier(model)
    specs = _sort_by_depth(model, specs)
    heads = [
        build_head(
            spec.head, _features_at(model, spec.at), classifier.classes, f"exit{n}", spec.options
        )
        for n, spec in enumerate(specs, start=1)
    ]
    views = [
        build_assist(spec.assist, head, classifier, f"exit{n}", spec.assist_options)
        for n, (spec, head) in enumerate(zip(specs, heads, strict=True), start=1)
        if spec.assist is not None
    ]
    final = _final_output(model, classifier, views)
    grafted = keras.Model(
        model.inputs[0], [head.output for head in heads] + [final], name=model.name
    )
    return EarlyExitModel(grafted, tuple(specs), frozenset(layer.name for layer in model.layers))


def without_exits(model: keras.Model) -> EarlyExitModel:
    """`model` as a chain of one segment."""
    check_functional(model)
    single = keras.Model(model.inputs[0], [model.outputs[0]], name=model.name)
    return EarlyExitModel(single, (), frozenset(layer.name for layer in model.layers))


def plain_copy(model: keras.Model) -> keras.Model:
    """A copy of `model` with its weights, every trecx layer replaced by its standard equivalent."""

    def standard(operation):
        if isinstance(operation, EarlyViewDepthwise):
            return operation.plain()
        return operation.__class__.from_config(operation.get_config())

    copy = keras.models.clone_model(model, clone_function=standard)
    for layer in model.layers:
        if isinstance(layer, EarlyViewDepthwise):
            copy.get_layer(layer.name).set_weights(layer.plain_weights())
        elif layer.weights:  # Layers without any, the input among them, may be renamed.
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _sort_by_depth(model: keras.Model, specs: Sequence[ExitSpec]) -> list[ExitSpec]:
    if not specs:
        raise InputError("at least one exit is needed")
    position = {layer.name: n for n, layer in enumerate(model.layers)}
    for spec in specs:
        if spec.at not in position:
            raise InputError(
                f"{model.name!r} has no layer {spec.at!r} to exit after; "
                f"{nearest(spec.at, position)}"
            )
    places = [spec.at for spec in specs]
    if len(set(places)) != len(places):
        raise InputError(f"two exits at one layer: {', '.join(places)}")
    return sorted(specs, key=lambda spec: position[spec.at])


def _features_at(model: keras.Model, name: str):
    outputs = {
        id(tensor): tensor
        for output in model.outputs
        for tensor in upstream(output)
        if producer(tensor).name == name
    }
    if len(outputs) != 1:
        raise InputError(
            f"an exit needs a layer with one output; {name!r} has {len(outputs)} in this model"
        )
    return next(iter(outputs.values()))


def _final_output(model: keras.Model, classifier: Classifier, views: list):
    """The final softmax; with views, over the sum of a dense layer for each of them.

    That is the dense layer over all features concatenated, but every summand keeps its own int8
    scale: features and views of different ranges would lose up to a point of accuracy in one
    tensor. The views' layers start at zero, so that a trained network is kept as it is.
    """
    output = model.outputs[0]
    if not views:
        if producer(output) is not classifier.dense or _has_softmax(classifier):
            return output
        return layers.Softmax(name="final_softmax")(output)
    own = layers.Dense(classifier.classes, use_bias=classifier.dense.use_bias, name="final_logits")
    summands = [own(classifier.features)]
    own.set_weights(classifier.dense.get_weights())
    for number, view in enumerate(views, start=1):
        dense = layers.Dense(
            classifier.classes,
            use_bias=False,
            kernel_initializer="zeros",
            name=f"final_view{number}_logits",
        )
        summands.append(dense(view))
    return layers.Softmax(name="final_softmax")(layers.Add(name="final_sum")(summands))


def _has_softmax(classifier: Classifier) -> bool:
    return classifier.dense.activation is keras.activations.softmax
