"""A user's own Keras model as the network to start from. Nothing in its file is executed."""

import json
from pathlib import Path

import h5py
import keras

from trecx.errors import InputError
from trecx.exits.classifier import check_functional, find_classifier
from trecx.files import require_whole_archive

LEGACY_SUFFIXES = (".h5", ".hdf5")


def load_network(path: str | Path) -> keras.Model:
    """Read a functional model from a .keras or .h5 file, in safe mode.

    Raises `InputError` when it cannot be read, holds code or unknown layers, or is not functional.
    """
    path = Path(path)
    if path.suffix not in (".keras", *LEGACY_SUFFIXES):
        raise InputError(f"a Keras model is a .keras or .h5 file, got {path.name!r}")
    if not path.is_file():
        raise InputError(f"there is no model file {path}")
    legacy = path.suffix in LEGACY_SUFFIXES
    if legacy:
        _refuse_code(path)
    try:
        if not legacy:
            require_whole_archive(path)  # of any other, Keras says that there is no such file
        model = keras.models.load_model(
            path,
            compile=False,
            safe_mode=True,
            custom_objects={"DepthwiseConv2D": _Keras2Depthwise} if legacy else None,
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path} cannot be read as a Keras model: {reason}") from None
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    check_functional(model)
    return model


def load_classifier(path: str | Path, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Read a classifier for inputs of `input_shape` (without batch) and `classes` classes.

    Raises `InputError` as `load_network` does, and when the model is no classifier, or is one for
    other inputs or another number of classes.
    """
    model = load_network(path)
    found = find_classifier(model)
    shape = tuple(model.inputs[0].shape[1:])
    if shape != tuple(input_shape):
        raise InputError(f"{path} reads inputs of shape {shape}, the data has {tuple(input_shape)}")
    if found.classes != classes:
        raise InputError(f"{path} tells {found.classes} classes apart, the data has {classes}")
    return model


class _Keras2Depthwise:
    """Reads a depthwise layer of Keras 2, whose configuration has fields that Keras 3 refuses."""

    @classmethod
    def from_config(cls, config):
        # Always 1 and unused there; the kernel_* fields repeat the depthwise_* ones.
        unused = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
        return keras.layers.DepthwiseConv2D(
            **{name: value for name, value in config.items() if name not in unused}
        )


def _refuse_code(path: Path) -> None:
    """Old files may hold marshalled Python; Keras's safe mode guards only the new format."""
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise InputError(f"{path} cannot be read as a Keras model: {error}") from None
    if config is None:
        raise InputError(f"{path} holds weights without a network; save the whole model")
    if _has_class(json.loads(config), "Lambda"):
        raise InputError(f"{path} holds a Lambda layer, which is code; it is not executed")


def _has_class(config, name: str) -> bool:
    if isinstance(config, dict):
        return config.get("class_name") == name or any(
            _has_class(value, name) for value in config.values()
        )
    return isinstance(config, list) and any(_has_class(value, name) for value in config)
