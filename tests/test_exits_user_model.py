"""A user's own Keras file: read in safe mode, trained with an exit, refused when unfit."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.support import tiny_task
from trecx.errors import InputError, TrainingError
from trecx.exits import predict, train
from trecx.exits.user_model import load_classifier, load_network

SHAPE = (8, 8, 1)


@pytest.fixture
def saved(tmp_path):
    """Write a model as .keras; returns the path."""

    def save(model, name="user.keras"):
        model.save(tmp_path / name)
        return tmp_path / name

    return save


def sequential():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1"),
            layers.Flatten(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("build", [tiny_task.build, sequential])
def test_its_weights_are_where_training_starts(tmp_path, saved, build):
    model = build()
    path = saved(model)
    loaded = load_classifier(path, SHAPE, 3)
    x = tiny_task.load().test.inputs(slice(None))
    np.testing.assert_array_equal(loaded(x), model(x))
    trained = train(
        tiny_task.TASK, tiny_task.RECIPE, tiny_task.load(), tmp_path / "run", base=loaded
    )
    assert len(predict(trained.model, tiny_task.load().test)) == 2


def test_resuming_from_another_start_is_refused(tmp_path, saved):
    path = saved(tiny_task.build())
    first = load_classifier(path, SHAPE, 3)
    train(tiny_task.TASK, tiny_task.RECIPE, tiny_task.load(), tmp_path / "r", base=first)
    other = load_classifier(saved(tiny_task.build(), "other.keras"), SHAPE, 3)
    with pytest.raises(TrainingError, match="base was"):
        train(
            tiny_task.TASK,
            tiny_task.RECIPE,
            tiny_task.load(),
            tmp_path / "r",
            base=other,
            resume=True,
        )


def test_keras_2_file(tmp_path):
    """A whole-model .h5 with the fields that Keras 2 wrote for depthwise layers."""
    inputs = keras.Input(SHAPE)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(inputs)
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    path = tmp_path / "old.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"] |= {"groups": 1, "kernel_initializer": None}
        file.attrs["model_config"] = json.dumps(config)
    x = tiny_task.load().test.inputs(slice(None))
    np.testing.assert_array_equal(load_classifier(path, SHAPE, 3)(x), model(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_the_file_is_not_run(tmp_path, suffix):
    inputs = keras.Input(SHAPE)
    x = layers.Lambda(lambda t: t * 2, output_shape=SHAPE)(inputs)
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    path = tmp_path / f"evil{suffix}"
    keras.Model(inputs, x).save(path)
    with pytest.raises(InputError, match=r"evil.*(Lambda|lambda)"):
        load_network(path)


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(InputError, match="there is no model file"):
        load_network(tmp_path / "missing.keras")
    with pytest.raises(InputError, match=r"\.keras or \.h5 file, got 'm\.onnx'"):
        load_network(tmp_path / "m.onnx")
    for name in ("broken.keras", "broken.h5"):
        (tmp_path / name).write_bytes(b"not a model")
        with pytest.raises(InputError, match=f"{name} cannot be read as a Keras model"):
            load_network(tmp_path / name)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_group("layer")
    with pytest.raises(InputError, match="weights without a network"):
        load_network(tmp_path / "weights.h5")


def test_a_damaged_archive_is_no_model(tmp_path, saved):
    path = saved(tiny_task.build())
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="cannot be read as a Keras model: the checksum of "):
        load_network(path)
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="cannot be read as a Keras model: File is not a zip"):
        load_network(path)


def test_models_that_do_not_fit(saved):
    path = saved(tiny_task.build())
    with pytest.raises(
        InputError, match=r"reads inputs of shape \(8, 8, 1\), the data has \(9, 9, 1\)"
    ):
        load_classifier(path, (9, 9, 1), 3)
    with pytest.raises(InputError, match="tells 3 classes apart, the data has 10"):
        load_classifier(path, SHAPE, 10)
    inputs = keras.Input(SHAPE)
    regression = saved(keras.Model(inputs, layers.Conv2D(3, 3)(inputs)), "r.keras")
    with pytest.raises(InputError, match="must end in a Dense layer and a softmax"):
        load_classifier(regression, SHAPE, 3)
