"""MLPerf Tiny's reference networks in Keras 3, one architecture a module."""

from pathlib import Path

from trecx.errors import InputError


def load_official_weights(model, path: str | Path) -> None:
    """Load a Keras 2 .h5 file (weights or whole model) into `model`, layer for layer.

    The file's layers with weights must be those of `model`, in the same order, with the same
    shapes; names are not compared. Nothing in the file is executed, and `model` is unchanged when
    the file does not fit.

    Raises `InputError` saying which layer differs.
    """
    layers = [layer for layer in model.layers if layer.weights]
    stored = _read_layers(Path(path))
    if len(stored) != len(layers):
        raise InputError(f"{path} has {len(stored)} layers with weights, the model {len(layers)}")
    for (name, values), layer in zip(stored, layers, strict=True):
        shapes = [value.shape for value in values]
        expected = [tuple(weight.shape) for weight in layer.weights]
        if shapes != expected:
            raise InputError(
                f"{path}: layer {name!r} has weights {shapes}, "
                f"the model's {layer.name!r} {expected}"
            )
    for (_, values), layer in zip(stored, layers, strict=True):
        layer.set_weights(values)


def _read_layers(path: Path) -> list[tuple[str, list]]:
    """(layer name, weight arrays) of every layer with weights, in the file's order."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            layers = []
            for name in map(_text, group.attrs["layer_names"]):
                weights = [_text(w) for w in group[name].attrs["weight_names"]]
                if weights:
                    layers.append((name, [group[name][w][()] for w in weights]))
            return layers
    except (OSError, KeyError) as error:
        raise InputError(f"{path} is not a Keras 2 weight file: {error}") from None


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
