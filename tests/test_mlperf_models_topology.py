"""The reference topologies: sizes as published, official weight files load layer for layer."""

import h5py
import keras
import numpy as np
import pytest

from mlperf_tiny.models import (
    autoencoder,
    ds_cnn,
    load_official_weights,
    mobilenet_v1,
    resnet8,
)
from trecx.errors import InputError
from trecx.exits.cost import segment_macs

REFERENCE = [
    # builder, width of the output, input shape, parameters, trainable, MACs
    (resnet8, 10, (32, 32, 3), 78_666, 78_186, 12_501_632),
    (ds_cnn, 12, (49, 10, 1), 24_908, 23_756, 2_656_768),
    (mobilenet_v1, 2, (96, 96, 3), 221_794, 216_322, 7_489_664),
    (autoencoder, 640, (640,), 269_992, 267_928, 264_192),
]


@pytest.mark.parametrize("module, width, shape, parameters, trainable, macs", REFERENCE)
def test_sizes_are_the_published_ones(module, width, shape, parameters, trainable, macs):
    model = module.build(width)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, width)
    assert model.count_params() == parameters
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trainable
    assert segment_macs(model) == [macs]


@pytest.mark.parametrize("classes", [2, 35])
@pytest.mark.parametrize("module", [resnet8, ds_cnn, mobilenet_v1])
def test_class_count_is_free(module, classes):
    assert module.build(classes).output_shape == (None, classes)


def test_strides_of_mobilenet():
    model = mobilenet_v1.build()
    depthwise = [
        layer.strides[0]
        for layer in model.layers
        if isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    assert depthwise == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]


def write_keras2_file(path, model, *, whole_model: bool):
    """A file as Keras 2 wrote it: groups named after layers, old names, weights in order."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole_model else file
        names = []
        for number, layer in enumerate(model.layers):
            name = f"{type(layer).__name__.lower()}_{number}"
            names.append(name.encode())
            weights = [f"{name}/weight_{i}:0" for i in range(len(layer.weights))]
            child = group.create_group(name)
            child.attrs["weight_names"] = [w.encode() for w in weights]
            for weight, value in zip(weights, layer.get_weights(), strict=True):
                child.create_dataset(weight, data=value)
        group.attrs["layer_names"] = names


@pytest.mark.parametrize("whole_model", [True, False])
def test_official_layout_reproduces_outputs(tmp_path, whole_model):
    keras.utils.set_random_seed(1)
    source, target = ds_cnn.build(), ds_cnn.build()
    for weight in source.weights:
        weight.assign(np.random.default_rng(0).uniform(0.1, 1, weight.shape))
    write_keras2_file(tmp_path / "w.h5", source, whole_model=whole_model)
    load_official_weights(target, tmp_path / "w.h5")
    x = np.random.default_rng(1).normal(size=(4, 49, 10, 1)).astype("float32")
    expected, got = (np.asarray(model(x, training=False)) for model in (source, target))
    np.testing.assert_array_equal(got, expected)
    assert np.ptp(got) > 0


def test_a_file_of_another_network_is_refused_and_nothing_changes(tmp_path):
    write_keras2_file(tmp_path / "w.h5", resnet8.build(), whole_model=True)
    model = ds_cnn.build()
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(InputError, match="layers with weights"):
        load_official_weights(model, tmp_path / "w.h5")
    wider = ds_cnn.build(35)
    write_keras2_file(tmp_path / "w35.h5", wider, whole_model=True)
    with pytest.raises(InputError, match=r"\(64, 35\).*classifier.*\(64, 12\)"):
        load_official_weights(model, tmp_path / "w35.h5")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_file_that_is_no_weight_file_is_refused(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"not hdf5")
    with pytest.raises(InputError, match="not a Keras 2 weight file"):
        load_official_weights(ds_cnn.build(), tmp_path / "w.h5")
