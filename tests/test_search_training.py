"""The search with Keras: where networks can be cut, trained trials, and what is refused."""

import dataclasses
import errno
import json
import re

import keras
import pytest
from keras import layers

from tests.support import tiny_task
from trecx.errors import BudgetError, InputError, StorageError
from trecx.search import Candidate, Settings, Trial, exit_places
from trecx.stages.data import DataChoice
from trecx.stages.recipes import good_places, places_of, require_place
from trecx.stages.searching import CHOICE_FILE, RUNS_FOLDER, Space, TrainTrial, search
from trecx.stages.training import recipe_for
from trecx.task import ExitSpec, find_task

DATA = DataChoice(options={"train": 96, "calibration": 60, "test": 12})


@pytest.fixture(scope="module")
def resnet():
    from mlperf_tiny.models.resnet8 import build

    return build(10)


@pytest.fixture(scope="module")
def ds_cnn():
    from mlperf_tiny.models.ds_cnn import build

    return build(12)


def by_name(model):
    return {place.layer: place for place in places_of(model)}


def test_resnet_can_be_cut_between_its_stacks_only(resnet):
    places = by_name(resnet)
    good = [name for name, place in places.items() if place.reason_against is None]
    assert good == ["stem_relu", "stack1_relu", "stack2_relu", "stack3_relu", "pool"]
    assert places["stack1_relu"].cost == pytest.approx(5_160_960 / 12_501_632)
    assert places["stack1_relu"].output_shape == (32, 32, 16)
    assert [p.layer for p in good_places(places_of(resnet))] == good[:3]


def test_inside_a_stack_the_other_tensor_is_named(resnet):
    place = by_name(resnet)["stack2_relu1"]
    assert place.reason_against == (
        "2 tensors cross: the rest also needs the output of stack1_relu"
    )


def test_a_straight_network_can_be_cut_after_every_fused_layer(ds_cnn):
    places = by_name(ds_cnn)
    assert all(place.reason_against is None for place in places.values())
    assert "block2_relu" in places and not any(name.endswith("_bn") for name in places)
    assert "stem_dropout" not in places
    assert places["block2_relu1"].inside_block and not places["block2_relu"].inside_block


def test_a_layer_that_is_called_twice_is_no_place():
    inputs = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = layers.Conv2D(4, 1, name="between")(shared(inputs))
    x = layers.Flatten()(x[..., :2] + shared(x)[..., 2:])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    assert "shared" not in by_name(model)
    costs = {p.layer: p.cost for p in exit_places(model, lambda tensor: 1.0)}
    assert list(costs) == sorted(costs, key=costs.get) and "between" in costs


@pytest.mark.parametrize(
    "layer, message",
    [
        (
            "stack2_relu1",
            r"cut behind 'stack2_relu1': 2 tensors cross: .* stack1_relu; .*stem_relu",
        ),
        ("stack2_rel", r"no feature map 'stack2_rel' .* did you mean 'stack2_relu'.*stack1_relu"),
    ],
)
def test_a_wrong_place_is_refused_with_the_alternatives(resnet, layer, message):
    with pytest.raises(InputError, match=message) as refused:
        require_place(places_of(resnet), layer)
    assert "\n" not in str(refused.value)


def find(tmp_path, space, settings, **options):
    task = find_task("kws")
    recipe = options.pop("recipe", None) or task.recipe("demo")
    return search(task, DATA, tmp_path, space, settings, recipe=recipe, **options)


def test_a_search_trains_measures_and_resumes(tmp_path):
    space = Space(("block1_relu", "block2_relu"), (0.25,), (0.3,))
    settings = Settings(rungs=(1, 2), max_accuracy_loss=5.0)
    seen = []
    report = find(tmp_path, space, settings, progress=lambda *at: seen.append(at))
    assert seen[-1] == ("training 2 epochs", 2, 2) and ("training 1 epochs", 2, 2) in seen
    assert [row.epochs for row in report.rows] == [1, 1, 2, 2]
    assert all(0 < row.accuracy <= 1 and row.error is None for row in report.rows)
    head, view = (9 + 1) * 8 + (6 * 1 * 8 + 1) * 12, (9 + 1) * 8 + 8 * 12
    assert report.rows[0].parameters_added == head + view
    for name in ("search.html", "search.md", "search.svg", "report.json"):
        assert (tmp_path / name).stat().st_size > 100
    chosen = recipe_for(find_task("kws"), str(tmp_path / CHOICE_FILE))
    assert chosen.exits[0].at in ("block1_relu", "block2_relu") and chosen.epochs == 15

    logs = {log: log.stat().st_mtime_ns for log in tmp_path.glob(f"{RUNS_FOLDER}/*/log.csv")}
    assert len(logs) == 4
    trial = sorted((tmp_path / "trials").iterdir())[0]
    kept = json.loads(trial.read_text())
    trial.unlink()  # as if it had been interrupted before it was written
    again = find(tmp_path, space, settings)
    assert again.rows == report.rows
    repeated = json.loads(trial.read_text())
    assert repeated["accuracy"] == kept["accuracy"]
    assert logs == {log: log.stat().st_mtime_ns for log in logs}  # no epoch was trained again


@pytest.mark.parametrize(
    "options, message",
    [
        ({"channels": 100, "project": False}, "first 100 channels are wanted"),
        ({"channels": 8, "pool": 40}, "cannot be built there: .*pool_size"),
    ],
)
def test_an_exit_that_does_not_fit_fails_alone(tmp_path, options, message):
    recipe, budget = find_task("kws").recipe("demo"), Settings().budget
    train = TrainTrial("kws", recipe, str(tmp_path), DATA, budget, "max_softmax")
    candidate = Candidate((ExitSpec("block4_relu", "t-recx", options),))
    outcome = train(Trial(candidate, 1))
    assert re.search(message, outcome.error) and "\n" not in outcome.error
    assert not (tmp_path / RUNS_FOLDER).exists()


def test_a_full_disk_is_no_fault_of_the_candidate(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trecx.exits.checkpoint.write_atomic", fail)
    recipe, budget = find_task("kws").recipe("demo"), Settings().budget
    train = TrainTrial("kws", recipe, str(tmp_path), DATA, budget, "max_softmax")
    with pytest.raises(StorageError, match=r"No space left on device.*make room"):
        train(Trial(Candidate(recipe.exits), 1))


def test_a_budget_that_no_candidate_meets_names_the_nearest(tmp_path):
    space = Space(("block2_relu",), (0.25,))
    settings = Settings(rungs=(1,), max_accuracy_loss=None, max_cost=1e6)
    with pytest.raises(
        BudgetError, match=r"cheapest exit of all costs 56\.\d % .*nearest is"
    ) as no:
        find(tmp_path, space, settings)
    assert "\n" not in str(no.value)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["choice"] is None and report["max_cost"] == 1e6
    assert not (tmp_path / CHOICE_FILE).exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "ad"}, "'ad' is no classification"),
        ({"recipe": "base"}, "recipe 'base' has no exit to start the search from"),
        ({"policy": "clairvoyance"}, "unknown exit policy 'clairvoyance': known are class_gate"),
        ({"space": {"widths": (0.0,)}}, "head widths must be above 0"),
        ({"space": {"loss_weights": (-1.0,)}}, "loss weights must be above 0"),
        ({"space": {"places": ("block2",)}}, "no feature map 'block2'"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(tmp_path, change, message):
    task = find_task(change.get("task", "kws"))
    with pytest.raises(InputError, match=message) as refused:
        search(
            task,
            DATA if task.name == "kws" else DataChoice(),
            tmp_path / "out",
            Space(**change.get("space", {})),
            Settings(),
            recipe=task.recipe(change.get("recipe")),
            policy=change.get("policy"),
        )
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out" / RUNS_FOLDER).exists()


def test_methods_that_weigh_their_exits_themselves_get_one_loss_weight():
    recipe = tiny_task.RECIPE
    network = tiny_task.build()
    space = Space(("conv1",), (1.0,), (0.3, 0.6))
    assert len(space.candidates(recipe, network)) == 2
    eenet = dataclasses.replace(recipe, method="eenet")
    assert len(space.candidates(eenet, network)) == 1
