"""The comparison: groups of policies, who is ahead where, pictures, and the page made of it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.comparison import main, page, read_result
from tests.support.chain_outputs import chain_outputs
from trecx.policies import (
    LOSSES,
    PathCosts,
    Resamples,
    SplitRole,
    analyse_overthinking,
    benefit_curve,
    evaluate,
)
from trecx.policies.benefit import best_accuracy
from trecx.policies.rules import MaxSoftmax
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.comparison import ComparisonReport, Training
from trecx.reports.quantisation import exit_precisions
from trecx.reports.text import to_markdown, to_text

COSTS = PathCosts((45.0, 104.0), "FLOPs", base=100.0)
DEAR = PathCosts((130.0, 250.0), "FLOPs", base=100.0)
FEW = Resamples(60)
SPLITS = ((600, 1, SplitRole.CALIBRATION), (800, 2, SplitRole.TEST))
PLAIN = [chain_outputs(*s, class_bias=0.5, base=True) for s in SPLITS]
STRONG = [
    replace(chain_outputs(*s, strengths=(3.0, 3.5)), base=data.base, labels=data.labels)
    for s, data in zip(SPLITS, PLAIN, strict=True)
]
TEST = PLAIN[1]


def entry(name, data=PLAIN, costs=COSTS, policy="max_softmax", **fields):
    curve = benefit_curve(*data, costs, policy, "base", 0.45, FEW)
    return Entry(name, curve, **fields)


@pytest.fixture(scope="module")
def benefit():
    device = MaxSoftmax(0.9).to_device(10)
    entries = (
        entry("plain", group="plain", parameters_added=10, flash_added=20, ram_added=0),
        entry("plain, margin", policy="margin", group="plain"),
        entry("dear", costs=DEAR, group="dear"),
        entry("fixed", group="fixed", fixed=evaluate((device,), TEST, COSTS, FEW)),
    )
    return BenefitReport("methods", entries, FEW, synthetic_data=True)


@pytest.fixture(scope="module")
def report(benefit):
    trainings = tuple(
        Training(name, method, ("t-recx",), ("a (45 %)",), 3, 1, "max_softmax")
        for name, method in (("plain", "t-recx"), ("dear", "sdn"), ("fixed", "eenet"))
    )
    overthinking = analyse_overthinking(TEST, COSTS, calibration=PLAIN[0], resamples=FEW)
    return ComparisonReport(
        *("toy", "made-up blobs", True, "mps2-an386"),
        (Training("base", "base", (), (), 3, 1, "max_softmax"), *trainings),
        benefit,
        (("plain", overthinking),),
        tuple(exit_precisions("plain", STRONG[1].correct(), TEST.correct(), FEW)),
        BenefitReport("float", (entry("plain", STRONG),), FEW),
        ("A note.",),
    )


def test_best_accuracy_guesses_below_the_cheapest_setting():
    costs, accuracies = np.array([0.5, 0.8, 1.0]), np.array([0.6, 0.7, 0.65])
    grid = np.array([0.0, 0.25, 0.5, 0.79, 0.8, 1.0])
    found = best_accuracy(costs, accuracies, grid, 0.1)
    assert found == pytest.approx([0.1, 0.35, 0.6, 0.6, 0.7, 0.7])


def test_a_dear_method_gets_no_credit_for_costs_it_cannot_reach(benefit):
    dear = next(e for e in benefit.entries if e.name == "dear")
    cheapest = min(p.cost for p in dear.curve.points)
    assert cheapest > 1.25
    at_base = dear.curve.accuracy_at(np.array([1.0]))[0]
    early = dear.curve.segment_accuracy[0].value
    assert at_base == pytest.approx(0.1 + (early - 0.1) / cheapest, abs=0.01)
    assert benefit.share_ahead(dear) == 0.0


def test_policies_of_one_network_are_compared_with_its_first(benefit):
    ((rival, own),) = benefit.rivals()
    assert (rival.name, own.name) == ("plain, margin", "plain")
    assert [e.name for e in benefit.networks()] == ["plain", "dear", "fixed"]
    data = json.loads(json.dumps(benefit.to_json(), allow_nan=False))
    (row,) = data["policies"]
    for i in range(len(LOSSES)):
        a, b = (e.curve.picks[i].reduction.value for e in (rival, own))
        assert row["reduction_differences"][i]["value"] == pytest.approx(a - b)


def test_where_the_best_is_behind(benefit):
    weak, strong = entry("weak"), entry("strong", STRONG)
    found = BenefitReport("two", (weak, strong), FEW)
    assert found.best is strong
    assert found.share_ahead(strong) == 1.0 and found.behind(strong, weak) == []
    ((start, end),) = found.behind(weak, strong)
    assert start == pytest.approx(0.45, abs=0.01) and end > 0.9
    text = to_text(found.document())
    assert "The largest area: strong" in text and "nowhere" in text


def test_ranges_that_almost_touch_are_one(benefit, monkeypatch):
    ahead = np.ones(400, bool)
    ahead[[10, 11, 14, 200]] = False
    monkeypatch.setattr(BenefitReport, "_is_ahead", lambda self, a, b: ahead)
    grid = np.linspace(0.45, 1.0, 400)
    expected = [(grid[10], grid[14]), (grid[200], grid[200])]
    assert benefit.behind(*benefit.entries[:2]) == [pytest.approx(span) for span in expected]


def test_picture_shares_colours_and_leaves_out_what_is_far_beyond(benefit):
    svg = benefit.svg()
    strokes = re.findall(r'stroke="(#\w+)" stroke-width="2"([^>]*)>\s*<title>([^<]*)', svg)
    colours = {name: colour for colour, _, name in strokes}
    assert colours["plain"] == colours["plain, margin"] != colours["fixed"]
    assert [name for _, dashes, name in strokes if "dasharray" in dashes] == ["plain, margin"]
    assert "dear (above 125 %)" in colours
    points = re.findall(r'<polyline points="([^"]*)"', svg)
    assert points[2] == ""


def test_document_has_every_part(report):
    text = to_text(report.document())
    for part in (
        "With the thresholds of the publication",
        "Another exit policy on the same network",
        "Added to the model without exits",
        "Training",
        "both outputs at the end",
        "A note.",
        "synthetic",
    ):
        assert part in text
    json.dumps(report.to_json(), allow_nan=False)


def test_markdown_links_the_pictures(report):
    document = report.document()
    assert "](curve.svg)" in to_markdown(document, pictures=["curve.svg"])
    assert "![" not in to_markdown(document)


@pytest.fixture
def folder(report, tmp_path):
    (tmp_path / "toy").mkdir()
    for name, text in (
        ("comparison.json", json.dumps(report.to_json())),
        ("comparison.md", to_markdown(report.document(), pictures=list(report.pictures()))),
        *report.pictures().items(),
    ):
        (tmp_path / "toy" / name).write_text(text)
    return tmp_path / "toy"


def test_page_has_the_figures_of_the_comparisons(folder, report):
    text = page([read_result(folder)])
    pick = report.benefit.entries[0].curve.picks[2].reduction.value
    assert f"{100 * pick:.1f} %" in text
    assert "| toy | plain | margin |" in text
    assert "## toy: made-up blobs" in text and "(comparison-toy.svg)" in text
    assert "(comparison-toy-float.svg)" in text
    assert "| toy | made-up blobs: synthetic | 600 / 800 |" in text
    best = report.benefit.best
    assert f"**toy**: the largest area has {best.name} (published)" in text


def test_page_says_where_the_best_is_behind(folder, report):
    figures = json.loads((folder / "comparison.json").read_text())
    best = figures["benefit"]["best"]
    for against in best["against"].values():
        against["behind_at_costs"] = []
    (folder / "comparison.json").write_text(json.dumps(figures))
    assert "at least as accurate as every published method at every cost" in page(
        [read_result(folder)]
    )
    name = next(iter(best["against"]))
    best["against"][name]["behind_at_costs"] = [[0.5, 0.612]]
    (folder / "comparison.json").write_text(json.dumps(figures))
    assert f"less accurate at the same cost than {name} at 50 to 61 %" in page(
        [read_result(folder)]
    )


def test_command_writes_page_and_pictures(folder, tmp_path):
    done = CliRunner().invoke(main, [str(folder), "--docs", str(tmp_path / "docs")])
    assert done.exit_code == 0, done.output
    for name in ("comparison-toy.svg", "comparison-toy-float.svg"):
        assert (tmp_path / "docs" / name).read_text().startswith("<svg")
    assert (tmp_path / "docs" / "COMPARISON.md").read_text().startswith("# Exit methods compared")


def test_precision_is_the_paired_difference(report):
    first, last = report.precisions
    assert (first.exit, last.exit) == ("exit 1", "full depth")
    for k, row in enumerate(report.precisions):
        before, after = STRONG[1].correct()[k], TEST.correct()[k]
        assert row.float_accuracy.value == pytest.approx(before.mean())
        assert row.change.value == pytest.approx(after.mean() - before.mean())
        assert row.change.low <= row.change.value <= row.change.high
    assert "int8 minus float" in to_text(report.document())
