"""Adam, with a learning rate of its own for each variable where a method wants that."""

from collections.abc import Sequence

import keras

from trecx.task import Recipe


class LayerwiseAdam(keras.optimizers.Adam):
    """Adam that multiplies the learning rate of the n-th trainable variable by `rates[n]`.

    Scaling the gradients instead would change nothing: Adam divides by their size.
    """

    def __init__(self, *args, rates: Sequence[float], **kwargs):
        super().__init__(*args, **kwargs)
        self.rates = tuple(rates)

    def update_step(self, gradient, variable, learning_rate):
        rate = self.rates[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * rate)


def make_optimizer(
    recipe: Recipe, variables: Sequence, rates: Sequence[float]
) -> keras.optimizers.Optimizer:
    """The optimiser of a recipe for `variables`, whose learning rates are `rates` of the recipe's.

    Weight decay is for those with the full rate, apart from biases and batch normalisation.
    """
    slow = [variable for variable, rate in zip(variables, rates, strict=True) if rate != 1.0]
    decay = recipe.weight_decay or None
    if slow:
        optimizer = LayerwiseAdam(recipe.learning_rate, weight_decay=decay, rates=rates)
    else:
        optimizer = keras.optimizers.Adam(recipe.learning_rate, weight_decay=decay)
    if decay:
        optimizer.exclude_from_weight_decay(slow, var_names=["bias", "gamma", "beta"])
    return optimizer
