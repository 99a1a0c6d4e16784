"""The page of results: what it says follows from the outputs, aims that are missed included."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.results import NETWORKS, OURS, Study, main, page
from tests.support.chain_outputs import chain_outputs
from trecx.policies import LOSSES, PathCosts, SplitRole, benefit_curve
from trecx.policies.bootstrap import Resamples
from trecx.reports.quantisation import exit_precisions

SPLITS = ((700, 1, SplitRole.CALIBRATION), (900, 2, SplitRole.TEST))
STRENGTHS = {"base": (2.0, 2.0), "t-recx": (1.0, 2.0), "t-recx-no-ev": (1.1, 1.9), OURS: (1.9, 2.4)}
COSTS = {"t-recx": (60.0, 104.0), "t-recx-no-ev": (60.0, 102.0), OURS: (30.0, 115.0)}


def write_study(folder, shift=0.0, task="ic"):
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
        "trainings": [{"name": name, "epochs": 3, "seed": 7} for name in STRENGTHS],
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


def test_page_has_the_figures(study):
    text = page([study], [])
    pick = study.entry(OURS).curve.picks[LOSSES.index(1.0)]
    assert f"{100 * pick.reduction.value:.1f} % [" in text
    gain = study.int8.reduction_difference(study.entry(OURS), 2, study.entry("t-recx"))
    assert f"{100 * gain.value:.1f} points [" in text
    assert "| tower | exit 1 | 30.0 % |" in text and "sdn" not in text
    assert "seeds" not in text
    assert "3 epochs, seed 7" in text


def test_aims_are_judged_by_the_figures(tmp_path):
    write_study(tmp_path / "good")
    rows = [
        r for r in page([Study.read(tmp_path / "good")], []).splitlines() if "full depth not" in r
    ]
    above = Study.read(tmp_path / "good").above_base(OURS)
    assert above.value > 0 and rows[0].endswith("| yes |")
    for file in (tmp_path / "good" / "outputs").glob(f"{OURS}-*.npz"):
        arrays = dict(np.load(file))
        for key in ("output0", "output1"):
            arrays[key] = np.roll(arrays[key], 1, axis=1)
        np.savez(file, **arrays)
    bad = page([Study.read(tmp_path / "good")], [])
    assert next(r for r in bad.splitlines() if "full depth not" in r).endswith("| no |")
    assert "15 % of the FLOPs saved at zero loss | - | no |" in bad


def test_repetitions_stand_together(study, folder, tmp_path):
    write_study(tmp_path / "toy-seed1", shift=0.3)
    write_study(tmp_path / "other", task="kws")
    repeats = [Study.read(tmp_path / "toy-seed1"), Study.read(tmp_path / "other")]
    text = page([study], repeats)
    assert "The same with 2 seeds" in text
    low, high = sorted(100 * s.entry(OURS).curve.segment_accuracy[0].value
                       for s in (study, repeats[0]))  # fmt: skip
    assert f"{(low + high) / 2:.1f} % ({low:.1f} to {high:.1f})" in text


def test_command_writes_page_and_pictures(folder, tmp_path):
    done = CliRunner().invoke(main, [str(folder), "--docs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "RESULTS.md").read_text()
    for name in ("results-toy.svg", "results-toy-float.svg"):
        assert f"({name})" in text and (tmp_path / name).read_text().startswith("<svg")
