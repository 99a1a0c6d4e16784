"""A trained model on disk: `model.keras` made of standard layers, and `run.json`."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trecx import __version__
from trecx.errors import DataError, InputError
from trecx.exits.joint import output_names
from trecx.files import require_whole_archive, write_atomic
from trecx.task import Recipe, Samples

MODEL_FILE = "model.keras"
RUN_FILE = "run.json"
FORMAT = 1


@dataclass(frozen=True)
class TrainedModel:
    """A trained network and where it comes from.

    model: functional Keras model of standard layers; outputs are the exits' in depth order, then
        the final one (a model without exits has that one only). Exit outputs have one column a
        class, and one more when the method has a learned confidence (last column).
    exit_policy: the policy that the method was published with.
    history: one dict of training figures an epoch.
    """

    model: keras.Model
    task: str
    labels: tuple[str, ...]
    recipe: Recipe
    data: str
    synthetic: bool
    seed: int
    exit_policy: str
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def output_names(self) -> list[str]:
        """exit1, exit2, ..., final: one name an output."""
        return output_names(len(self.model.outputs) - 1)


def save_trained(trained: TrainedModel, run_dir: Path) -> None:
    """Write `trained` into `run_dir`, each file atomically, the description last."""
    with tempfile.TemporaryDirectory(dir=run_dir) as scratch:
        path = Path(scratch) / MODEL_FILE
        trained.model.save(path)
        path.replace(run_dir / MODEL_FILE)
    text = json.dumps({"format": FORMAT, "trecx": __version__, **_describe(trained)}, indent=1)
    write_atomic(run_dir / RUN_FILE, text + "\n")


def load_trained(run_dir: str | Path) -> TrainedModel:
    """Read what `train` wrote. No code stored in the files is run.

    Raises `InputError` when the folder holds no finished run.
    """
    run_dir = Path(run_dir)
    description = _read_description(run_dir)
    try:
        require_whole_archive(run_dir / MODEL_FILE)
        model = keras.models.load_model(run_dir / MODEL_FILE, compile=False, safe_mode=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{run_dir / MODEL_FILE} cannot be read: {error}") from None
    return TrainedModel(
        model,
        description["task"],
        tuple(description["labels"]),
        Recipe.from_json(description["recipe"]),
        description["data"],
        description["synthetic"],
        description["seed"],
        description["exit_policy"],
        description["history"],
    )


def require_input_shape(model: keras.Model, samples: Samples) -> None:
    """DataError when `samples` do not have the model's input shape."""
    wanted, given = model.inputs[0].shape[1:], samples.inputs(slice(0, 1)).shape[1:]
    if tuple(wanted) != tuple(given):
        raise DataError(
            f"the model reads inputs of shape {tuple(wanted)}, the data has {tuple(given)}"
        )


def predict(model: keras.Model, samples: Samples, batch_size: int = 512) -> list[np.ndarray]:
    """Outputs of `model` for all samples: one float32 array (n, columns) an output, exits first.

    Raises `DataError` when the samples do not have the model's input shape.
    """
    require_input_shape(model, samples)
    pieces = []
    for start in range(0, len(samples), batch_size):
        inputs = samples.inputs(slice(start, start + batch_size))
        # One batch size only, or every backend that compiles would compile twice.
        missing = batch_size - len(inputs) if start else 0
        padded = np.concatenate([inputs, np.repeat(inputs[:1], missing, axis=0)])
        outputs = model.predict_on_batch(padded)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        pieces.append([keras.ops.convert_to_numpy(output)[: len(inputs)] for output in outputs])
    return [np.concatenate(column) for column in zip(*pieces, strict=True)]


def _read_description(run_dir: Path) -> dict[str, Any]:
    path = run_dir / RUN_FILE
    try:
        description = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"{run_dir} holds no finished training run ({RUN_FILE} is missing); "
            "train into it, or resume"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if description.get("format") != FORMAT:
        raise InputError(f"{path} was written by another version of trecx")
    return description


def _describe(trained: TrainedModel) -> dict[str, Any]:
    return {
        "task": trained.task,
        "labels": list(trained.labels),
        "recipe": trained.recipe.to_json(),
        "data": trained.data,
        "synthetic": trained.synthetic,
        "seed": trained.seed,
        "exit_policy": trained.exit_policy,
        "history": trained.history,
    }
