"""The model zoo: cards, copies, and the checks on every entry."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from mlperf_tiny.tasks import TASKS
from mlperf_tiny.zoo import SIZE_LIMIT, Figure, ModelCard, add_model, check_zoo, zoo_get, zoo_list
from mlperf_tiny.zoo.card import card_files, read_card
from mlperf_tiny.zoo.catalogue import MODELS
from trecx.bundle import DataFacts, read_bundle, write_bundle
from trecx.bundle.verify import verify_bundle
from trecx.errors import BundleError, InputError

MODEL = Path(__file__).parent / "data" / "resnet_plain.tflite"
LABELS = tuple(f"class {n}" for n in range(10))
RECIPE = TASKS["kws"].recipes["t-recx"]  # has exits with tuples in their options
CARD_FIELDS = {
    "title": "A model for tests",
    "data_description": "Made up; half for training, half for test.",
    "data_licence": "CC BY 4.0",
    "figures": (Figure("top-1 accuracy, int8", 87.25, "%"), Figure("MACs", 12_501_632)),
    "commands": ("trecx train ic --data DATA -o runs/ic", "trecx export runs/ic -o ic.bundle"),
    "licence": "Apache-2.0",
    "notes": "Knows nothing.",
}


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    record = {
        "format": 1,
        "task": "ic",
        "labels": LABELS,
        "data": "made up",
        "synthetic": True,
        "recipe": RECIPE.to_json(),
        "seed": 3,
        "history": [{"loss": 0.5}],
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "model.keras").write_bytes(b"weights")
    (folder / "checkpoint.npz").write_bytes(b"stays behind")
    return folder


@pytest.fixture
def bundle(tmp_path) -> Path:
    content = MODEL.read_bytes()
    write_bundle(
        tmp_path / "ic.bundle",
        task="ic",
        labels=LABELS,
        data=DataFacts("made up", synthetic=True),
        full=content,
        segments=[content],
    )
    return tmp_path / "ic.bundle"


@pytest.fixture
def root(tmp_path, run, bundle) -> Path:
    """A zoo with one model."""
    root = tmp_path / "zoo"
    add_model("ic-test", run=run, bundle=bundle, root=root, **CARD_FIELDS)
    return root


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_card(folder: Path, **changes) -> None:
    """A well-formed card that says something else."""
    card = dataclasses.replace(read_card(folder), **changes)
    for name, text in card_files(card).items():
        (folder / name).write_text(text)


def test_an_added_model_is_listed_with_all_that_is_known_of_it(root):
    [card] = zoo_list(root)
    for name, value in CARD_FIELDS.items():
        assert getattr(card, name) == value
    assert (card.name, card.task, card.seed, card.data) == ("ic-test", "ic", 3, "made up")
    assert card.synthetic
    assert card.labels == LABELS
    assert card.recipe.to_json() == RECIPE.to_json()
    assert card.bundle_digest == read_bundle(root / "ic-test" / "bundle").digest
    assert set(card.software) >= {"trecx", "numpy"}


def test_an_entry_holds_what_is_needed_and_nothing_else(root):
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert files == {
        f"ic-test/{name}"
        for name in (
            "card.json",
            "card.md",
            "bundle/manifest.json",
            "bundle/full.tflite",
            "run/model.keras",
            "run/run.json",
        )
    }
    sizes = check_zoo(root)
    assert sizes == {"ic-test": sum((root / file).stat().st_size for file in files)}


def test_card_survives_json(root):
    [card] = zoo_list(root)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))).to_json() == card.to_json()


def test_page_says_what_the_card_says(root):
    page = (root / "ic-test" / "card.md").read_text()
    for text in (
        "# ic-test",
        "made up (synthetic data). Made up; half",
        "| top-1 accuracy, int8 | 87.25 % |",
        "| MACs | 12,501,632 |",
        "    trecx export runs/ic -o ic.bundle",
        "weights Apache-2.0; data CC BY 4.0",
        "Knows nothing.",
        "`t-recx`, seed 3",
        '"early-view"',
    ):
        assert text in page


def test_get_copies_a_model_that_still_passes_the_check(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert zoo_get("ic-test", root=root) == Path("ic-test")
    assert read_bundle(tmp_path / "ic-test" / "bundle").task == "ic"
    assert check_zoo(tmp_path / "zoo") == check_zoo(root)
    again = zoo_get("ic-test", tmp_path / "ic-test", root=root)  # a copy may be renewed
    assert (again / "run/model.keras").read_bytes() == b"weights"
    assert zoo_get("ic-test", tmp_path / "a/b", root=root).is_dir()


def test_get_refuses_unknown_names_and_foreign_folders(root, tmp_path):
    with pytest.raises(InputError, match="no model 'ic-tset' in the zoo; did you mean 'ic-test'"):
        zoo_get("ic-tset", tmp_path / "x", root=root)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    with pytest.raises(InputError, match="was not written by trecx"):
        zoo_get("ic-test", tmp_path / "mine", root=root)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["file"]


def test_get_keeps_what_was_added_to_a_copy(root, tmp_path):
    copy = zoo_get("ic-test", tmp_path / "copy", root=root)
    (copy / "run/log.csv").write_text("mine")
    with pytest.raises(InputError, match=r"not as it came from the zoo .*log\.csv"):
        zoo_get("ic-test", copy, root=root)
    assert (copy / "run/log.csv").read_text() == "mine"


def test_get_gives_no_damaged_model(root, tmp_path):
    (root / "ic-test/bundle/full.tflite").write_bytes(b"x")
    with pytest.raises(BundleError):
        zoo_get("ic-test", tmp_path / "x", root=root)
    assert not (tmp_path / "x").exists()


def test_a_model_can_be_replaced(root, run, bundle):
    change_json(run / "run.json", seed=4)
    add_model("ic-test", run=run, bundle=bundle, root=root, **CARD_FIELDS)
    assert [card.seed for card in zoo_list(root)] == [4]
    check_zoo(root)


def test_an_empty_or_absent_zoo_is_no_error(tmp_path):
    assert zoo_list(tmp_path) == zoo_list(tmp_path / "absent") == []
    assert check_zoo(tmp_path) == {}


def test_size_limit_holds_for_all_models_together(root, run, bundle):
    size = check_zoo(root)["ic-test"]
    assert check_zoo(root, limit=size)
    with pytest.raises(BundleError, match=rf"at most {size - 1:,} bytes, got {size:,}: ic-test"):
        check_zoo(root, limit=size - 1)
    (run / "model.keras").write_bytes(bytes(SIZE_LIMIT - size))
    with pytest.raises(BundleError, match="ic-big"):
        add_model("ic-big", run=run, bundle=bundle, root=root, **CARD_FIELDS)
    assert [path.name for path in root.iterdir()] == ["ic-test"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"task": "kws"}, "task must be the same on the card and in the bundle"),
        ({"labels": LABELS[:-1]}, "labels must be the same"),
        ({"data": "other"}, "data must be the same"),
        ({"synthetic": False}, "synthetic must be the same"),
        ({"task": ""}, "task must not be empty"),
    ],
)
def test_a_run_that_is_not_the_bundles_is_refused(tmp_path, run, bundle, changes, rule):
    change_json(run / "run.json", **changes)
    with pytest.raises(BundleError, match=rule):
        add_model("ic-test", run=run, bundle=bundle, root=tmp_path / "zoo", **CARD_FIELDS)
    assert not list((tmp_path / "zoo").glob("*"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"name": "IC test"}, "name must be lower-case"),
        ({"name": "../x"}, "name must be lower-case"),
        ({"title": " "}, "title must not be empty"),
        ({"data_licence": ""}, "data_licence must not be empty"),
        ({"notes": ""}, "notes must not be empty"),
        ({"figures": ()}, "must have figures"),
        ({"figures": (Figure("a", float("nan")),)}, "a must be a finite number"),
        ({"figures": (Figure("a", 1.0), Figure("a", 2.0))}, "figures must differ"),
        ({"commands": ()}, "must have the commands"),
    ],
)
def test_cards_that_say_too_little_are_refused(tmp_path, run, bundle, changes, rule):
    fields = {"name": "ic-test", **CARD_FIELDS, **changes}
    with pytest.raises(BundleError, match=rule):
        add_model(run=run, bundle=bundle, root=tmp_path / "zoo", **fields)
    assert not (tmp_path / "zoo").exists()


def remove(name):
    return lambda entry: (entry / name).unlink()


def write(name, content="x"):
    return lambda entry: (entry / name).write_text(content)


def change_record(**changes):
    return lambda entry: change_json(entry / "run/run.json", **changes)


def rewrite_card(**changes):
    return lambda entry: change_card(entry, **changes)


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (remove("card.json"), "card.json must be a model card"),
        (write("card.json", "[]"), "must be a JSON object of format 1"),
        (write("card.json", "{"), "must be a model card"),
        (write("card.md", "# better than it is"), "must be made from card.json"),
        (remove("card.md"), "must be made from card.json"),
        (remove("run/model.keras"), "model.keras is missing"),
        (remove("run/run.json"), "run.json is missing"),
        (write("run/run.json", "3"), "must be a training record"),
        (write("run/run.json", "{"), "must be a training record"),
        (remove("bundle/full.tflite"), "full.tflite"),
        (write("bundle/full.tflite"), "full.tflite"),
        (write("notes.txt"), "notes.txt does not belong"),
        (write("bundle/extra.tflite"), "bundle/extra.tflite does not belong"),
        (change_record(seed=4), "seed must be the same on the card and in the run, got 3 and 4"),
        (change_record(recipe={}), "recipe must be the same"),
        (rewrite_card(name="other"), "name must be the same on the card and in the folder's name"),
        (rewrite_card(bundle_digest="0" * 64), "bundle_digest must be the same"),
        (rewrite_card(seed=9), "seed must be the same"),
    ],
)
def test_a_damaged_entry_is_found(root, damage, rule):
    damage(root / "ic-test")
    with pytest.raises(BundleError, match=re.compile(rule)) as raised:
        check_zoo(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ModelCard)])
def test_every_field_of_a_card_is_required_and_typed(root, field):
    good = json.loads((root / "ic-test/card.json").read_text())
    for bad in ({k: v for k, v in good.items() if k != field}, good | {field: None}):
        with pytest.raises(BundleError, match=field):
            ModelCard.from_json(bad)
    with pytest.raises(BundleError, match="odd: more"):
        ModelCard.from_json(good | {"more": 1})


def test_the_zoo_of_this_package_is_whole():
    sizes = check_zoo()
    assert sorted(sizes) == [card.name for card in zoo_list()]


@pytest.mark.parametrize("name", [card.name for card in zoo_list()])
def test_bundles_of_the_zoo_verify(name):
    found = verify_bundle(MODELS / name / "bundle", samples=20)
    assert found.checks and all(check.passed for check in found.checks), found
