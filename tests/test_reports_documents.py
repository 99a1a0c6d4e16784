"""Every report in its three forms: figures, JSON, and a self-contained page."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.support import trecx_chains
from tests.support.chain_outputs import chain_outputs
from trecx.errors import InputError
from trecx.policies import (
    Budget,
    PathCosts,
    Resamples,
    SplitRole,
    analyse_overthinking,
    benefit_curve,
    calibrate,
    evaluate,
)
from trecx.reports.accuracy import AccuracyReport
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.document import Document, Facts, Figure, Note, Table
from trecx.reports.flops import flops_report
from trecx.reports.html import to_html
from trecx.reports.latency import LatencyReport, StepTime
from trecx.reports.memory import MemoryReport, PlannedBuffer
from trecx.reports.overthinking import OverthinkingReport
from trecx.reports.run import Exactness, Memory, run_report
from trecx.reports.svg import ticks
from trecx.reports.text import to_markdown, to_text

COSTS = PathCosts((45.0, 104.0), "MACs", base=100.0)
FEW = Resamples(60)
CALIBRATION = chain_outputs(600, 1, class_bias=0.5, base=True)
TEST = chain_outputs(800, 2, SplitRole.TEST, class_bias=0.5, base=True)


def entry(policy: str, **added) -> Entry:
    return Entry(
        policy, benefit_curve(CALIBRATION, TEST, COSTS, policy, "base", 0.45, FEW), **added
    )


def benefit() -> BenefitReport:
    entries = (entry("max_softmax", parameters_added=5834, ram_added=-64), entry("class_gate"))
    return BenefitReport("Exit <rules> & curves", entries, FEW, synthetic_data=True)


def accuracy() -> AccuracyReport:
    result = calibrate(CALIBRATION, COSTS, Budget(max_accuracy_loss=1), "margin", FEW)
    test = evaluate(result.policies, TEST, COSTS, FEW)
    return AccuracyReport("ic", "margin", (result.expected, test), synthetic_data=True)


def latency() -> LatencyReport:
    steps = (
        StepTime(0, "s0_00_conv_2d", "CONV_2D", "im2col", "backbone", 900_000, 442_368, 1_000_000),
        StepTime(0, "s0_01_softmax", "SOFTMAX", "lut", "exit head", 99_500),
        StepTime(0, "trecx_exit_top_class", "", "", "exit decision", 500),
        StepTime(1, "s1_00_conv_2d", "CONV_2D", "im2col", "backbone", 1_000_000, 600_000),
    )
    return LatencyReport("ic", "mps2-an386", steps, 2, (0.25, 0.75), "M4 timings")


def memory() -> MemoryReport:
    buffers = (
        PlannedBuffer("input", "input", 3072, 16384, 0, 0),
        PlannedBuffer("m/stack1", "handoff", 16384, 0, 0, 2),
        PlannedBuffer("im2col", "scratch", 64, 19456, 0, 0),
        PlannedBuffer("probabilities", "output", 16, 16384, 1, 3),
    )
    steps = ("conv", "head", "conv2", "softmax")
    return MemoryReport("ic", buffers, steps, (2,), 19520, 19520, (16384,), (5088, 77738))


def run(**options):
    exit_index = np.array([0, 1, 1, 0])
    instructions = np.array([100, 200, 220, 110], np.int64)
    return run_report(
        *("ic", "mps2-an386", "blobs", exit_index, np.array([1, 2, 3, 4]), 2),
        labels=np.array([1, 2, 3, 5]),
        instructions=instructions,
        memory=Memory({".text": 1000, ".rodata": 500}, 800, 600, 96, 4096),
        exactness=Exactness("TFLM", 4, options.pop("differing", ())),
        synthetic_data=True,
        **options,
    )


REPORTS = {
    "flops": lambda: flops_report(trecx_chains.kws(), exit_rates=(0.4, 0.6)),
    "benefit": benefit,
    "accuracy": accuracy,
    "overthinking": lambda: OverthinkingReport(
        "ic", analyse_overthinking(TEST, COSTS, calibration=CALIBRATION, resamples=FEW), True
    ),
    "latency": latency,
    "memory": memory,
    "run": run,
}


@pytest.fixture(scope="module", params=sorted(REPORTS))
def report(request):
    return REPORTS[request.param]()


def test_json_is_strict_and_names_the_report(report):
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["report"] in REPORTS


def test_every_cell_is_in_all_three_forms(report):
    document = report.document()
    text, markdown = to_text(document), to_markdown(document)
    page = _visible_text(to_html("t", [document]))
    for block in document.blocks:
        cells = []
        if isinstance(block, Table):
            assert all(len(row) == len(block.columns) for row in block.rows)
            cells = [c for row in (block.columns, *block.rows) for c in row]
        elif isinstance(block, Facts):
            cells = [c for row in block.rows for c in row]
        elif isinstance(block, Note):
            cells = [block.text]
        for cell in cells:
            assert cell in text and cell.replace("|", r"\|") in markdown and cell in page


def test_synthetic_data_is_always_labelled(report):
    if getattr(report, "synthetic_data", False):
        assert "synthetic" in to_text(report.document())
        assert report.to_json()["synthetic_data"] is True


def test_figures_are_well_formed_and_stay_inside_their_frame(report):
    for block in report.document().blocks:
        if isinstance(block, Figure):
            root = ElementTree.fromstring(block.svg)
            width, height = float(root.get("width")), float(root.get("height"))
            for element in root.iter():
                x, y = (float(element.get(k, 0)) for k in ("x", "y"))
                assert -1 <= x <= width and -1 <= y <= height
                for pair in element.get("points", "").split():
                    px, py = map(float, pair.split(","))
                    assert -1 <= px <= width and -1 <= py <= height


def test_page_is_self_contained_and_escaped():
    page = to_html("All <of> it", [make().document() for make in REPORTS.values()], "trecx 1.0")
    assert "<script" not in page and "<link" not in page and "@import" not in page
    urls = set(re.findall(r'(?:src|href|url)[=(]"?([^")\s>]+)', page))
    assert all(u.startswith("#s") for u in urls)
    assert "All &lt;of&gt; it" in page and "Exit &lt;rules&gt; &amp; curves" in page
    checker = _Balanced()
    checker.feed(page)
    assert checker.open == []


def test_run_report_counts_paths_and_percentiles_of_real_samples():
    report = run()
    assert report.accuracy == 0.75 and report.exit_rates == (0.5, 0.5)
    rows = {i.path: i for i in report.instructions}
    assert (rows["exit 1 taken"].mean, rows["exit 1 taken"].worst) == (105.0, 110)
    assert (rows["full depth"].p50, rows["full depth"].p95) == (200, 220)
    assert (rows["all"].samples, rows["all"].p50) == (4, 110)
    assert report.to_json()["memory"]["flash_total"] == 1500
    assert report.to_json()["exactness"]["bit_exact"] is True


def test_run_report_shouts_when_outputs_differ():
    report = run(differing=(1, 3))
    assert "NO: 2 of 4 differ (samples 1, 3)" in to_text(report.document())
    assert report.to_json()["exactness"]["bit_exact"] is False


def test_run_report_without_labels_instructions_or_memory():
    report = run_report("m", "host", "d.npy", np.zeros(3, int), np.zeros(3, int), 1)
    text = to_text(report.document())
    assert "accuracy" not in text and "Instructions" not in text
    assert report.exit_rates == (1.0,)


def test_latency_paths_expected_and_decision_share():
    report = latency()
    assert report.paths == (1_000_000, 2_000_000)
    assert report.expected == 1_750_000
    assert report.decision_share == pytest.approx(0.0005)
    text = to_text(report.document())
    assert "cycles (est.)" in text and "estimated" in text and "0.050 %" in text


def test_latency_of_a_step_that_runs_only_where_its_exit_is_taken():
    steps = [
        dataclasses.replace(step, only_when_taken=step.kind == "SOFTMAX")
        for step in latency().steps
    ]
    report = LatencyReport("ic", "mps2-an386", tuple(steps), 2)
    assert report.paths == (1_000_000, 2_000_000 - 99_500)


def test_memory_report_finds_the_peak():
    report = memory()
    assert report.peak_steps == (0,)
    assert "largest at" in to_text(report.document())


def test_comparison_needs_common_ground():
    one = entry("max_softmax")
    other = Entry("wide", benefit_curve(CALIBRATION, TEST, COSTS, "margin", "base", 0.5, FEW))
    with pytest.raises(InputError, match="different area ranges"):
        BenefitReport("t", (one, other), FEW)
    fewer = benefit_curve(
        CALIBRATION, TEST.subset(np.arange(400)), COSTS, "margin", "base", 0.45, FEW
    )
    with pytest.raises(InputError, match="different test samples"):
        BenefitReport("t", (one, Entry("fewer", fewer)), FEW)
    with pytest.raises(InputError, match="at least one method"):
        BenefitReport("t", (), FEW)


def test_comparison_differences_are_against_the_first():
    data = benefit().to_json()
    first, second = data["methods"]
    assert first["area_minus_first"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    a, b = (m["curve"]["picks"][3]["reduction"]["value"] for m in (first, second))
    assert second["reduction_minus_first"][3]["value"] == pytest.approx(b - a)


@pytest.mark.parametrize(
    "low, high, expected",
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (45, 104, [50, 60, 70, 80, 90, 100])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


def test_markdown_escapes_bars():
    table = Table(("a|b",), (("c|d",),))
    assert r"| c\|d |" in to_markdown(Document("t", (table,)))


def _visible_text(page: str) -> str:
    class Text(HTMLParser):
        def handle_data(self, data):
            self.parts.append(data)

    parser = Text()
    parser.parts = []
    parser.feed(page)
    return "\n".join(parser.parts)


class _Balanced(HTMLParser):
    """Raises at a closing tag that closes nothing; `open` must be empty at the end."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
