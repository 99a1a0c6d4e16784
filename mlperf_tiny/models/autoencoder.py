"""Dense autoencoder for anomaly detection: MLPerf Tiny's reference (ad01).

269,992 parameters, 264,192 MACs. Input and output: 640 log-mel energies (5 frames of 128); the
anomaly score is the mean squared difference between the two.
"""

import keras
from keras import layers

WIDTHS = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def build(features: int = 640) -> keras.Model:
    """The network, with linear output of shape (batch, features)."""
    energies = keras.Input((features,), name="energies")
    x = energies
    for number, width in enumerate(WIDTHS, start=1):
        x = layers.Dense(width, name=f"dense{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.Dense(features, name="reconstruction")(x)
    return keras.Model(energies, x, name="autoencoder")
