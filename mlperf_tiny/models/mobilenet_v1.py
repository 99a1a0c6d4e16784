"""MobileNetV1 x0.25 for visual wake words: MLPerf Tiny's reference (vww01).

About 222k parameters, 7,489,664 MACs. Input: 96x96x3 pixels scaled to 0..1.
"""

import keras
from keras import layers

# Output channels and depthwise stride of the 13 separable blocks.
BLOCKS = (
    (16, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
)


def build(classes: int = 2) -> keras.Model:
    """The network, with softmax output of shape (batch, classes)."""
    l2 = keras.regularizers.L2(1e-4)
    pixels = keras.Input((96, 96, 3), name="pixels")
    x = layers.Conv2D(
        8,
        3,
        strides=2,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=l2,
        name="stem_conv",
    )(pixels)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        x = _separable_block(x, filters, stride, f"block{number}", l2)
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, activation="softmax", name="classifier")(x)
    return keras.Model(pixels, x, name="mobilenet_v1_025")


def _separable_block(x, filters: int, stride: int, name: str, l2):
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        depthwise_initializer="he_normal",
        depthwise_regularizer=l2,
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(
        filters,
        1,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=l2,
        name=f"{name}_pointwise",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn2")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
