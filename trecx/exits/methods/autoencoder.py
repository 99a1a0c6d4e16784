"""Autoencoders for anomaly detection: no classes, no exits."""

import numpy as np
from keras import ops

from trecx.exits.methods.method import Method


class Autoencoder(Method):
    """Mean squared error between the network's output and its input."""

    exit_policy = "none"
    figure = "auc"

    def target(self, inputs, labels, classes, smoothing):
        return inputs

    def loss(self, target, outputs, exits, progress):
        return ops.mean(ops.square(outputs[-1] - target))

    def quality(self, output, samples, classes):
        """Area under the ROC curve of the reconstruction error, label 1 being an anomaly."""
        inputs = samples.inputs(slice(None))
        errors = np.mean((output - inputs) ** 2, axis=tuple(range(1, inputs.ndim)))
        return roc_auc(errors, samples.labels)


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a random positive scores above a random negative; ties count half.

    NaN when one of the two classes is absent.
    """
    order = np.argsort(scores, kind="stable")
    _, group, size = np.unique(scores[order], return_inverse=True, return_counts=True)
    last_rank = np.cumsum(size)
    rank = np.empty(len(scores))
    rank[order] = (last_rank - (size - 1) / 2)[group]
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    wins = rank[labels == 1].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))
