"""Grafting: the published geometries, the tied early view, errors that help."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from mlperf_tiny.tasks import TASKS
from tests.support import tiny_task
from trecx.errors import InputError
from trecx.exits import add_exit, add_exits
from trecx.exits.assist import EarlyViewDepthwise
from trecx.exits.cost import segment_macs
from trecx.exits.graft import plain_copy
from trecx.exits.joint import joint_model
from trecx.exits.methods import make_method
from trecx.task import ExitSpec

# (task, MACs of the exit path, MACs of the base): t-recx.md's cost table in exact numbers.
PUBLISHED = [("ic", 5_723_136, 12_501_632), ("kws", 1_501_536, 2_656_768)]
PUBLISHED += [("vww", 3_309_696, 7_489_664)]


def values(tensor):
    """A tensor or variable of any backend as an array."""
    return ops.convert_to_numpy(tensor)


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype("float32")


def grafted(**changes):
    keras.utils.set_random_seed(3)
    return add_exits(tiny_task.build(), [tiny_task.EXIT])


@pytest.mark.parametrize("name, exit_path, base", PUBLISHED)
def test_published_costs(name, exit_path, base):
    task = TASKS[name]
    network = task.build(len(task.labels))
    assert segment_macs(network) == [base]
    spec = task.recipe("t-recx-no-ev").exits
    assert segment_macs(add_exits(network, spec).model)[0] == exit_path
    with_view = segment_macs(add_exits(network, task.recipe("t-recx").exits).model)
    assert with_view[0] == exit_path
    # The early view and the wider classifier cost little beside the network.
    without_view = segment_macs(add_exits(network, spec).model)
    assert 0 < with_view[1] - without_view[1] < 0.015 * base


def test_without_assistance_the_network_is_untouched(batch):
    base = tiny_task.build()
    network = add_exit(base, "conv1", head_options={"channels": 4, "pool": 2})
    exit_output, final = network.model(batch, training=False)
    np.testing.assert_array_equal(values(final), values(base(batch, training=False)))
    assert exit_output.shape == final.shape
    np.testing.assert_allclose(np.sum(values(exit_output), axis=1), 1, rtol=1e-5)
    assert network.base_layers == {layer.name for layer in base.layers}


def test_with_assistance_a_trained_network_is_kept_until_training_changes_it(batch):
    base = tiny_task.build()
    network = add_exits(base, [tiny_task.EXIT])
    np.testing.assert_array_equal(
        values(network.model(batch)[-1]), values(base(batch, training=False))
    )
    view = network.model.get_layer("final_view1_logits")
    assert view.kernel.shape == (4 * 4 * 4, 3)


def test_tied_view_computes_with_the_exits_filters(batch):
    network = grafted()
    view, source = (
        network.model.get_layer(name) for name in ("exit1_early_view", "exit1_depthwise")
    )
    assert isinstance(view, EarlyViewDepthwise)
    source.kernel.assign(np.random.default_rng(1).normal(size=source.kernel.shape))
    reference = layers.DepthwiseConv2D(2, padding="same", activation="relu")
    x = np.random.default_rng(2).normal(size=(3, 4, 4, 4)).astype("float32")
    reference(x)
    reference.set_weights(source.get_weights())
    np.testing.assert_allclose(values(view(x)), values(reference(x)), rtol=1e-6)

    network.release_assists()
    np.testing.assert_array_equal(values(view.kernel), values(source.kernel))
    source.kernel.assign(ops.zeros_like(source.kernel))
    np.testing.assert_allclose(values(view(x)), values(reference(x)), rtol=1e-6)
    network.release_assists()  # A second release must not copy again.
    assert np.any(values(view.kernel))


def test_view_sends_no_gradient_into_the_exit():
    """With no loss at the exit, its filters must not move; the view's move only when released."""
    keras.utils.set_random_seed(3)
    spec = dataclasses.replace(tiny_task.EXIT, loss_weight=0.0)
    recipe = dataclasses.replace(tiny_task.RECIPE, exits=(spec,))
    method = make_method(recipe)
    network = method.graft(tiny_task.build(), recipe.exits)
    model = joint_model(network, method, recipe, 3)
    data = tiny_task.load().train
    view = model.get_layer("final_view1_logits").kernel
    view.assign(np.random.default_rng(0).normal(size=view.shape))
    watched = [
        model.get_layer(name).weights[0]
        for name in ("exit1_depthwise", "exit1_early_view", "final_view1_logits")
    ]

    def moved_in_one_step():
        before = [values(weight).copy() for weight in watched]
        model.fit(data.inputs(slice(0, 16)), data.labels[:16], batch_size=16, verbose=0)
        return [not np.array_equal(values(w), b) for w, b in zip(watched, before, strict=True)]

    assert moved_in_one_step() == [False, False, True]
    network.release_assists()
    assert moved_in_one_step() == [False, True, True]


@pytest.mark.parametrize("released", [False, True])
def test_plain_copy_has_standard_layers_and_the_same_outputs(batch, released):
    network = grafted()
    if released:
        network.release_assists()
    copy = plain_copy(network.model)
    assert not any(isinstance(layer, EarlyViewDepthwise) for layer in copy.layers)
    for one, two in zip(network.model(batch), copy(batch), strict=True):
        np.testing.assert_array_equal(values(one), values(two))


def test_several_exits_come_out_in_depth_order(batch):
    specs = [
        ExitSpec("conv2", "t-recx", {"channels": 8, "pool": 2}),
        ExitSpec("conv1", "t-recx", {"channels": 4, "pool": 4}),
    ]
    network = add_exits(tiny_task.build(), specs)
    assert [spec.at for spec in network.exits] == ["conv1", "conv2"]
    assert len(network.model(batch)) == 3
    costs = segment_macs(network.model)
    assert len(costs) == 3
    assert all(cost > 0 for cost in costs)


def test_a_classifier_without_softmax_gets_one(batch):
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.Flatten()(x)
    logits = layers.Dense(3)(x)
    network = add_exit(keras.Model(inputs, logits), "conv", head_options={"channels": 4, "pool": 2})
    np.testing.assert_allclose(np.sum(values(network.model(batch)[1]), axis=1), 1, rtol=1e-5)


def test_unknown_layer_offers_the_nearest():
    with pytest.raises(InputError, match=r"no layer 'conv_1'.*did you mean 'conv1'\?"):
        add_exit(tiny_task.build(), "conv_1")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"head": "t-rex"}, r"unknown exit head 't-rex'; did you mean 't-recx'\?"),
        ({"options": {"chanels": 3}}, "chanels"),
        ({"assist": "early-vew"}, "unknown exit assistance"),
        ({"at": "flatten"}, "needs a feature map"),
        ({"assist_options": {"keep": 99}}, "first 99 channels are wanted of a map with 4"),
    ],
)
def test_bad_specifications(change, message):
    spec = ExitSpec(**{**vars(tiny_task.EXIT), **change})
    with pytest.raises(InputError, match=message):
        add_exits(tiny_task.build(), [spec])


def test_two_exits_at_one_layer():
    with pytest.raises(InputError, match="two exits at one layer: conv1, conv1"):
        add_exits(tiny_task.build(), [tiny_task.EXIT, tiny_task.EXIT])


def test_models_that_are_no_classifier():
    inputs = keras.Input((8, 8, 1))
    convolution = keras.Model(inputs, layers.Conv2D(3, 3)(inputs))
    with pytest.raises(InputError, match=r"must end in a Dense layer and a softmax.*Conv2D"):
        add_exit(convolution, "conv1")
    sigmoid = keras.Model(inputs, layers.Dense(3, activation="sigmoid")(layers.Flatten()(inputs)))
    with pytest.raises(InputError, match="sigmoid"):
        add_exit(sigmoid, "conv1")
    two = keras.Model(inputs, [inputs, inputs])
    with pytest.raises(InputError, match="one input and one output"):
        add_exit(two, "conv1")

    class Subclassed(keras.Model):
        pass

    with pytest.raises(InputError, match="functional Keras model is needed, got Subclassed"):
        add_exit(Subclassed(), "conv1")
