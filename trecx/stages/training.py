"""What `trecx train` needs besides the training loop: the recipe, and a user's own network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trecx.errors import InputError, TrecxError
from trecx.stages.recipes import method_recipe, read_recipe
from trecx.task import DataSplits, Recipe, Task, find_task


def recipe_for(
    task: Task, name: str | None, *, epochs: int | None = None, exit_at: str | None = None
) -> Recipe:
    """A task's recipe, that of a published method, or one of a .json file, with the user's changes.

    exit_at: the layer of its only exit.
    """
    if name is None or name in task.recipes:
        recipe = task.recipe(name)
    elif name.endswith(".json"):
        recipe = read_recipe(Path(name))
    else:
        recipe = method_recipe(task, name)
    if epochs is not None:
        recipe = recipe.stretched(epochs)  # The schedule keeps its shape.
    if exit_at is not None:
        if len(recipe.exits) != 1:
            raise InputError(f"--at names one exit, recipe {recipe.name!r} has {len(recipe.exits)}")
        recipe = dataclasses.replace(
            recipe, exits=(dataclasses.replace(recipe.exits[0], at=exit_at),)
        )
    return recipe


def require_model_file(path: Path) -> None:
    """InputError when there is no file; said before data are loaded, which can take minutes."""
    if not path.is_file():
        raise InputError(f"there is no model file {path}")


@contextmanager
def no_empty_folder_left(path: Path) -> Iterator[None]:
    """Remove a folder that is new and still empty when the work in the block fails."""
    existed = path.exists()
    try:
        yield
    except TrecxError:
        if not existed and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        raise


def start_network(path: Path, task: Task, data: DataSplits):
    """A user's Keras classifier as the network to start from.

    Read in safe mode: no code in the file is run. Raises InputError when it cannot be read or
    does not fit the data.
    """
    from trecx.exits import load_classifier

    return load_classifier(path, task.input_shape, len(data.labels))


def task_of_run(run_dir: Path) -> Task:
    """The task that a run folder was trained for, without loading its model."""
    path = Path(run_dir) / "run.json"
    try:
        return find_task(json.loads(path.read_text())["task"])
    except FileNotFoundError:
        raise InputError(
            f"{run_dir} holds no finished training run ({path.name} is missing); "
            "train into it, or resume"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
