"""Exit heads: small classifiers on a feature map.

A head is a function (features, classes, name, **options) -> Head, registered in `HEADS`. It names
its layers `<name>_...` and computes only what TensorFlow Lite's int8 converter can express.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
from keras import layers

from trecx.errors import InputError
from trecx.typed import nearest, require_options


@dataclass(frozen=True)
class Head:
    """A built head.

    output: what the exit gives, shape (batch, classes), or (batch, classes + 1) when the last
        column is a learned confidence.
    logits: the class scores before softmax, shape (batch, classes).
    features: what they are computed from, shape (batch, n).
    depthwise: the head's depthwise layer, if it has one (early-view assistance shares it).
    """

    output: keras.KerasTensor
    logits: keras.KerasTensor
    features: keras.KerasTensor
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
    require_options(f"exit head {kind!r}", HEADS[kind], options)
    with keras_refusals(f"exit head {kind!r} with {dict(options)}"):
        return HEADS[kind](features, classes, name, **options)


@contextlib.contextmanager
def keras_refusals(what: str) -> Iterator[None]:
    """What Keras says about layers that cannot be, as InputError: `what` cannot be built there."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()
        said = [line.strip() for line in plain if line.strip()]
        reason = next((line for line in said if not line.startswith("Exception enc")), repr(error))
        raise InputError(f"{what} cannot be built there: {reason}") from None


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


@register("tower")
def tower_head(
    features,
    classes: int,
    name: str,
    *,
    blocks: Sequence[tuple[str, int, int]],
    dropout: float = 0.0,
) -> Head:
    """A small network of its own: convolution blocks, global average pooling, a dense layer.

    Strided from its first block, it leaves the costly high-resolution layers of the network to
    the samples that need them.

    blocks: (kind, channels, stride) each; kind "full" is a 3x3 convolution, "separable" a 3x3
        depthwise and a 1x1 convolution; batch normalisation and ReLU follow every convolution.
    """
    x = features
    for number, (kind, channels, stride) in enumerate(blocks, start=1):
        if kind not in BLOCKS:
            raise InputError(f"unknown block {kind!r} in a tower; known: {', '.join(BLOCKS)}")
        x = BLOCKS[kind](x, channels, stride, f"{name}_block{number}")
    x = layers.AveragePooling2D(x.shape[1:3], name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return _classify(x, classes, name)


@register("pool")
def pool_head(features, classes: int, name: str, *, side: int = 4) -> Head:
    """SDN's head: pooling to about `side` x `side`, then a dense layer.

    Shallow-Deep Networks (Kaya, Hong and Dumitras, ICML 2019) mix maximum and average pooling by a
    learned weight. Here the dense layer reads both, of which any such mix is a special case; int8
    has no operator for the mix itself.
    """
    window = tuple(max(1, size // side) for size in features.shape[1:3])
    pooled = [
        layer(window, name=f"{name}_{kind}")(features)
        for kind, layer in (
            ("max", layers.MaxPooling2D),
            ("average", layers.AveragePooling2D),
        )
    ]
    x = layers.Concatenate(name=f"{name}_pools")(pooled)
    return _classify(layers.Flatten(name=f"{name}_flatten")(x), classes, name)


@register("conv")
def conv_head(
    features, classes: int, name: str, *, channels: int | None = None, pool: int = 4
) -> Head:
    """BranchyNet's head: a 3x3 convolution to half the channels, pooling, a dense layer.

    Teerapittayanon, McDanel and Kung, ICPR 2016 (arXiv 1709.01686).
    """
    channels = channels or features.shape[-1] // 2
    x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}_conv")(features)
    window = tuple(min(pool, size) for size in x.shape[1:3])
    x = layers.AveragePooling2D(window, name=f"{name}_pool")(x)
    return _classify(layers.Flatten(name=f"{name}_flatten")(x), classes, name)


@register("confidence")
def confidence_head(
    features, classes: int, name: str, *, convs: Sequence[int] = (), normalise: bool = False
) -> Head:
    """EENet's and PTEENet's head: a softmax branch and a confidence branch on the same vector.

    Global average pooling, then two dense layers; the output is the softmax with the confidence
    (a sigmoid) as a last column. EENet (arXiv 2409.05336) may normalise the features first;
    PTEENet (arXiv 2501.02508) puts 3x3 convolutions with `convs` channels before the pooling.
    """
    x = layers.BatchNormalization(name=f"{name}_bn")(features) if normalise else features
    for number, channels in enumerate(convs, start=1):
        x = _full(x, channels, 1, f"{name}_conv{number}")
    x = layers.AveragePooling2D(x.shape[1:3], name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    head = _classify(x, classes, name)
    confidence = layers.Dense(1, activation="sigmoid", name=f"{name}_confidence")(x)
    joined = layers.Concatenate(name=f"{name}_output")([head.output, confidence])
    return dataclasses.replace(head, output=joined)


def _full(x, channels: int, stride: int, name: str):
    x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False, name=name)(x)
    return _normalise(x, name)


def _separable(x, channels: int, stride: int, name: str):
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _normalise(x, f"{name}_depthwise")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
    return _normalise(x, f"{name}_pointwise")


BLOCKS = {"full": _full, "separable": _separable}


def _normalise(x, name: str):
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def first_channels(x, count: int):
    """The first `count` channels of a map; the map itself when it has no more."""
    if x.shape[-1] < count:
        raise InputError(f"the first {count} channels are wanted of a map with {x.shape[-1]}")
    return x if x.shape[-1] == count else x[..., :count]


def _classify(x, classes: int, name: str, depthwise=None) -> Head:
    logits = layers.Dense(classes, name=f"{name}_logits")(x)
    return Head(layers.Softmax(name=f"{name}_softmax")(logits), logits, x, depthwise)
