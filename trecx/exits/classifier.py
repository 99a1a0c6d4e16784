"""Where the classifier of a functional Keras model begins.

A classifier, for trecx, is a functional model with one input and one output whose last layer with
weights is a Dense layer, followed by nothing but a softmax.
"""

from dataclasses import dataclass

import keras

from trecx.errors import InputError


@dataclass(frozen=True)
class Classifier:
    """The end of a classifier.

    features: what the last Dense layer reads, shape (batch, n).
    feature_map: the last activation with two spatial axes before it, shape (batch, h, w, c), or
        None when the network has none.
    dense: the last Dense layer.
    """

    features: keras.KerasTensor
    feature_map: keras.KerasTensor | None
    dense: keras.layers.Dense

    @property
    def classes(self) -> int:
        return self.dense.units


def find_classifier(model: keras.Model) -> Classifier:
    """The classifier of `model`. Raises `InputError` when the model is not one."""
    check_functional(model)
    tensor = model.outputs[0]
    operation = producer(tensor)
    while not isinstance(operation, keras.layers.Dense):
        if not _is_softmax(operation):
            raise InputError(
                "a classifier must end in a Dense layer and a softmax; "
                f"{model.name!r} ends in {type(operation).__name__} {operation.name!r}"
            )
        tensor = sources(tensor)[0]
        operation = producer(tensor)
    if operation.activation not in (keras.activations.softmax, keras.activations.linear):
        raise InputError(
            "a classifier must end in a softmax over its classes; "
            f"{operation.name!r} ends in {keras.activations.serialize(operation.activation)}"
        )
    features = sources(tensor)[0]
    return Classifier(features, _last_map(features), operation)


def check_functional(model: keras.Model) -> None:
    """Raise `InputError` unless `model` is functional with one input and one output."""
    if not hasattr(model, "operations") or not hasattr(model, "outputs"):
        raise InputError(
            f"a functional Keras model is needed, got {type(model).__name__}; "
            "build subclassed models with the functional API first"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            "a model with one input and one output is needed; "
            f"{model.name!r} has {len(model.inputs)} and {len(model.outputs)}"
        )


def producer(tensor: keras.KerasTensor):
    """The operation that computes a symbolic tensor."""
    return tensor._keras_history.operation


def sources(tensor: keras.KerasTensor) -> list:
    """The symbolic tensors that `tensor` is computed from."""
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index].input_tensors


def upstream(tensor: keras.KerasTensor) -> list:
    """`tensor` and every symbolic tensor that it depends on, each once."""
    found, pending = {}, [tensor]
    while pending:
        current = pending.pop()
        if id(current) not in found:
            found[id(current)] = current
            pending.extend(sources(current))
    return list(found.values())


def _is_softmax(operation) -> bool:
    return isinstance(operation, keras.layers.Softmax) or (
        isinstance(operation, keras.layers.Activation)
        and operation.activation is keras.activations.softmax
    )


def _last_map(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """Walk back from the features, past flattening, pooling and dropout, to a spatial map."""
    skipped = (
        keras.layers.Flatten,
        keras.layers.Reshape,
        keras.layers.Dropout,
        keras.layers.AveragePooling2D,
        keras.layers.MaxPooling2D,
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalMaxPooling2D,
    )
    while isinstance(producer(tensor), skipped):
        tensor = sources(tensor)[0]
    return tensor if len(tensor.shape) == 4 else None
