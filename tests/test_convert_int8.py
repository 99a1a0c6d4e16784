"""Conversion: one int8 model, only operators that the compiler knows, outputs found by name."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from mlperf_tiny.tasks import TASKS
from tests.support import tiny_task
from trecx.errors import InputError
from trecx.exits.graft import add_exits, plain_copy
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import macs
from trecx.reports.roles import Role, roles
from trecx.task import ExitSpec
from trecx.tflite.convert import convert
from trecx.tflite.cut import cut
from trecx.tflite.importer import read_graph


def interpreter(content):
    made = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    made.allocate_tensors()
    return made


def run(content, x):
    """Dequantised outputs of every sample by tensor name: name -> (n, columns)."""
    made = interpreter(content)
    (source,) = made.get_input_details()
    scale, zero = source["quantization"]
    collected = {detail["name"]: [] for detail in made.get_output_details()}
    for sample in x:
        quantised = np.clip(np.round(sample / scale) + zero, -128, 127).astype(np.int8)
        made.set_tensor(source["index"], quantised[None])
        made.invoke()
        for detail in made.get_output_details():
            out_scale, out_zero = detail["quantization"]
            value = made.get_tensor(detail["index"])[0]
            collected[detail["name"]].append((value.astype(np.float32) - out_zero) * out_scale)
    return {name: np.stack(values) for name, values in collected.items()}


@pytest.fixture(scope="module")
def network():
    """The tiny network with two exits, weights random but not degenerate, and inputs."""
    keras.utils.set_random_seed(0)
    deep = {**vars(tiny_task.EXIT), "at": "conv2", "options": {"channels": 8, "pool": 2}}
    deep |= {"assist": None, "assist_options": {}}
    specs = [tiny_task.EXIT, type(tiny_task.EXIT)(**deep)]
    model = plain_copy(add_exits(tiny_task.build(), specs).model)
    return model, tiny_task.load().train.inputs(slice(0, 64))


def test_outputs_are_named_in_the_order_asked_for(network):
    model, x = network
    expected = [np.asarray(output) for output in model(x)]
    for order in ([0, 1, 2], [2, 0, 1]):
        converted = convert(model, x, output_order=order)
        values = run(converted.content, x)
        assert len(set(converted.outputs)) == 3
        for name, position in zip(converted.outputs, order, strict=True):
            np.testing.assert_allclose(values[name], expected[position], atol=0.05)
    assert converted.exits == converted.outputs[:2]
    assert converted.final == converted.outputs[2]


def test_int8_batch_one_per_channel(network):
    model, x = network
    made = interpreter(convert(model, x).content)
    for detail in [*made.get_input_details(), *made.get_output_details()]:
        assert detail["dtype"] == np.int8
        assert detail["shape"][0] == 1
        assert detail["shape_signature"][0] == 1
    for detail in made.get_output_details():
        assert detail["quantization"] == (1 / 256, -128)
    scales = {
        detail["quantization_parameters"]["scales"].size
        for detail in made.get_tensor_details()
        if detail["dtype"] == np.int8 and len(detail["shape"]) == 4 and detail["shape"][0] > 1
    }
    assert scales <= {6, 8, 4}
    assert scales


@pytest.mark.parametrize(
    ("name", "recipe"), [*((name, "demo") for name in TASKS), ("kws", "tower"), ("ic", "tower")]
)
def test_every_task_converts_to_known_operators(name, recipe):
    task = TASKS[name]
    recipe = task.recipe(recipe)
    model = task.build(len(task.labels))
    if recipe.exits:
        model = plain_copy(add_exits(model, recipe.exits).model)
    x = np.random.default_rng(0).uniform(*task.input_range, (2, *task.input_shape))
    converted = convert(model, x.astype(np.float32))
    graph = read_graph(converted.content)  # Refuses unknown operators and dynamic shapes.
    assert {tensor.name for tensor in graph.outputs} == set(converted.outputs)
    assert len(converted.outputs) == len(recipe.exits) + 1


def quantised_chain(specs):
    """The tiny network with exits, random weights, as an int8 model and its segments."""
    keras.utils.set_random_seed(1)
    model = plain_copy(add_exits(tiny_task.build(), specs).model)
    for layer in model.layers:
        if layer.name.startswith("final_view"):  # New ones are zero.
            layer.set_weights([np.random.default_rng(0).normal(size=layer.kernel.shape)])
    x = tiny_task.load().train.inputs(slice(0, 64))
    converted = convert(model, x)
    segments = [read_graph(part) for part in cut(converted.content, converted.exits)]
    return read_graph(converted.content), segments, x


def quantised(graph, x):
    source = graph.inputs[0]
    return np.clip(np.round(x / source.scale) + source.zero_point, -128, 127).astype(np.int8)


def test_features_of_an_exit_go_to_the_final_classifier_across_the_cut():
    options = {"blocks": [("separable", 8, 2)]}
    full, (stem, tail), x = quantised_chain(
        [ExitSpec("conv1", "tower", options, assist="features")]
    )
    whole = run_graph(full, [quantised(full, x)])
    _, *handoff = run_graph(stem, [quantised(full, x)])
    (final,) = run_graph(tail, handoff)
    last = [tensor.name for tensor in full.outputs].index(tail.outputs[0].name)
    np.testing.assert_array_equal(final, whole[last])

    (features,) = [n for n, t in enumerate(tail.inputs) if t.size == 8]
    changed = list(handoff)
    changed[features] = changed[features][::-1].copy()  # Another sample's.
    assert np.any(run_graph(tail, changed)[0] != final)

    stem_roles, tail_roles = roles([stem, tail])
    convolutions = {
        role for op, role in zip(stem.operators, stem_roles, strict=True) if op.kind == "CONV_2D"
    }
    assert convolutions == {Role.BACKBONE, Role.HEAD}
    assert_backbone_is_the_network_without_exits([stem, tail], [stem_roles, tail_roles])


@pytest.mark.parametrize(
    "specs",
    [
        [ExitSpec("conv1", "tower", {"blocks": [("separable", 8, 2)]}, assist="features")],
        [tiny_task.EXIT],
        [
            tiny_task.EXIT,
            ExitSpec("conv2", "tower", {"blocks": [("full", 8, 1)]}, assist="features"),
        ],
    ],
    ids=["features", "early view", "both"],
)
def test_exit_and_assistance_are_told_from_the_network(specs):
    _, chain, _ = quantised_chain(specs)
    found = roles(chain)
    assert any(role is Role.ASSISTANCE for role in found[-1])
    assert_backbone_is_the_network_without_exits(chain, found)


def assert_backbone_is_the_network_without_exits(chain, found):
    base = read_graph(
        convert(tiny_task.build(), tiny_task.load().train.inputs(slice(0, 8))).content
    )
    backbone = [
        op
        for graph, its_roles in zip(chain, found, strict=True)
        for op, role in zip(graph.operators, its_roles, strict=True)
        if role is Role.BACKBONE
    ]
    # A batch normalisation between two exits may stay a depthwise convolution in both.
    assert sum(map(macs, backbone)) == sum(map(macs, base.operators))


def test_nothing_is_printed(network, capfd):
    model, x = network
    capfd.readouterr()
    convert(model, x[:2])
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


@pytest.mark.parametrize(
    "data, message",
    [
        (np.zeros((0, 8, 8, 1)), r"n >= 1, got \(0, 8, 8, 1\)"),
        (np.zeros((4, 9, 9, 1)), r"shape \(n, 8, 8, 1\)"),
        (np.full((4, 8, 8, 1), np.nan), "finite"),
    ],
)
def test_bad_representative_data(network, data, message):
    with pytest.raises(InputError, match=message):
        convert(network[0], data)


def test_bad_output_order(network):
    with pytest.raises(InputError, match=r"each of 3 outputs once, got \[0, 1, 1\]"):
        convert(*network, output_order=[0, 1, 1])


def test_batch_norms_that_nothing_absorbs_become_depthwise_convolutions():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.BatchNormalization(name="behind_relu")(x)
    x = layers.Conv2D(4, 3)(x)
    x = layers.BatchNormalization(name="folds")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.BatchNormalization(name="behind_pool", scale=False)(x)
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for name in ("behind_relu", "folds", "behind_pool"):
        for weight in model.get_layer(name).weights:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    data = rng.normal(size=(64, 8, 8, 2)).astype(np.float32)
    converted = convert(model, data)
    kinds = [op.kind for op in read_graph(converted.content).operators]
    assert kinds.count("DEPTHWISE_CONV_2D") == 2
    np.testing.assert_allclose(
        run(converted.content, data)[converted.final], model(data), atol=0.03
    )


def test_plain_model():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(inputs))
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    converted = convert(model, x)
    assert converted.exits == ()
    np.testing.assert_allclose(run(converted.content, x)[converted.final], model(x), atol=0.02)
