"""A trained network learns exits from what it knew before, on inputs that need no labels."""

import keras
from keras import layers

from trecx.errors import InputError
from trecx.exits.methods.distilled import soft_cross_entropy
from trecx.exits.methods.method import Method, cross_entropy


class FineTuned(Method):
    """Every output, the final one too, is distilled from a fixed copy of the given network.

    For a network that is trained and data that are few: the exits learn what the network would
    say (Hinton, Vinyals and Dean, arXiv 1503.02531), and the final output is held to what it said
    before (Li and Hoiem, Learning without Forgetting, arXiv 1606.09282). Any alteration of the
    inputs has a right answer then, crops and mixtures included.

    The given layers learn at `base_rate` times the learning rate and without regularisation,
    which would pull them towards zero. Batch normalisation stays as it is, with the statistics of
    all the data that the network was once trained on, and there is no dropout.

    Args:
        share: of each output's loss that is distillation, 0..1; the rest is cross-entropy with
            the labels, which with 1 are not used at all.
        temperature: see `Distilled`.
        base_rate: 0..1; with 0 the given network stays as it is, bit for bit.
    """

    needs_trained_base = True

    def __init__(self, *, share: float = 1.0, temperature: float = 2.0, base_rate: float = 0.1):
        if not (0 <= share <= 1 and 0 <= base_rate <= 1 and temperature > 0):
            raise InputError(
                "share and base_rate must be in 0..1 and temperature positive, "
                f"got share {share}, base_rate {base_rate}, temperature {temperature}"
            )
        self.share, self.temperature, self.base_rate = share, temperature, base_rate
        self.teacher: keras.Model | None = None

    def graft(self, base, exits):
        self.teacher = _as_in_inference(base)
        self.teacher.trainable = False
        network = super().graft(_as_in_inference(base), exits)
        if self.base_rate == 0:
            network.freeze_base()
        return network

    def target(self, inputs, labels, classes, smoothing):
        """The smoothed class distribution and what the teacher says, each (batch, classes)."""
        hard = super().target(inputs, labels, classes, smoothing)
        return hard, self.teacher(inputs, training=False)

    def loss(self, target, outputs, exits, progress):
        hard, taught = target
        weights = [*(spec.loss_weight for spec in exits), 1.0]
        total = 0.0
        for weight, output in zip(weights, outputs, strict=True):
            soft = soft_cross_entropy(taught, output, self.temperature)
            known = cross_entropy(hard, output)
            total = total + weight * (self.share * soft + (1 - self.share) * known)
        return total


def _as_in_inference(model: keras.Model) -> keras.Model:
    """A copy without regularisers whose layers never switch to their behaviour in training."""

    def bare(layer):
        config = layer.get_config()
        unset = {name: None for name in config if name.endswith("_regularizer")}
        return layer.__class__.from_config(config | unset)

    copy = keras.models.clone_model(model, clone_function=bare)
    copy.set_weights(model.get_weights())
    # A fixed `training` argument would not do: the outermost model's overrides it.
    for layer in copy.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return copy
