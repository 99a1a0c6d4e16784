"""Fine-tuning from few inputs: a teacher that stays, no labels needed, slow given layers."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from tests.support import tiny_task
from trecx.errors import InputError
from trecx.exits import predict, train
from trecx.exits.joint import joint_model
from trecx.exits.methods.fine_tuned import FineTuned
from trecx.exits.optimizer import LayerwiseAdam, make_optimizer
from trecx.task import ArraySamples, ExitSpec, Recipe

EXIT = ExitSpec("conv1", "conv", {"pool": 2}, loss_weight=0.7)
RECIPE = Recipe(
    "fine-tuned",
    "fine-tuned",
    (EXIT,),
    epochs=6,
    batch_size=16,
    learning_rate=1e-2,
    method_options={"base_rate": 0.01},
)


@pytest.fixture(scope="module")
def data():
    return tiny_task.load()


@pytest.fixture(scope="module")
def given(data, tmp_path_factory):
    """A trained network with regularisation, batch normalisation and dropout."""
    recipe = Recipe("base", epochs=8, batch_size=16, learning_rate=1e-2)
    trained = train(tiny_task.TASK, recipe, data, tmp_path_factory.mktemp("given"))
    return trained.model


def tuned(folder, given, data, seed=0, **options):
    recipe = dataclasses.replace(RECIPE, method_options=RECIPE.method_options | options)
    return train(tiny_task.TASK, recipe, data, folder, base=given, seed=seed)


def changes(given, trained):
    """Largest change of every weight of the given network."""
    return {
        variable.path: np.max(np.abs(ops.convert_to_numpy(new) - ops.convert_to_numpy(variable)))
        for layer in given.layers
        if layer.weights  # Layers without any may be renamed.
        for variable, new in zip(
            layer.weights, trained.model.get_layer(layer.name).weights, strict=True
        )
    }


def test_given_layers_learn_slowly_and_batch_normalisation_stays(tmp_path, given, data):
    before = predict(given, data.test)[0]
    trained = tuned(tmp_path, given, data)
    found = changes(given, trained)
    for path, change in found.items():
        # 36 steps of Adam at a hundredth of 0.01, each of about that size at most.
        good = change == 0 if path.startswith("bn/") else 0 < change < 2 * 36 * 1e-4
        assert good, (path, change)
    early, final = predict(trained.model, data.test)
    assert np.mean(final.argmax(1) == before.argmax(1)) > 0.95
    assert np.mean(early.argmax(1) == before.argmax(1)) > 0.6


def test_labels_are_not_used_with_a_share_of_one(tmp_path, given, data):
    wrong = ArraySamples(data.train.x, (data.train.labels + 1) % 3)
    one, two = (
        tuned(tmp_path / name, given, dataclasses.replace(data, train=samples))
        for name, samples in (("a", data.train), ("b", wrong))
    )
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_with_a_rate_of_zero_the_network_stays_as_it_is(tmp_path, given, data):
    before = predict(given, data.test)[0]
    trained = tuned(tmp_path, given, data, base_rate=0)
    assert set(changes(given, trained).values()) == {0}
    np.testing.assert_array_equal(predict(trained.model, data.test)[1], before)


def test_the_teacher_is_the_given_network_and_stays(given, data):
    method = FineTuned(base_rate=1.0)
    network = method.graft(given, [EXIT])
    model = joint_model(network, method, RECIPE, 3)
    x, labels = data.train.inputs(slice(0, 16)), data.train.labels[:16]
    expected = ops.convert_to_numpy(given(x, training=False))
    for _ in range(3):
        model.train_on_batch(x, labels)
    hard, taught = method.target(x, labels, 3, 0.0)
    np.testing.assert_array_equal(ops.convert_to_numpy(taught), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(hard).argmax(1), labels)
    assert not any(v is w for v in method.teacher.variables for w in model.variables)


def test_regularisation_of_the_given_network_is_left_out():
    given = tiny_task.build()
    config = given.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "Conv2D":
            layer["config"]["kernel_regularizer"] = {
                "class_name": "L2",
                "config": {"l2": 0.1},
                "module": "keras.regularizers",
                "registered_name": None,
            }
    given = keras.Model.from_config(config)
    assert given.losses
    assert not FineTuned().graft(given, [EXIT]).model.losses


def test_loss_by_hand():
    hard, taught = np.array([[1.0, 0.0]], "float32"), np.array([[0.8, 0.2]], "float32")
    outputs = np.array([[[0.6, 0.4]], [[0.9, 0.1]]], "float32")

    def soft(p):
        return np.sqrt(p) / np.sqrt(p).sum()

    def one(p):
        distance = -(soft(taught) * np.log(soft(p))).sum() * 4
        return 0.75 * distance - 0.25 * np.log(p[0, 0])

    method = FineTuned(share=0.75, temperature=2.0)
    loss = method.loss((hard, taught), list(outputs), [EXIT], 0.0)
    assert float(loss) == pytest.approx(0.7 * one(outputs[0]) + one(outputs[1]), rel=1e-5)


@pytest.mark.parametrize(
    "options", [{"share": 1.1}, {"base_rate": -0.1}, {"base_rate": 2}, {"temperature": 0}]
)
def test_options_out_of_range(options):
    [(name, value)] = options.items()
    with pytest.raises(InputError, match=rf"must be in 0..1 .*{name} {value}"):
        FineTuned(**options)


def test_rates_scale_the_steps_and_spare_slow_variables_from_decay():
    fast, slow = (keras.Variable(np.ones(3, "float32"), name=name) for name in "ab")
    recipe = Recipe("r", learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(recipe, [fast, slow], [1.0, 0.01])
    assert isinstance(optimizer, LayerwiseAdam)
    gradient = ops.ones(3)
    optimizer.apply([gradient, gradient], [fast, slow])
    # Adam's first step is as large as the learning rate; the decay of the first comes before it.
    np.testing.assert_allclose(ops.convert_to_numpy(fast), 1 - 0.05 - 0.1, rtol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(slow), 1 - 0.001, rtol=1e-4)
    assert type(make_optimizer(recipe, [fast], [1.0])).__name__ == "Adam"
