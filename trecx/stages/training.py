"""What `trecx train` needs besides the training loop: the recipe, and a user's own network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trecx.errors import InputError
from trecx.quiet import load_keras
from trecx.stages.recipes import (
    LAYOUTS,
    method_recipe,
    places_of,
    read_recipe,
    require_place,
)
from trecx.task import DataSplits, Recipe, Task, find_task


def recipe_for(
    task: Task,
    name: str | None,
    *,
    epochs: int | None = None,
    exit_at: Sequence[str] = (),
    network: Any = None,
) -> Recipe:
    """A task's recipe, that of a published method, or one of a .json file, with the user's changes.

    exit_at: layers for the exits, in place of the recipe's own. network: the Keras model that gets
    the exits [a new one of the task].
    """
    if name is None or name in task.recipes:
        recipe = _moved(task.recipe(name), exit_at)
    elif name.endswith(".json"):
        recipe = _moved(read_recipe(Path(name)), exit_at)
    elif name in LAYOUTS:
        recipe = method_recipe(task, name, network=network, at=exit_at)
    else:
        recipe = _moved(method_recipe(task, name), exit_at)
    if epochs is not None:
        recipe = recipe.stretched(epochs)  # The schedule keeps its shape.
    return recipe


def _moved(recipe: Recipe, places: Sequence[str]) -> Recipe:
    """The recipe with its exits at other places, if any are given; those that are more than it has
    get an exit like its last."""
    if not places:
        return recipe
    if not recipe.exits:
        raise InputError(f"--at places exits, recipe {recipe.name!r} has none")
    last = len(recipe.exits) - 1
    exits = tuple(
        dataclasses.replace(recipe.exits[min(number, last)], at=place)
        for number, place in enumerate(places)
    )
    return dataclasses.replace(recipe, exits=exits)


def require_places(recipe: Recipe, task: Task, network: Any = None) -> None:
    """InputError for an exit behind which the network cannot be cut.

    Exporting would say so too, but only after the training. network: as of `recipe_for`.
    """
    if not recipe.exits:
        return
    if network is None:
        load_keras()
        network = task.build(len(task.labels))
    places = places_of(network)
    for spec in recipe.exits:
        require_place(places, spec.at)


def require_model_file(path: Path) -> None:
    """InputError when there is no file; said before data are loaded, which can take minutes."""
    if not path.is_file():
        raise InputError(f"there is no model file {path}")


@contextmanager
def no_empty_folder_left(path: Path) -> Iterator[None]:
    """Remove a folder that is new and still empty when the work in the block fails, or is
    interrupted."""
    existed = path.exists()
    try:
        yield
    except BaseException:
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
