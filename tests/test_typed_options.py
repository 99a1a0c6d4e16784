"""What users give by name: recipe files, exits' and methods' options, data options."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support import tiny_task
from trecx.errors import InputError
from trecx.exits import add_exits
from trecx.exits.methods import make_method
from trecx.stages.data import DataChoice
from trecx.stages.recipes import read_recipe
from trecx.task import ExitSpec, Recipe, find_task, tasks
from trecx.typed import fits

RECIPE = tiny_task.RECIPE.to_json()
EXIT = RECIPE["exits"][0]


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -3], [1.5, True, "1", None, float("nan")]),
        (float, [0, 2.5], [True, "1", float("nan"), float("inf")]),
        (str | None, ["", None], [1, ["a"]]),
        (Sequence[str] | str, ["ab", ["a", "b"], ("a",)], [1, ["a", 1]]),
        (tuple[tuple[int, float], ...], [(), [[1, 0.5]]], [5, [[1]], [["a", 1]], "ab"]),
        (Mapping[str, Any], [{}, {"a": 1}], [[], None, "a"]),
    ],
)
def test_values_and_hints(hint, good, bad):
    assert all(fits(value, hint) for value in good)
    assert not any(fits(value, hint) for value in bad)


def test_the_tasks_recipes_pass_through_a_file():
    for task in tasks().values():
        for recipe in task.recipes.values():
            again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
            assert again.to_json() == recipe.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"epochs": float("inf")}, "epochs must be a whole number, got inf"),
        ({"epochs": -2}, "epochs must be at least 1, got -2"),
        ({"batch_size": 20.5}, "batch_size must be a whole number, got 20.5"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number, got inf"),
        ({"weight_decay": "a"}, "weight_decay must be a number, got 'a'"),
        ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
        ({"warmup_epochs": "a"}, "warmup_epochs must be a whole number, got 'a'"),
        ({"warmup_epochs": -3}, "warmup_epochs must not be negative, got -3"),
        ({"decay": 0}, "decay must be above 0 and at most 1, got 0"),
        ({"milestones": [[1]]}, r"milestones must be a list of \[a whole number, a number\]"),
        ({"milestones": [[1, -1]]}, "milestones must have positive factors"),
        ({"name": "a/../../b"}, "name must be that of a folder, got 'a/../../b'"),
        ({"name": ""}, "name must be that of a folder, got ''"),
        ({"method": [1]}, r"method must be text, got \[1\]"),
        ({"method_options": [1]}, "method_options must be an object with named fields"),
        ({"exits": "abc"}, "exits must be a list of an object with named fields, got 'abc'"),
        ({"exits": [{"head": "pool"}]}, "an exit needs 'at'"),
        ({"exits": [EXIT | {"at": 5}]}, "at must be text, got 5"),
        ({"exits": [EXIT | {"loss_weight": float("nan")}]}, "loss_weight must be a number"),
        ({"exits": [EXIT | {"loss_weight": -1}]}, "loss_weight must not be negative, got -1"),
        ({"epocs": 3}, "has no 'epocs'; did you mean 'epochs'"),
    ],
)
def test_a_recipe_file_with_a_wrong_field(tmp_path, change, said):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(RECIPE | change))
    with pytest.raises(InputError, match=rf"r\.json holds no recipe: .*{said}"):
        read_recipe(path)


@pytest.mark.parametrize("text", ["[1]", "5", "null", "", "{}", '"a"', "[" * 100_000, "\ufeff"])
def test_a_file_that_is_no_recipe(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.json holds no recipe: "):
        read_recipe(path)


@pytest.mark.parametrize(
    ("head", "options", "said"),
    [
        ("t-recx", {"chanels": 3}, "has no option 'chanels'; did you mean 'channels'"),
        ("t-recx", {"channels": "abc"}, "channels must be a whole number, got 'abc'"),
        ("t-recx", {"channels": -3}, r"with {'channels': -3} cannot be built there: .*-3"),
        ("t-recx", {"stride": 0}, "cannot be built there: .*strides"),
        ("t-recx", {"pool": 99}, "cannot be built there: .*output size"),
        ("tower", {}, "needs the option 'blocks'"),
        ("tower", {"blocks": "abc"}, "blocks must be a list of"),
        ("tower", {"blocks": [["full", -1, 2]]}, "cannot be built there"),
    ],
)
def test_a_head_with_wrong_options(head, options, said):
    with pytest.raises(InputError, match=f"^exit head '{head}'.*{said}") as error:
        add_exits(tiny_task.TASK.build(3), [ExitSpec("conv1", head, options)])
    assert "\x1b" not in str(error.value)


def test_assistance_and_method_with_wrong_options():
    wrong = ExitSpec("conv1", "t-recx", assist="early-view", assist_options={"stride": "x"})
    with pytest.raises(InputError, match="assistance 'early-view': stride must be a whole number"):
        add_exits(tiny_task.TASK.build(3), [wrong])
    recipe = Recipe("r", "distilled", tiny_task.RECIPE.exits, method_options={"share": "all"})
    with pytest.raises(InputError, match="method 'distilled': share must be a number, got 'all'"):
        make_method(recipe)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"large_side": "abc"}, "large_side must be a whole number or null, got 'abc'"),
        ({"views": True}, "views must be a whole number, got True"),
        ({"strict": "abc"}, "strict must be true or false, got 'abc'"),
        ({"vews": 3}, "has no option 'vews'; did you mean 'views'"),
        ({"path": 3}, "has no option 'path'"),
        ({"side": 0}, "side must be at least 1 pixel, got 0"),
    ],
)
def test_wrong_data_options(tmp_path, options, said):
    for label in ("person", "non_person"):
        (tmp_path / label).mkdir()
    with pytest.raises(InputError, match=said):
        DataChoice(tmp_path, options=options).load(find_task("vww"))


def test_a_number_may_be_the_name_of_a_word(tmp_path):
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match="no folder for the word '7'"):
        DataChoice(tmp_path, options={"words": 7}).load(find_task("kws"))
