"""What an exit gives to the final classifier.

An assistance is a function (head, classifier, name, **options) -> tensor of shape (batch, n), which
the final classifier reads beside its own features; registered in `ASSISTS`.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from trecx.errors import InputError
from trecx.exits.classifier import Classifier
from trecx.exits.heads import Head, first_channels, keras_refusals
from trecx.typed import nearest, require_options

ASSISTS: dict[str, Callable] = {}


def build_assist(kind: str, head: Head, classifier: Classifier, name: str, options):
    """Build the assistance `kind`. Raises `InputError` when it is unknown or cannot be built."""
    if kind not in ASSISTS:
        raise InputError(f"unknown exit assistance {kind!r}; {nearest(kind, ASSISTS)}")
    require_options(f"exit assistance {kind!r}", ASSISTS[kind], options)
    with keras_refusals(f"exit assistance {kind!r} with {dict(options)}"):
        return ASSISTS[kind](head, classifier, name, **options)


class EarlyViewDepthwise(layers.DepthwiseConv2D):
    """A depthwise layer that sees through an exit's filters until it is released.

    T-RecX copies the exit's depthwise weights into this layer before every batch, for the first
    part of training. Here the layer computes with the exit's variables themselves, behind a
    stopped gradient, as long as `tied` is 1: the same forward and backward pass with no copy. On
    `release` it takes a last copy and then trains on its own.
    """

    def __init__(self, source: layers.DepthwiseConv2D, **kwargs):
        super().__init__(
            source.kernel_size,
            depth_multiplier=source.depth_multiplier,
            activation=source.activation,
            use_bias=source.use_bias,
            **kwargs,
        )
        # In a closure, or Keras would track the exit's layer as a part of this one.
        self._source = lambda: source

    def build(self, input_shape):
        super().build(input_shape)
        self.tied = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="tied", dtype="float32"
        )

    def call(self, inputs):
        kernel, bias = self._effective_weights()
        outputs = ops.depthwise_conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        if bias is not None:
            outputs = outputs + bias
        return self.activation(outputs)

    def release(self) -> None:
        """Take over the exit's weights and train freely from now on."""
        if float(ops.convert_to_numpy(self.tied)) == 0.0:
            return
        # Copies: a backend that donates buffers to the next step must not find one twice.
        self.kernel.assign(np.array(ops.convert_to_numpy(self._source().kernel)))
        if self.use_bias:
            self.bias.assign(np.array(ops.convert_to_numpy(self._source().bias)))
        self.tied.assign(0.0)

    def plain(self) -> layers.DepthwiseConv2D:
        """An unbuilt standard layer of the same geometry and name, to take `plain_weights`."""
        return layers.DepthwiseConv2D(
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            depth_multiplier=self.depth_multiplier,
            activation=self.activation,
            use_bias=self.use_bias,
            name=self.name,
        )

    def plain_weights(self) -> list:
        """The weights that this layer computes with at present, as NumPy arrays."""
        return [ops.convert_to_numpy(w) for w in self._effective_weights() if w is not None]

    def _effective_weights(self):
        source, tied = self._source(), ops.convert_to_tensor(self.tied) > 0.5

        def choose(theirs, own):
            theirs = ops.stop_gradient(ops.convert_to_tensor(theirs))
            return ops.where(tied, theirs, ops.convert_to_tensor(own))

        bias = choose(source.bias, self.bias) if self.use_bias else None
        return choose(source.kernel, self.kernel), bias


def early_view(
    head: Head,
    classifier: Classifier,
    name: str,
    *,
    stride: int = 1,
    padding: str = "same",
    keep: int | None = None,
    pool: tuple[int, int] | None = None,
) -> keras.KerasTensor:
    """T-RecX's early-view assistance (arXiv 2207.06613).

    A depthwise layer of the exit's shape over the first channels of the final feature map; the
    first `keep` channels of the result, average-pooled by `pool`, flattened.
    """
    if head.depthwise is None:
        raise InputError("early-view assistance needs an exit head with a depthwise layer")
    if classifier.feature_map is None:
        raise InputError("early-view assistance needs a network that ends in a feature map")
    channels = head.depthwise.input.shape[-1]
    x = first_channels(classifier.feature_map, channels)
    x = EarlyViewDepthwise(
        head.depthwise, strides=stride, padding=padding, name=f"{name}_early_view"
    )(x)
    if keep is not None:
        x = first_channels(x, keep)
    if pool is not None:
        x = layers.AveragePooling2D(tuple(pool), name=f"{name}_view_pool")(x)
    return layers.Flatten(name=f"{name}_view_flatten")(x)


def exit_features(head: Head, classifier: Classifier, name: str) -> keras.KerasTensor:
    """The pooled features that the exit itself classified: nothing more to compute.

    The final classifier then decides from both, as an ensemble of the two exits would.
    """
    return head.features


ASSISTS |= {"early-view": early_view, "features": exit_features}
