"""Recipes of every method on every network, and names that are no methods."""

import dataclasses
import json

import pytest

from tests.support import tiny_task
from trecx.errors import InputError
from trecx.stages.comparing import train_and_compare
from trecx.stages.contenders import Terms
from trecx.stages.data import DataChoice
from trecx.stages.recipes import known_names, method_recipe, places_by_share, places_of
from trecx.stages.training import recipe_for, require_places
from trecx.task import find_task

PUBLISHED = {
    "ic": {
        "eenet": ["stack1_relu", "stack2_relu"],
        "branchynet": ["stack1_relu", "stack2_relu"],
        "sdn": ["stack1_relu", "stack2_relu"],
    },
    "kws": {
        "eenet": ["block1_relu", "block2_relu"],
        "branchynet": ["block1_relu", "block3_relu"],
        "sdn": ["block1_relu", "block2_relu", "block3_relu"],
    },
    "vww": {
        "eenet": ["block3_relu", "block5_relu"],
        "branchynet": ["block5_relu", "block9_relu"],
        "sdn": [f"block{n}_relu" for n in range(2, 13, 2)],
    },
}


@pytest.fixture(scope="module", params=PUBLISHED)
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def network(task):
    return task.build(len(task.labels))


def test_every_method_has_its_published_exits(task, network):
    for name, places in PUBLISHED[task.name].items():
        recipe = method_recipe(task, name, network=network)
        assert [spec.at for spec in recipe.exits] == places
        assert recipe.method == name


def test_all_methods_share_the_schedule(task, network):
    recipes = {name: method_recipe(task, name, network=network) for name in known_names(task)}
    schedules = {
        name: (r.epochs, r.batch_size, r.learning_rate, r.schedule, r.augmentation)
        for name, r in recipes.items()
        if name not in task.recipes or name in ("base", "t-recx", "t-recx-no-ev")
    }
    assert len(set(schedules.values())) == 1
    assert {r.epochs for r in recipes.values()} == {recipes["t-recx"].epochs}
    assert {method_recipe(task, n, epochs=7, network=network).epochs for n in recipes} == {7}


def test_a_template_gives_its_schedule(task, network):
    demo = task.recipe("demo")
    for name in ("base", "t-recx", "t-recx-no-ev", "sdn"):
        recipe = method_recipe(task, name, template="demo", network=network)
        assert (recipe.epochs, recipe.learning_rate) == (demo.epochs, demo.learning_rate)
    assert method_recipe(task, "t-recx-no-ev", template="demo").exits[0].assist is None
    assert method_recipe(task, "t-recx", template="demo").exits == demo.exits


def test_a_recipe_of_the_task_keeps_its_exits_under_another_schedule(task, network):
    demo = task.recipe("demo")
    for name in set(task.recipes) - {"base", "demo"}:
        source, recipe = task.recipes[name], method_recipe(task, name, template="demo")
        assert (recipe.method, recipe.exits) == (source.method, source.exits)
        assert (recipe.name, recipe.schedule) == (name, demo.schedule)
        assert (recipe.epochs, recipe.augmentation) == (demo.epochs, demo.augmentation)


def test_t_recx_needs_a_recipe_of_the_task():
    task = find_task("kws")
    bare = dataclasses.replace(task, recipes={"mine": task.recipe("base")}, default_recipe="mine")
    assert known_names(bare)[:2] == ["base", "eenet"]
    with pytest.raises(InputError, match="unknown method 't-recx'"):
        method_recipe(bare, "t-recx")
    tiny = tiny_task.TASK
    assert method_recipe(tiny, "t-recx").exits == tiny_task.RECIPE.exits
    blind = method_recipe(tiny, "t-recx-no-ev")
    assert [spec.assist for spec in blind.exits] == [None] and blind.name == "t-recx-no-ev"
    assert method_recipe(tiny, "base").exits == ()


def test_pteenet_has_a_convolution_as_wide_as_its_map(task, network):
    widths = {place.layer: place.output_shape[-1] for place in places_of(network)}
    for spec in method_recipe(task, "pteenet", network=network).exits:
        assert spec.options["convs"] == [widths[spec.at]]
    plain = method_recipe(task, "pteenet-pool", network=network)
    assert plain.method == "pteenet" and all(not spec.options for spec in plain.exits)


def test_branchynet_weighs_its_first_exit_most(task, network):
    recipe = method_recipe(task, "branchynet", network=network)
    assert [spec.loss_weight for spec in recipe.exits] == [1.0, 0.3]


def test_a_recipe_file_is_a_method(tmp_path):
    task = find_task("kws")
    path = tmp_path / "found.json"
    path.write_text(json.dumps(task.recipe("demo").to_json()))
    found = method_recipe(task, str(path))
    assert found.to_json() == task.recipe("demo").stretched(task.recipe().epochs).to_json()
    path.write_text('{"name": "x", "colour": "red"}')
    with pytest.raises(InputError, match=r"found\.json holds no recipe"):
        method_recipe(task, str(path))
    with pytest.raises(InputError, match="there is no recipe file"):
        method_recipe(task, str(tmp_path / "lost.json"))


def test_an_unknown_method_lists_the_known():
    with pytest.raises(InputError, match=r"unknown method 'branchy' .* did you mean 'branchynet'"):
        method_recipe(find_task("kws"), "branchy")


def test_a_network_without_a_place_is_refused(network):
    with pytest.raises(InputError, match="no place for an exit"):
        places_by_share([p for p in places_of(network) if p.cost > 0.99], (0.5,))


@pytest.mark.parametrize(
    "task_name, methods, message",
    [
        ("ad", ["sdn"], "'ad' is no classification"),
        ("kws", ["base"], "at least one method beside the base network"),
        ("kws", ["sdn", "nothing"], "unknown method 'nothing'"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, task_name, methods, message):
    """Before any data are loaded."""
    lost = DataChoice(path=tmp_path / "nowhere")
    with pytest.raises(InputError, match=message):
        train_and_compare(find_task(task_name), methods, lost, tmp_path / "out", Terms())
    assert not (tmp_path / "out").exists()


def test_an_unknown_policy_lists_the_known():
    with pytest.raises(InputError, match="unknown exit policy 'psychic': known are class_gate"):
        Terms(policies=("psychic",))


def test_training_takes_the_names_of_tasks_methods_and_files(tmp_path):
    kws = find_task("kws")
    assert recipe_for(kws, None) == kws.recipe()
    assert recipe_for(kws, "tower", epochs=7).epochs == 7
    assert [e.at for e in recipe_for(kws, "sdn").exits] == PUBLISHED["kws"]["sdn"]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(kws.recipe("demo").to_json()))
    assert recipe_for(kws, str(file)).to_json() == kws.recipe("demo").to_json()
    with pytest.raises(InputError, match=r"unknown method 'sdm'.*did you mean 'sdn'"):
        recipe_for(kws, "sdm")


def test_training_puts_the_exits_where_the_user_says():
    tiny = tiny_task.TASK
    network = tiny_task.build()
    at = ("conv3", "conv1")
    moved = recipe_for(tiny, None, exit_at=at)
    assert [e.at for e in moved.exits] == list(at) and moved.exits[1].head == "t-recx"
    branchy = recipe_for(tiny, "branchynet", exit_at=("conv3", "conv2", "conv1"), network=network)
    assert [(e.at, e.loss_weight) for e in branchy.exits] == [
        ("conv1", 1.0),
        ("conv2", 0.3),
        ("conv3", 0.3),
    ]
    (spec,) = recipe_for(tiny, "pteenet", exit_at=("conv2",), network=network).exits
    assert spec.options["convs"] == [8]  # As wide as the map at the user's place.
    with pytest.raises(InputError, match="--at places exits, recipe 'base' has none"):
        recipe_for(tiny, "base", exit_at=("conv1",))


def test_every_recipe_of_a_task_has_its_exits_where_the_network_can_be_cut(task, network):
    for name in task.recipes:
        require_places(task.recipe(name), task, network)


def test_training_stops_at_a_place_that_cannot_be_cut_before_it_begins():
    ic = find_task("ic")
    require_places(ic.recipe("base"), ic)
    require_places(ic.recipe(), ic)
    with pytest.raises(InputError, match=r"2 tensors cross.*stack1_relu \(41 %\)"):
        require_places(recipe_for(ic, None, exit_at=("stack2_relu1",)), ic)
    with pytest.raises(InputError, match=r"no feature map 'stack1_relu'.*conv1 \("):
        require_places(ic.recipe(), ic, tiny_task.build())
