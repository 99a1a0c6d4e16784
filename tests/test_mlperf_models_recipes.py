"""The tasks' recipes: consistent, buildable, reproducible from JSON."""

import json

import numpy as np
import pytest

from mlperf_tiny.tasks import TASKS
from trecx.errors import InputError
from trecx.exits.cost import segment_macs
from trecx.exits.graft import add_exits
from trecx.exits.methods import make_method
from trecx.task import Recipe, find_task, split_indices, tasks

ALL = [(task, recipe) for task in TASKS.values() for recipe in task.recipes.values()]
IDS = [f"{task.name}-{recipe.name}" for task, recipe in ALL]


def test_tasks_are_found_by_name():
    assert set(TASKS) <= set(tasks())
    assert find_task("ic") is TASKS["ic"]
    with pytest.raises(InputError, match=r"unknown task: 'kwz'; did you mean 'kws'\?"):
        find_task("kwz")
    with pytest.raises(InputError, match=r"unknown recipe of task 'ic': 't-rex'; did you mean"):
        find_task("ic").recipe("t-rex")
    with pytest.raises(InputError, match=r"unknown data source of task 'ic': 'cifar'; did you"):
        find_task("ic").load_data("cifar")


@pytest.mark.parametrize(("task", "recipe"), ALL, ids=IDS)
def test_a_recipe_is_data(task, recipe):
    text = json.dumps(recipe.to_json())
    again = Recipe.from_json(json.loads(text))
    assert again.to_json() == recipe.to_json()
    assert recipe.name == next(k for k, v in task.recipes.items() if v is recipe)
    make_method(again)


@pytest.mark.parametrize(("task", "recipe"), ALL, ids=IDS)
def test_its_exits_fit_the_network(task, recipe):
    if not recipe.exits:
        return
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    network = add_exits(task.build(len(task.labels)), again.exits)
    costs = segment_macs(network.model)
    assert len(costs) == len(recipe.exits) + 1


# Share of the base network's MACs: on the exit path, and when no exit is taken.
TOWERS = [("ic", 0.177, 1.142), ("kws", 0.283, 1.163), ("vww", 0.182, 1.115)]


@pytest.mark.parametrize(("name", "path", "whole"), TOWERS)
def test_costs_of_the_towers(name, path, whole):
    task = TASKS[name]
    network = task.build(len(task.labels))
    base = segment_macs(network)[0]
    costs = segment_macs(add_exits(network, task.recipe("tower").exits).model)
    assert costs[0] / base == pytest.approx(path, abs=0.001)
    assert sum(costs) / base == pytest.approx(whole, abs=0.001)


def test_schedules():
    def rates(**options):
        recipe = Recipe("r", epochs=10, learning_rate=1.0, **options)
        return [round(recipe.learning_rate_at(epoch), 6) for epoch in range(10)]

    assert rates(schedule="constant") == [1.0] * 10
    assert rates(schedule="exponential", decay=0.5)[:4] == [1, 0.5, 0.25, 0.125]
    steps = rates(schedule="steps", milestones=((3, 0.1), (6, 0.01)))
    assert steps == [1.0] * 3 + [0.1] * 3 + [0.01] * 4
    cosine = rates(schedule="cosine")
    assert cosine[0] == 1.0
    assert cosine[5] == 0.5
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] > 0
    assert rates(schedule="cosine", warmup_epochs=3)[:4] == [0.25, 0.5, 0.75, 1.0]


def test_stretching_keeps_the_shape():
    steps = Recipe("r", epochs=36, schedule="steps", milestones=((12, 0.2), (24, 0.04)))
    assert steps.stretched(72).milestones == ((24, 0.2), (48, 0.04))
    decaying = TASKS["ic"].recipe("t-recx")
    short = decaying.stretched(40)
    assert short.learning_rate_at(20) == pytest.approx(decaying.learning_rate_at(250))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate must be positive, got -1.0"),
        ({"schedule": "cosin"}, "schedule must be .* got cosin"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"method": "t-recx"}, "every other has at least one, got t-recx with 0"),
    ],
)
def test_bad_recipes(change, message):
    with pytest.raises(InputError, match=message):
        Recipe(**{"name": "r", **change})


def test_json_that_is_no_recipe():
    with pytest.raises(InputError, match=r"not a recipe: .*colour"):
        Recipe.from_json({"name": "r", "colour": "red"})
    with pytest.raises(InputError, match=r"a recipe has no 'batchsize'; did you mean 'batch_size'"):
        Recipe.from_json({"name": "r", "batchsize": 3})
    with pytest.raises(InputError, match=r"an exit has no 'att'; did you mean 'at'"):
        Recipe.from_json({"name": "r", "exits": [{"att": "conv", "head": "pool"}]})
    with pytest.raises(InputError, match="not a recipe"):
        Recipe.from_json([1, 2])


def test_splits_are_disjoint_complete_and_balanced():
    labels = [0] * 60 + [1] * 30 + [2] * 10
    kept, held_out = split_indices(np.array(labels), 20, seed=5)
    assert sorted([*kept, *held_out]) == list(range(100))
    assert np.bincount(np.array(labels)[held_out]).tolist() == [12, 6, 2]
    with pytest.raises(InputError, match="both sides: 100 of 100"):
        split_indices(np.array(labels), 100, seed=0)
