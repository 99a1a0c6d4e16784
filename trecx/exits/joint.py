"""The Keras model that trains all exits in one compiled step, on any backend."""

import keras

from trecx.exits.devices import loss_share
from trecx.exits.graft import EarlyExitModel
from trecx.exits.methods.method import Method
from trecx.exits.optimizer import make_optimizer
from trecx.task import Recipe


class JointModel(keras.Model):
    """A functional model with a method's loss over all its outputs; build with `joint_model`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        outputs = y_pred if isinstance(y_pred, (list, tuple)) else [y_pred]
        target = self.method.target(x, y, self.class_count, self.label_smoothing)
        loss = self.method.loss(target, outputs, self.exit_specs, self.progress)
        for regularisation in self.losses:
            loss = loss + regularisation
        return loss * self.loss_share

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        outputs = y_pred if isinstance(y_pred, (list, tuple)) else [y_pred]
        for metric, output in zip(self.exit_metrics, outputs, strict=False):
            metric.update_state(y, output[:, : self.class_count])
        return self.get_metrics_result()


def joint_model(
    network: EarlyExitModel, method: Method, recipe: Recipe, classes: int
) -> JointModel:
    """A compiled `JointModel` that shares the layers of `network`.

    Its `progress` variable must be set before each epoch to completed epochs / epochs.
    """
    model = JointModel(network.model.inputs[0], network.model.outputs, name=network.model.name)
    model.method = method
    model.exit_specs = network.exits
    model.class_count = classes
    model.loss_share = loss_share()
    model.label_smoothing = recipe.label_smoothing
    model.progress = keras.Variable(0.0, trainable=False, name="progress", dtype="float32")
    model.exit_metrics = [
        keras.metrics.SparseCategoricalAccuracy(name=f"{name}_accuracy")
        for name in output_names(len(network.exits))
        if method.figure == "accuracy"
    ]
    optimizer = make_optimizer(
        recipe, model.trainable_variables, _rates(model, network, method.base_rate)
    )
    # XLA on the CPU is slower for these networks than the backend's own kernels.
    model.compile(optimizer=optimizer, jit_compile=_jit())
    model.optimizer.build(model.trainable_variables)
    return model


def output_names(exits: int) -> list[str]:
    """Names of a network's outputs: exit1, exit2, ..., final."""
    return [f"exit{n}" for n in range(1, exits + 1)] + ["final"]


def _rates(model: keras.Model, network: EarlyExitModel, base_rate: float) -> list[float]:
    """Relative learning rates of the trainable variables."""
    given = {
        id(variable)
        for layer in network.model.layers
        if layer.name in network.base_layers
        for variable in layer.trainable_variables
    }
    return [base_rate if id(v) in given else 1.0 for v in model.trainable_variables]


def _jit() -> bool | str:
    return False if keras.backend.backend() == "tensorflow" else "auto"
