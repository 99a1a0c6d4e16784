"""Every method: one contract over the registry, and what each was published to do."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from tests.support import tiny_task
from trecx.errors import InputError
from trecx.exits import load_trained, predict, train
from trecx.exits.graft import add_exits
from trecx.exits.methods import METHODS, make_method
from trecx.exits.methods.autoencoder import roc_auc
from trecx.exits.methods.distilled import Distilled
from trecx.exits.methods.eenet import EENet
from trecx.exits.methods.sdn import ShallowDeep
from trecx.policies import FAMILIES
from trecx.task import ExitSpec, Recipe
from trecx.tflite.convert import convert
from trecx.tflite.importer import read_graph

# The head that each method was published with, at both places of the tiny network.
HEADS = {
    "t-recx": ("t-recx", {"channels": 4, "pool": 2}),
    "eenet": ("confidence", {"normalise": True}),
    "pteenet": ("confidence", {"convs": [6]}),
    "branchynet": ("conv", {"pool": 2}),
    "sdn": ("pool", {"side": 2}),
    "distilled": ("tower", {"blocks": [["full", 6, 2], ["separable", 8, 1]]}),
    "fine-tuned": ("tower", {"blocks": [["separable", 8, 2]]}),
}


def recipe_for(name, epochs=1, **changes):
    head, options = HEADS[name]
    exits = tuple(ExitSpec(at, head, options) for at in ("conv1", "conv2"))
    return dataclasses.replace(
        Recipe(name, name, exits, epochs=epochs, batch_size=16, learning_rate=1e-2), **changes
    )


@pytest.fixture(scope="module")
def base():
    keras.utils.set_random_seed(0)
    return tiny_task.build()


def test_every_exit_method_is_in_the_contract():
    assert set(HEADS) == set(METHODS) - {"base", "autoencoder"}


@pytest.mark.parametrize("name", HEADS)
def test_contract(name, tmp_path, base):
    """With several exits: trains, is stored and read, converts, and names a known policy."""
    data = tiny_task.load()
    start = keras.models.clone_model(base)
    trained = train(tiny_task.TASK, recipe_for(name), data, tmp_path, base=start)
    assert trained.output_names == ["exit1", "exit2", "final"]
    assert trained.exit_policy in FAMILIES
    loaded = load_trained(tmp_path)
    assert loaded.exit_policy == trained.exit_policy
    outputs = predict(loaded.model, data.test)
    width = 3 + FAMILIES[trained.exit_policy].extra_units
    assert [output.shape for output in outputs] == [(48, width), (48, width), (48, 3)]
    for output in outputs:
        assert np.all((output >= 0) & (output <= 1))
        np.testing.assert_allclose(output[:, :3].sum(1), 1, rtol=1e-5)
    graph = read_graph(convert(loaded.model, data.train.inputs(slice(0, 50))).content)
    assert sorted(t.shape for t in graph.outputs) == sorted([(1, 3), (1, width), (1, width)])


@pytest.mark.parametrize("name", METHODS)
def test_unknown_options_are_refused(name):
    exits = () if name in ("base", "autoencoder") else recipe_for(name).exits
    with pytest.raises(InputError, match=f"method '{name}' has no option 'wrong'"):
        make_method(Recipe("r", name, exits, method_options={"wrong": 1}))


def test_unknown_method_lists_the_known():
    with pytest.raises(InputError, match=r"unknown method 't-rex'; did you mean 't-recx'\?"):
        make_method(recipe_for("sdn", method="t-rex"))


def test_pteenet_leaves_the_backbone_bit_identical(tmp_path, base):
    start = keras.models.clone_model(base)
    start.set_weights(base.get_weights())
    data = tiny_task.load()
    before = predict(base, data.test)[0]
    trained = train(tiny_task.TASK, recipe_for("pteenet", 2), data, tmp_path, base=start)
    for layer in base.layers:
        for old, new in zip(
            layer.get_weights(), trained.model.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(predict(trained.model, data.test)[-1], before)
    changed = trained.model.get_layer("exit1_conv1").get_weights()[0]
    assert np.ptp(changed) > 0
    assert trained.history[0]["exit1_accuracy"] != trained.history[1]["exit1_accuracy"]


def test_pteenet_needs_a_trained_network(tmp_path):
    with pytest.raises(InputError, match="adds exits to a trained network"):
        train(tiny_task.TASK, recipe_for("pteenet"), tiny_task.load(), tmp_path)


def test_eenet_leaves_earlier_the_more_cost_weighs(tmp_path):
    data = tiny_task.load(train=192)
    mean_confidence = []
    for weight in (0.0, 4.0):
        options = {"cost_weight": weight}
        recipe = recipe_for("eenet", 6, method_options=options)
        trained = train(tiny_task.TASK, recipe, data, tmp_path / str(weight), seed=1)
        mean_confidence.append(float(predict(trained.model, data.test)[0][:, -1].mean()))
    assert mean_confidence[1] > mean_confidence[0] + 0.2


def test_eenet_loss_by_hand():
    method = EENet(cost_weight=0.5, every_exit=False)
    method.costs = [0.25, 0.5]
    target = ops.convert_to_tensor(np.array([[1.0, 0.0]], "float32"))
    one = np.array([[0.9, 0.1, 0.8]], "float32")
    two = np.array([[0.6, 0.4, 0.5]], "float32")
    final = np.array([[0.3, 0.7]], "float32")
    inner = 0.5 * 0.6 + 0.5 * 0.3
    expected = -np.log(0.8 * 0.9 + 0.2 * inner) + 0.5 * (0.8 * 0.25 + 0.2 * (0.5 * 0.5 + 0.5 * 1))
    outputs = [ops.convert_to_tensor(o) for o in (one, two, final)]
    assert float(method.loss(target, outputs, (), 0.0)) == pytest.approx(expected, rel=1e-6)
    every = EENet(cost_weight=0.5)
    every.costs = method.costs
    expected += -np.log(inner) + 0.5 * (0.5 * 0.5 + 0.5 * 1)
    assert float(every.loss(target, outputs, (), 0.0)) == pytest.approx(expected, rel=1e-6)


def test_sdn_weights_grow_to_the_relative_cost():
    method = ShallowDeep()
    network = method.graft(tiny_task.build(), recipe_for("sdn").exits)
    assert 0 < method.costs[0] < method.costs[1] < 1
    target = ops.convert_to_tensor(np.array([[1.0, 0.0, 0.0]], "float32"))
    wrong, right = (
        ops.convert_to_tensor(np.array([p], "float32")) for p in ([0.5, 0.25, 0.25], [1, 0, 0])
    )
    outputs = [wrong, right, right]
    begin, end = (float(method.loss(target, outputs, network.exits, p)) for p in (0.0, 1.0))
    assert begin == pytest.approx(0.01 * np.log(2), rel=1e-5)
    assert end == pytest.approx(method.costs[0] * np.log(2), rel=1e-5)


def test_distillation_by_hand():
    target = ops.convert_to_tensor(np.array([[1.0, 0.0]], "float32"))
    student, teacher = np.array([[0.6, 0.4]], "float32"), np.array([[0.8, 0.2]], "float32")
    spec = ExitSpec("conv1", "conv", loss_weight=0.7)
    outputs = [ops.convert_to_tensor(o) for o in (student, teacher)]

    def soft(p):
        return np.sqrt(p) / np.sqrt(p).sum()

    hard, distance = -np.log(0.6), -(soft(teacher) * np.log(soft(student))).sum() * 4
    expected = -np.log(0.8) + 0.7 * (0.75 * hard + 0.25 * distance)
    method = Distilled(share=0.25, temperature=2.0)
    assert float(method.loss(target, outputs, [spec], 0.0)) == pytest.approx(expected, rel=1e-5)


def test_exit_features_reach_the_final_classifier():
    spec = ExitSpec("conv1", *HEADS["distilled"], assist="features")
    network = add_exits(tiny_task.build(), [spec])
    assert network.model.get_layer("final_view1_logits").kernel.shape == (8, 3)


@pytest.mark.parametrize(
    "scores, labels, expected",
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 1, 0, 1], 0.875),
    ],
)
def test_area_under_the_curve(scores, labels, expected):
    assert roc_auc(np.array(scores, float), np.array(labels)) == expected


def test_area_under_the_curve_needs_both_classes():
    assert np.isnan(roc_auc(np.arange(3.0), np.zeros(3)))
