"""What every early-exit method provides."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from trecx.exits.graft import EarlyExitModel, add_exits, without_exits
from trecx.task import ExitSpec, Samples

# Below every probability that matters, so that log never meets zero.
FLOOR = 1e-30


class Method:
    """A training procedure for a network with exits.

    exit_policy: name of the policy that the method was published with.
    figure: what `quality` measures.
    needs_trained_base: whether it works only on a network that is already trained.
    base_rate: the learning rate of the given network's layers, relative to that of the exits.
    """

    exit_policy = "max_softmax"
    figure = "accuracy"
    needs_trained_base = False
    base_rate = 1.0

    def graft(self, base: keras.Model, exits: Sequence[ExitSpec]) -> EarlyExitModel:
        """The network to train, built on `base`."""
        return add_exits(base, exits) if exits else without_exits(base)

    def on_epoch_begin(self, network: EarlyExitModel, epoch: int, epochs: int) -> None:
        """Called before each epoch, counted from 0."""

    def target(self, inputs, labels, classes: int, smoothing: float):
        """What the outputs should be: by default the smoothed class distribution.

        Args:
            inputs: the batch of network inputs.
            labels: class indices, shape (batch,).

        Returns:
            Shape (batch, classes): 1 - smoothing at the label, and smoothing shared by all.
        """
        target = ops.one_hot(labels, classes, dtype="float32")
        return target * (1 - smoothing) + smoothing / classes if smoothing else target

    def loss(self, target, outputs: Sequence[Any], exits: Sequence[ExitSpec], progress):
        """The scalar loss of a batch, computed with `keras.ops`.

        Args:
            target: what `target` returned.
            outputs: the network's outputs, exits first.
            exits: their specifications.
            progress: scalar tensor, completed epochs / epochs.
        """
        raise NotImplementedError

    def quality(self, output: np.ndarray, samples: Samples, classes: int) -> float:
        """The figure of merit of one output over all `samples`: top-1 accuracy."""
        return float(np.mean(np.argmax(output[:, :classes], axis=-1) == samples.labels))


def cross_entropy(target, probabilities):
    """Mean over the batch of -sum target log p; both of shape (batch, classes)."""
    return -ops.mean(ops.sum(target * ops.log(ops.maximum(probabilities, FLOOR)), axis=-1))
