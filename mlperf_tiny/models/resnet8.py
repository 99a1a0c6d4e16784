"""ResNet-8 for CIFAR-10: MLPerf Tiny's image classification reference (ic01).

78,666 parameters, 12,501,632 MACs. Input: 32x32x3 pixel values 0..255 as float32, not scaled.
"""

import keras
from keras import layers

STACKS = ((16, 1), (32, 2), (64, 2))


def build(classes: int = 10) -> keras.Model:
    """The network, with softmax output of shape (batch, classes)."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    x = _conv(pixels, 16, 3, 1, "stem_conv")
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, (filters, stride) in enumerate(STACKS, start=1):
        x = _stack(x, filters, stride, f"stack{number}")
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        classes, activation="softmax", kernel_initializer="he_normal", name="classifier"
    )(x)
    return keras.Model(pixels, x, name="resnet8")


def _stack(x, filters: int, stride: int, name: str):
    y = _conv(x, filters, 3, stride, f"{name}_conv1")
    y = layers.BatchNormalization(name=f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv(y, filters, 3, 1, f"{name}_conv2")
    y = layers.BatchNormalization(name=f"{name}_bn2")(y)
    if stride != 1:
        x = _conv(x, filters, 1, stride, f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv(x, filters: int, kernel: int, stride: int, name: str):
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
        name=name,
    )(x)
