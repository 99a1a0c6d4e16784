"""The page of results: what it says follows from the outputs, aims that are missed included."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.comparison import DOCS
from benchmarks.results import main, page
from benchmarks.study import Study
from tests.support.chain_outputs import chain_outputs
from trecx.policies import LOSSES, PathCosts, SplitRole, benefit_curve
from trecx.policies.bootstrap import Resamples
from trecx.reports.quantisation import exit_precisions

OURS = "tower"
NETWORKS = ("t-recx", "t-recx-no-ev", OURS)
SPLITS = ((700, 1, SplitRole.CALIBRATION), (900, 2, SplitRole.TEST))
STRENGTHS = {"base": (2.0, 2.0), "t-recx": (1.0, 2.0), "t-recx-no-ev": (1.1, 1.9), OURS: (1.9, 2.4)}
COSTS = {"t-recx": (60.0, 104.0), "t-recx-no-ev": (60.0, 102.0), OURS: (30.0, 115.0)}


def write_study(folder, shift=0.0, task="ic", seed=7):
    """A folder as `trecx compare` writes it, of made-up answers."""
    (folder / "outputs").mkdir(parents=True)
    outputs = {}
    for name, strengths in STRENGTHS.items():
        for kind, more in (("", 0.0), ("float-", 0.05)):
            found = []
            for split in SPLITS:
                raised = tuple(s + more + shift for s in strengths)
                data = chain_outputs(*split, strengths=raised)
                if name == "base":
                    data = dataclasses.replace(data, outputs=data.outputs[-1:], quants=None)
                data.save(folder / "outputs" / f"{name}-{kind}{split[2].value}.npz")
                found.append(data)
            outputs[name, kind] = found
    precisions = [
        p.to_json()
        for name in STRENGTHS
        for p in exit_precisions(
            name,
            outputs[name, "float-"][1].correct(),
            outputs[name, ""][1].correct(),
            Resamples(50),
        )
    ]
    methods = [
        {
            "name": name,
            "parameters_added": 12,
            "curve": {
                "path_costs": COSTS[name],
                "reference_cost": 100.0,
                "policy": "max_softmax",
                "area_from": 0.6,
            },
        }
        for name in NETWORKS
    ]
    figures = {
        "task": task,
        "data": "made-up blobs",
        "trainings": [{"name": name, "epochs": 3, "seed": seed} for name in STRENGTHS],
        "benefit": {"methods": [*methods, {"name": "sdn"}]},
        "precisions": precisions,
    }
    (folder / "comparison.json").write_text(json.dumps(figures))
    return outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "toy"
    write_study(folder)
    return folder


@pytest.fixture(scope="module")
def study(folder):
    return Study.read(folder)


def test_curves_are_those_of_the_outputs(study, folder, tmp_path):
    outputs = write_study(tmp_path / "again")
    splits = [
        dataclasses.replace(o, base=b.outputs[-1])
        for o, b in zip(outputs[OURS, ""], outputs["base", ""], strict=True)
    ]
    costs = PathCosts(COSTS[OURS], "FLOPs", 100.0)
    expected = benefit_curve(*splits, costs, "max_softmax", "base", 0.6)
    found = study.entry(OURS).curve
    assert [p and p.reduction for p in found.picks] == [p and p.reduction for p in expected.picks]
    assert found.reference_accuracy == expected.reference_accuracy
    own = study.entry(OURS, study.own_depth).curve
    assert own.reference == "full" and own.picks[0] is not None


def figures(folder):
    return {"name": folder.name, **Study.read(folder).figures()}


def rows(text, word):
    return [line for line in text.splitlines() if word in line]


def test_page_has_the_figures(study, folder):
    text = page([figures(folder)])
    pick = study.entry(OURS).curve.picks[LOSSES.index(1.0)]
    assert f"{100 * pick.reduction.value:.1f} % [" in text
    gain = study.int8.reduction_difference(study.entry(OURS), 2, study.entry("t-recx"))
    assert f"{100 * gain.value:.1f} points [" in text
    assert "| tower | exit 1 | 30.0 % |" in text and "sdn" not in text
    assert "The same with" not in text
    assert "3 epochs, seed 7" in text


def test_aims_are_judged_by_the_figures(tmp_path):
    write_study(tmp_path / "good")
    above = Study.read(tmp_path / "good").above_base(OURS)
    good = page([figures(tmp_path / "good")])
    assert above.value > 0 and rows(good, "full depth not")[0].endswith("| yes |")
    for file in (tmp_path / "good" / "outputs").glob(f"{OURS}-*.npz"):
        arrays = dict(np.load(file))
        for key in ("output0", "output1"):
            arrays[key] = np.roll(arrays[key], 1, axis=1)
        np.savez(file, **arrays)
    bad = page([figures(tmp_path / "good")])
    assert rows(bad, "full depth not")[0].endswith("| no |")
    assert "15 % of the FLOPs saved at zero loss | - | no |" in bad


def test_aims_are_judged_by_the_mean_over_the_seeds(folder):
    first = figures(folder)
    second = first | {"seed": 8, "name": "toy-seed8"}
    for value, verdict in ((-first["above_base"]["value"] + 0.02, "yes"), (-1.0, "no")):
        second["above_base"] = {"value": value, "low": value, "high": value}
        row = rows(page([first, second]), "full depth not")[0]
        mean = 100 * (first["above_base"]["value"] + value) / 2
        assert f"seed 8: {100 * value:.2f}; mean {mean:.2f} points | {verdict} |" in row


def test_the_exit_that_loses_most_in_int8_on_average_is_judged(folder):
    first = figures(folder)
    second = json.loads(json.dumps(first)) | {"seed": 8, "name": "toy-seed8"}
    for study, worst in ((first, "base"), (second, "base")):
        for answer in study["answers"]:
            value = -0.02 if answer["network"] == worst else 0.001
            answer["change"] = {"value": value, "low": value, "high": value}
    first["answers"][-1]["change"]["value"] = -0.03  # the last exit, with one of the seeds
    [row] = rows(page([first, second]), "int8 loses")
    assert "| base, full depth: -2.00 points" in row and row.endswith("mean -2.00 points | no |")


def test_threshold_that_only_one_finds_decides(folder):
    none, some = [None] * 4, figures(folder)["picks"]["int8"][OURS]
    assert None not in some
    for theirs, ours, said in (
        (none, some, "| t-recx finds no threshold | yes |"),
        (some, none, "| - | no |"),
        (none, none, "| - | no |"),
    ):
        study = figures(folder)
        study["picks"]["int8"] |= {"t-recx": theirs, OURS: ours}
        study["differences"]["base"]["t-recx"] = none
        assert all(row.endswith(said) for row in rows(page([study]), "more than T-RecX"))


def test_repetitions_stand_together(study, folder, tmp_path):
    write_study(tmp_path / "toy-seed8", shift=0.3, seed=8)
    write_study(tmp_path / "other", task="kws")
    text = page([figures(f) for f in (tmp_path / "toy-seed8", tmp_path / "other", folder)])
    assert text.count("The same with") == 1 and "The same with seeds 7, 8" in text
    low, high = sorted(100 * s.entry(OURS).curve.segment_accuracy[0].value
                       for s in (study, Study.read(tmp_path / "toy-seed8")))  # fmt: skip
    assert f"{(low + high) / 2:.2f} % ({low:.2f} to {high:.2f})" in text


def test_command_writes_figures_page_and_pictures(folder, tmp_path):
    done = CliRunner().invoke(main, [str(folder), "--docs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "RESULTS.md").read_text()
    for name in ("results-toy.svg", "results-toy-float.svg"):
        assert f"({name})" in text and (tmp_path / name).read_text().startswith("<svg")
    again = tmp_path / "results" / "toy-seed8"
    write_study(again, seed=8)
    assert CliRunner().invoke(main, [str(again), "--docs", str(tmp_path)]).exit_code == 0
    assert "The same with seeds 7, 8" in (tmp_path / "RESULTS.md").read_text()
    assert not (tmp_path / "results-toy-seed8.svg").exists()


def test_committed_page_is_that_of_the_committed_figures():
    studies = [json.loads(path.read_text()) for path in (DOCS / "results").glob("*.json")]
    assert studies and page(studies) == (DOCS / "RESULTS.md").read_text()
