"""Exit heads: small classifiers on a feature map.

A head is a function (features, classes, name, **options) -> Head, registered in `HEADS`. It names
its layers `<name>_...` and computes only what TensorFlow Lite's int8 converter can express.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from trecx.errors import InputError
from trecx.task import nearest


@dataclass(frozen=True)
class Head:
    """A built head.

    output: what the exit gives, shape (batch, classes), or (batch, classes + 1) when the last
        column is a learned confidence.
    logits: the class scores before softmax, shape (batch, classes).
    depthwise: the head's depthwise layer, if it has one (early-view assistance shares it).
    """

    output: keras.KerasTensor
    logits: keras.KerasTensor
    depthwise: keras.layers.DepthwiseConv2D | None = None


HeadBuilder = Callable[..., Head]
HEADS: dict[str, HeadBuilder] = {}


def register(name: str) -> Callable[[HeadBuilder], HeadBuilder]:
    """Add a head builder to `HEADS`."""

    def add(builder: HeadBuilder) -> HeadBuilder:
        HEADS[name] = builder
        return builder

    return add


def build_head(kind: str, features, classes: int, name: str, options) -> Head:
    """Build the head `kind` on a symbolic feature map of shape (batch, h, w, c).

    Raises `InputError` for an unknown head, unknown options, or features that are not a map.
    """
    if kind not in HEADS:
        raise InputError(f"unknown exit head {kind!r}; {nearest(kind, HEADS)}")
    if len(features.shape) != 4:
        raise InputError(
            "an exit head needs a feature map (batch, height, width, channels), "
            f"got {features.shape}"
        )
    try:
        return HEADS[kind](features, classes, name, **options)
    except TypeError as error:
        raise InputError(f"exit head {kind!r}: {error}") from None


@register("t-recx")
def t_recx_head(
    features,
    classes: int,
    name: str,
    *,
    channels: int = 32,
    project: bool = True,
    kernel: int = 2,
    stride: int = 2,
    pool: int = 4,
    padding: str = "same",
) -> Head:
    """T-RecX's head (Ghanathe and Wilton, arXiv 2207.06613).

    A linear 1x1 convolution to `channels` (or, with project=False, the first `channels` of the
    features), a depthwise convolution with ReLU, average pooling, a dense layer.
    """
    x = (
        layers.Conv2D(channels, 1, name=f"{name}_project")(features)
        if project
        else first_channels(features, channels)
    )
    depthwise = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, activation="relu", name=f"{name}_depthwise"
    )
    x = depthwise(x)
    x = layers.AveragePooling2D(pool, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    return _classify(x, classes, name, depthwise)


def first_channels(x, count: int):
    """The first `count` channels of a map; the map itself when it has no more."""
    if x.shape[-1] < count:
        raise InputError(f"the first {count} channels are wanted of a map with {x.shape[-1]}")
    return x if x.shape[-1] == count else x[..., :count]


def _classify(x, classes: int, name: str, depthwise=None) -> Head:
    logits = layers.Dense(classes, name=f"{name}_logits")(x)
    return Head(layers.Softmax(name=f"{name}_softmax")(logits), logits, depthwise)
