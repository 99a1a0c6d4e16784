"""The first channels of a feature map, with a gradient that is cheap on every backend."""

from keras import layers, ops

from trecx.errors import InputError


def first_channels(x, count: int):
    """The first `count` channels of a map; the map itself when it has no more."""
    if x.shape[-1] < count:
        raise InputError(f"the first {count} channels are wanted of a map with {x.shape[-1]}")
    return x if x.shape[-1] == count else FirstChannels(count)(x)


class FirstChannels(layers.Layer):
    """x[..., :count], computed as a split while training.

    TensorFlow's gradient of a slice of the last axis takes several times as long as the
    convolutions around it; that of a split is a concatenation with zeros.
    """

    def __init__(self, count: int, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, inputs):
        return ops.split(inputs, [self.count], axis=-1)[0]

    def plain(self, inputs):
        """The same as the slice that converters know."""
        return inputs[..., : self.count]

    def get_config(self):
        return super().get_config() | {"count": self.count}
