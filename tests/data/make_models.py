"""Makes the .tflite files of this folder. Needs TensorFlow; run once, the results are committed.

    python -m tests.data.make_models

Small relatives of the benchmark's networks, so that the files stay small. Weights are random; batch
normalisation and the last layers are fitted to the patterns of `tests.support.patterns`, so that
the outputs differ from sample to sample and confident and hesitant ones both occur.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from unittest import mock

import keras
import numpy as np
from keras import layers

from tests.support.patterns import patterns
from trecx.tflite.convert import convert

FOLDER = Path(__file__).parent


def conv_bn(x, filters, kernel, stride=1, relu=True):
    x = layers.Conv2D(filters, kernel, stride, padding="same")(x)
    x = layers.BatchNormalization(momentum=0)(x)
    return layers.ReLU()(x) if relu else x


def depthwise_bn(x, stride=1):
    x = layers.DepthwiseConv2D(3, stride, padding="same")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0)(x))


def classifier(x, classes):
    return layers.Dense(classes, activation="softmax")(x)


def residual_block(x, filters, stride):
    y = conv_bn(x, filters, 3, stride)
    y = conv_bn(y, filters, 3, relu=False)
    if stride != 1:
        x = layers.Conv2D(filters, 1, stride, padding="same")(x)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet(exits=True):
    """ResNet-8's shape at half the size, with T-RecX's exit and EV assistance."""
    image = keras.Input((16, 16, 3))
    x = conv_bn(image, 8, 3)
    x = stem = residual_block(x, 8, 1)
    x = residual_block(x, 16, 2)
    x = residual_block(x, 32, 2)
    pooled = layers.Flatten()(layers.AveragePooling2D(4)(x))
    view = layers.DepthwiseConv2D(2, 2, activation="relu")(x[..., :16])
    final = classifier(layers.Concatenate()([pooled, layers.Flatten()(view)]), 10)
    if not exits:
        return keras.Model(image, final)
    e = layers.Conv2D(16, 1)(stem)
    e = layers.DepthwiseConv2D(2, 2, activation="relu")(e)
    e = layers.Flatten()(layers.AveragePooling2D(4)(e))
    return keras.Model(image, [classifier(e, 10), final])


def ds_cnn():
    """DS-CNN's shape with two exits, the second in the middle of a residual connection."""
    features = keras.Input((25, 5, 1))
    x = conv_bn(depthwise_bn(conv_bn(features, 16, (5, 3), 2)), 16, 1)
    first = classifier(layers.Flatten()(layers.AveragePooling2D((4, 3))(x)), 12)
    y = conv_bn(depthwise_bn(x), 16, 1)
    second = classifier(layers.GlobalAveragePooling2D()(y[..., :8]), 12)
    x = layers.Add()([x, conv_bn(depthwise_bn(y), 16, 1)])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    return keras.Model(features, [first, second, classifier(x, 12)])


def learned_confidence():
    """An exit whose output is the class scores and, behind them, a learned confidence."""
    image = keras.Input((12, 12, 1))
    x = conv_bn(image, 8, 3, 2)
    pooled = layers.GlobalAveragePooling2D()(x)
    h = layers.Dense(1, activation="sigmoid")(pooled)
    early = layers.Concatenate()([classifier(pooled, 4), h])
    x = conv_bn(x, 16, 3, 2)
    return keras.Model(image, [early, classifier(layers.GlobalAveragePooling2D()(x), 4)])


def autoencoder():
    """A single-output model of dense layers, as an example of one made elsewhere."""
    features = keras.Input((64,))
    x = features
    for units in (16, 4, 16):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0)(layers.Dense(units)(x)))
    return keras.Model(features, layers.Dense(64)(x))


def fit_to_samples(model, samples, sharpness=3.0):
    """Statistics of batch normalisation from the samples, and logits of standard deviation 3."""
    for _ in range(3):
        model(samples, training=True)
    for layer in model.layers:
        if not isinstance(layer, layers.Dense) or layer.activation is keras.activations.linear:
            continue
        before = keras.Model(model.inputs, layer.input)(samples, training=False).numpy()
        kernel, _ = layer.get_weights()
        logits = before @ kernel
        kernel = kernel * sharpness / logits.std(axis=0)
        layer.set_weights([kernel, -(before @ kernel).mean(axis=0)])


def main() -> None:
    models = {
        "resnet_exit": resnet,
        "ds_cnn_two_exits": ds_cnn,
        "learned_confidence": learned_confidence,
        "resnet_plain": lambda: resnet(exits=False),
        "autoencoder": autoencoder,
    }
    # The tests of exact_concatenations need what it is applied to.
    as_the_converter_writes_it = mock.patch(
        "trecx.tflite.convert.exact_concatenations", lambda model: model
    )
    record = {}
    for seed, (name, build) in enumerate(models.items()):
        keras.utils.set_random_seed(seed)
        model = build()
        random = np.random.default_rng(seed)
        samples = patterns(random, 200, model.inputs[0].shape[1:])
        fit_to_samples(model, samples)
        with as_the_converter_writes_it:
            converted = convert(model, samples)
        (FOLDER / f"{name}.tflite").write_bytes(converted.content)
        record[name] = {
            "outputs": list(converted.outputs),
            "sha256": hashlib.sha256(converted.content).hexdigest(),
        }
        print(name, len(converted.content), converted.outputs)
    (FOLDER / "models.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
