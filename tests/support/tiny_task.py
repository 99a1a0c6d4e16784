"""A task that trains in a second: 8x8 images of three classes, a small convolutional network."""

import keras
import numpy as np
from keras import layers

from trecx.task import ArraySamples, DataSplits, ExitSpec, Recipe, Task

LABELS = ("rows", "columns", "checks")
EXIT = ExitSpec(
    at="conv1",
    head="t-recx",
    options={"channels": 4, "kernel": 2, "stride": 2, "pool": 2},
    assist="early-view",
    assist_options={"stride": 1},
)
RECIPE = Recipe(
    "tiny", "t-recx", (EXIT,), epochs=4, batch_size=16, learning_rate=1e-2, augmentation="noise"
)


def build(classes: int = 3) -> keras.Model:
    """Three convolutions with batch normalisation and dropout, pooling, softmax."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.AveragePooling2D(4, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, activation="softmax", name="classifier")(x)
    return keras.Model(inputs, x, name="tiny")


def noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An augmentation."""
    return x + rng.normal(0, 0.1, x.shape)


def load(*, seed: int = 0, train: int = 96, calibration: int = 48, test: int = 48) -> DataSplits:
    """Stripes and checks with noise."""
    parts = []
    y, x = np.mgrid[0:8, 0:8]
    patterns = np.stack([y % 2, x % 2, (x + y) % 2])[..., None].astype(np.float32)
    for number, count in enumerate((train, calibration, test)):
        rng = np.random.default_rng([seed, number])
        labels = rng.permutation(np.arange(count) % 3).astype(np.int64)
        images = patterns[labels] + rng.normal(0, 0.5, (count, 8, 8, 1))
        parts.append(ArraySamples(images, labels, augmentations={"noise": noise}))
    return DataSplits("tiny stripes", *parts, labels=LABELS, synthetic=True)


TASK = Task(
    name="tiny",
    title="stripes",
    input_shape=(8, 8, 1),
    input_range=(-2.0, 3.0),
    labels=LABELS,
    build=build,
    sources={"synthetic": load},
    recipes={"tiny": RECIPE},
    default_recipe="tiny",
)
