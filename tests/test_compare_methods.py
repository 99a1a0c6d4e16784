"""Every method through the whole pipeline: trained, int8, cut, calibrated, compiled, compared.

One comparison of all methods on a tiny task, with two exits each; one epoch, so that figures mean
nothing but bytes must agree.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.support import tiny_task
from trecx.bundle import read_bundle
from trecx.bundle.verify import verify_bundle
from trecx.errors import InputError
from trecx.exits import load_trained, predict
from trecx.exits.methods import METHODS
from trecx.policies import FAMILIES, Budget, Resamples, SplitRole
from trecx.reports.text import to_text
from trecx.stages.calibrating import Choice, recalibrate
from trecx.stages.chain import load_chain
from trecx.stages.comparing import compare_runs, name_runs, train_and_compare
from trecx.stages.compiling import compile_for
from trecx.stages.contenders import Terms, export_contender, read_run
from trecx.stages.data import DataChoice
from trecx.stages.float_outputs import to_int8_form
from trecx.stages.outputs import quantise, spread
from trecx.stages.recipes import LAYOUTS
from trecx.stages.running import run_on
from trecx.task import ExitSpec

PLACES = ("conv1", "conv2")
HEADS = {
    "t-recx": ("t-recx", {"channels": 4, "pool": 2}),
    "distilled": ("tower", {"blocks": [["full", 6, 2], ["separable", 8, 1]]}),
    "branchynet": ("conv", {"pool": 2}),
    "sdn": ("pool", {"side": 2}),
    "eenet": ("confidence", {}),
    "pteenet": ("confidence", {"convs": [6]}),
    "fine-tuned": ("tower", {"blocks": [["full", 6, 2], ["separable", 8, 1]]}),
}


def recipe_of(method):
    head, options = HEADS[method]
    exits = tuple(ExitSpec(at, head, options) for at in PLACES)
    return dataclasses.replace(
        tiny_task.RECIPE, name=method, method=method, exits=exits, epochs=1, method_options={}
    )


TASK = dataclasses.replace(
    tiny_task.TASK,
    recipes={name: recipe_of(name) for name in HEADS},
    default_recipe="t-recx",
)
TERMS = Terms(("class_gate",), target="host", resamples=Resamples(50))


CHOICE = DataChoice(seed=1, options={"calibration": 120, "test": 120})


@pytest.fixture(scope="module")
def data():
    return CHOICE.load(TASK)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def report(out):
    return train_and_compare(TASK, list(HEADS), CHOICE, out, TERMS)


@pytest.fixture(scope="module")
def contenders(report, data, out):
    """Everything that the comparison exported, read again from its files."""

    def again(name, base):
        run = read_run(out / "runs" / name)
        return export_contender(name, run, data, out, base, TERMS, lambda what, done, count: None)

    base = again("base", None)
    return {"base": base, **{name: again(name, base).beside(base) for name in HEADS}}


def test_every_method_is_in_the_contract():
    assert set(HEADS) == set(METHODS) - {"base", "autoencoder"}
    for layout in LAYOUTS.values():
        assert layout.head == HEADS[layout.method][0]


@pytest.mark.parametrize("name", HEADS)
def test_segments_are_the_whole_network_cut(contenders, name):
    bundle = contenders[name].bundle
    assert len(bundle.segments) == 3
    checked = verify_bundle(bundle.path, samples=64)
    assert checked.passed, checked


@pytest.mark.parametrize("name", HEADS)
def test_thresholds_are_of_the_published_policy(contenders, name):
    contender = contenders[name]
    assert contender.policy == METHODS[name].exit_policy
    budget = Budget(max_accuracy_loss=TERMS.max_accuracy_loss)
    bundle = contender.bundle
    chosen = bundle.manifest["calibration"]
    assert chosen["family"] == contender.policy and chosen["budget"]["max_accuracy_loss"] == 1.0
    assert chosen["expected"]["accuracy_loss"]["value"] <= budget.max_accuracy_loss / 100
    assert bundle.manifest["test"]["split"] == "test" and bundle.manifest["test"]["samples"] == 120


@pytest.mark.parametrize("name", HEADS)
def test_compiled_chain_is_bit_exact_at_every_exit(contenders, data, name):
    """On the host, with thresholds at which samples leave everywhere."""
    contender = contenders[name]
    chain = load_chain(contender.bundle.path)
    calibration = contender.outputs[SplitRole.CALIBRATION]
    policies = []
    for k in range(2):
        fitted = FAMILIES[contender.policy].fit(calibration, k)
        scores = np.sort(fitted.scores(calibration.outputs[k]))
        policies.append(fitted.policy(scores[len(scores) // 2]))
    chain = dataclasses.replace(chain, policies=tuple(policies))
    x = quantise(data.test.inputs(slice(0, 60)), chain.graphs[0])
    run = run_on(chain, compile_for(chain, "host"), "host", x)
    assert len(run.expected.differing(run.result)) == 0
    stopped = set(run.result.exit_index.tolist())
    assert 0 in stopped and len(stopped) > 1, "thresholds that take one path test nothing"


def test_pteenet_leaves_the_backbone_bit_identical_in_int8(contenders):
    for split in SplitRole.CALIBRATION, SplitRole.TEST:
        base = contenders["base"].outputs[split].outputs[-1]
        assert np.array_equal(contenders["pteenet"].outputs[split].outputs[-1], base)
    other = contenders["sdn"].outputs[SplitRole.TEST]
    assert not np.array_equal(other.outputs[-1], other.base)


def test_exits_of_eenet_carry_their_confidence(contenders):
    outputs = contenders["eenet"].outputs[SplitRole.TEST].outputs
    assert [o.shape[1] for o in outputs] == [4, 4, 3]


def test_the_report_has_every_method_and_policy(report):
    names = [entry.name for entry in report.benefit.entries]
    gated = [f"{name}, class_gate" for name in HEADS if "confidence" not in HEADS[name]]
    assert set(names) == {*HEADS, *gated} and names[0] == "t-recx"
    assert [t.name for t in report.trainings] == ["base", *HEADS]
    text = to_text(report.document())
    assert "eenet, class_gate: policy 'class_gate' needs an exit output of 3 values" in text
    assert "without calibration" in text and "instead of" in text and "synthetic" in text
    fixed = {entry.name: entry.fixed for entry in report.benefit.entries}
    assert [name for name, value in fixed.items() if value is not None] == ["eenet"]
    assert dict(report.overthinking).keys() == HEADS.keys()
    base_parameters = 1 * 9 * 6 + 6 + 4 * 6 + 6 * 9 * 8 + 8 + 8 * 9 * 8 + 8 + (8 + 1) * 3
    eenet = next(e for e in report.benefit.entries if e.name == "eenet")
    assert 0 < eenet.parameters_added < base_parameters
    assert all(e.curve.reference_cost == eenet.curve.reference_cost for e in report.benefit.entries)


def test_the_comparison_is_written_whole(report, out):
    written = json.loads((out / "comparison.json").read_text())
    assert written == json.loads(json.dumps(report.to_json()))
    for name in ("comparison.svg", "comparison-float.svg"):
        assert (out / name).read_text().startswith("<svg")
    assert "![" in (out / "comparison.md").read_text()
    assert "<svg" in (out / "comparison.html").read_text()


def test_float_answers_are_those_of_the_trained_network(report, contenders, out):
    run = load_trained(out / "runs" / "sdn")
    samples = CHOICE.load(TASK).test
    rows = spread(len(samples), TERMS.limit)
    for k, output in enumerate(predict(run.model, samples)):
        answers = output[rows, :3].argmax(axis=1)
        kept = contenders["sdn"].float_outputs[SplitRole.TEST].outputs[k]
        assert np.array_equal(kept[:, :3].argmax(axis=1), answers)
        assert np.abs(kept / 256 + 0.5 - output[rows]).max() <= 2.5 / 256
    found = [p for p in report.precisions if p.name == "sdn"]
    assert [p.exit for p in found] == ["exit 1", "exit 2", "full depth"]


def test_rounding_never_changes_an_answer():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 0.01, (500, 10))
    even = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    certain = np.eye(10)[rng.integers(0, 10, 50)]
    for output in (even, certain, np.full((1, 10), 0.1)):
        q = to_int8_form(np.concatenate([output, output[:, :1]], axis=1), 10)
        assert np.array_equal(q[:, :10].argmax(axis=1), output.argmax(axis=1))
        assert (np.sort(q[:, :10], axis=1)[:, -1] > np.sort(q[:, :10], axis=1)[:, -2]).all()


def test_finished_work_is_used_again(report, out):
    """Nothing is trained or quantised twice, and the figures stay the same."""
    kept = [*out.glob("runs/*/log.csv"), *out.glob("bundles/*/manifest.json")]
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 2 * (len(HEADS) + 1)
    again = train_and_compare(TASK, list(HEADS), CHOICE, out, TERMS)
    assert again.to_json() == report.to_json()
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def test_runs_can_be_compared_by_path_and_name(report, out, tmp_path):
    runs = [f"ours={out / 'runs' / 'distilled'}", str(out / "runs" / "base")]
    found = compare_runs(TASK, runs, CHOICE, tmp_path, TERMS)
    assert [e.name for e in found.benefit.entries] == ["ours", "ours, class_gate"]
    old = next(e for e in report.benefit.entries if e.name == "distilled")
    assert found.benefit.entries[0].curve.picks == old.curve.picks


@pytest.mark.parametrize(
    "runs, message",
    [
        (["runs/sdn", "runs/eenet"], "one run of the network without exits.*got 0 and 2"),
        (["runs/base"], "at least one with; got 1 and 0"),
        (["runs"], "holds no finished training run"),
        (["a=runs/base", "a=runs/sdn"], "two runs are called 'a': name them"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(report, out, runs, message, monkeypatch):
    monkeypatch.chdir(out)
    with pytest.raises(InputError, match=message):
        compare_runs(TASK, runs, CHOICE, out / "other", TERMS)


def test_runs_of_one_recipe_are_called_by_their_folder(report, out, monkeypatch):
    monkeypatch.chdir(out)
    (out / "runs" / "sdn-2").symlink_to(out / "runs" / "sdn")
    assert list(name_runs(["runs/sdn", "runs/sdn-2", "runs/base"])) == ["sdn", "sdn-2", "base"]


def test_a_run_on_other_data_is_refused(report, data, out):
    def other(**options):
        return dataclasses.replace(data, name="other stripes")

    task = dataclasses.replace(TASK, sources={"synthetic": other})
    runs = [str(out / "runs" / name) for name in ("base", "sdn")]
    with pytest.raises(InputError, match=r"on 'tiny stripes' with 3 classes; .* 'other stripes'"):
        compare_runs(task, runs, CHOICE, out, TERMS)
    task = dataclasses.replace(TASK, name="large")
    with pytest.raises(InputError, match="was trained for task 'tiny', not for 'large'"):
        compare_runs(task, runs, CHOICE, out, TERMS)


def test_a_folder_with_other_settings_is_refused(report, out):
    with pytest.raises(InputError, match="holds a run with another seed: choose another folder"):
        train_and_compare(TASK, ["sdn"], dataclasses.replace(CHOICE, seed=2), out, TERMS)
    with pytest.raises(InputError, match="another recipe"):
        train_and_compare(TASK, ["sdn"], CHOICE, out, TERMS, epochs=2)


def test_a_damaged_run_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"task": "tiny"}')
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize("name, kind", [("eenet", "confidence"), ("branchynet", "table_sum")])
def test_calibrating_anew_keeps_the_method_s_own_policy(contenders, data, tmp_path, name, kind):
    shutil.copytree(contenders[name].bundle.path, tmp_path / "bundle")
    choice = Choice(Budget(max_accuracy_loss=5.0))
    found = recalibrate(read_bundle(tmp_path / "bundle"), data, choice)
    assert {p["kind"] for p in found.manifest["policies"]} == {kind}
    assert found.manifest["calibration"]["budget"]["max_accuracy_loss"] == 5.0


def test_a_user_s_trained_network_is_the_base_as_it_is(contenders, out, tmp_path):
    """PTEENet needs nothing but the .keras file; its answers at full depth are the file's."""
    model_file = out / "runs" / "base" / "model.keras"
    found = train_and_compare(TASK, ["pteenet"], CHOICE, tmp_path, TERMS, model_file=model_file)
    pteenet = found.benefit.entries[0].curve
    expected = contenders["base"].bundle.manifest["test"]["accuracy"]["value"]
    assert pteenet.segment_accuracy[-1].value == pteenet.reference_accuracy.value == expected
    assert not (tmp_path / "runs" / "base" / "log.csv").exists()
    assert "Not the same training budget; epochs: base 0, pteenet 1." in found.notes
    user, adopted = (read_bundle(p / "bundles" / "base") for p in (out, tmp_path))
    assert user.read("full.tflite") == adopted.read("full.tflite")
