"""DS-CNN for keyword spotting: MLPerf Tiny's reference (kws01).

About 24k parameters, 2,656,768 MACs with 12 classes. Input: 49 frames x 10 MFCCs x 1.
"""

import keras
from keras import layers

FILTERS = 64
BLOCKS = 4


def build(classes: int = 12) -> keras.Model:
    """The network, with softmax output of shape (batch, classes)."""
    l2 = keras.regularizers.L2(1e-4)
    mfcc = keras.Input((49, 10, 1), name="mfcc")
    x = layers.Conv2D(
        FILTERS, (10, 4), strides=(2, 2), padding="same", kernel_regularizer=l2, name="stem_conv"
    )(mfcc)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.Dropout(0.2, name="stem_dropout")(x)
    for number in range(1, BLOCKS + 1):
        x = _separable_block(x, f"block{number}", l2)
    x = layers.Dropout(0.4, name="dropout")(x)
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, activation="softmax", name="classifier")(x)
    return keras.Model(mfcc, x, name="ds_cnn")


def _separable_block(x, name: str, l2):
    x = layers.DepthwiseConv2D(
        3, padding="same", depthwise_regularizer=l2, name=f"{name}_depthwise"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(FILTERS, 1, padding="same", kernel_regularizer=l2, name=f"{name}_pointwise")(
        x
    )
    x = layers.BatchNormalization(name=f"{name}_bn2")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
