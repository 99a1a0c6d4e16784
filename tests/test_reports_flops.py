"""Operation counts of chains, roles from dependencies, and the published figures of T-RecX."""

import io
import json
import re

import pytest

from benchmarks.reference_models import Builder, ds_cnn, mobilenet_v1, resnet8
from tests.support import trecx_chains
from trecx.errors import InputError
from trecx.reports.flops import flops_report
from trecx.reports.roles import Role, roles
from trecx.reports.text import show, to_markdown, to_text

CHAINS = {
    "ic": (trecx_chains.ic, resnet8),
    "kws": (trecx_chains.kws, ds_cnn),
    "vww": (trecx_chains.vww, mobilenet_v1),
}


def report_for(name, **options):
    chain, base = CHAINS[name]
    return flops_report(chain(), base(), **options)


@pytest.mark.parametrize(
    "name, exit_path, base, of_base",
    [
        ("ic", 5.72e6, 12.50e6, 0.458),
        ("kws", 1.50e6, 2.66e6, 0.565),
        ("vww", 3.31e6, 7.49e6, 0.442),
    ],
)
def test_exit_path_costs_are_the_published_ones(name, exit_path, base, of_base):
    report = report_for(name)
    assert report.paths[0].macs == pytest.approx(exit_path, abs=5e3)
    assert report.base.macs == pytest.approx(base, rel=2e-3)
    assert report.paths[0].macs / report.base.macs == pytest.approx(of_base, abs=5e-4)


@pytest.mark.parametrize("name, not_taken", [("ic", 1.045), ("kws", 1.019), ("vww", 1.163)])
def test_cost_when_the_exit_is_not_taken_is_the_published_one(name, not_taken):
    report = report_for(name)
    assert report.full.macs / report.base.macs == pytest.approx(not_taken, abs=6e-4)


def test_roles_follow_the_dependencies():
    stem, tail = trecx_chains.ic()
    kinds = [
        (role.value, op.kind)
        for graph, its_roles in zip([stem, tail], roles([stem, tail]), strict=True)
        for op, role in zip(graph.operators, its_roles, strict=True)
    ]
    head = [kind for role, kind in kinds if role == "exit head"]
    assert head == [
        *("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D"),
        *("RESHAPE", "FULLY_CONNECTED", "SOFTMAX"),
    ]
    assistance = [kind for role, kind in kinds if role == "exit assistance"]
    assert assistance == ["STRIDED_SLICE", "DEPTHWISE_CONV_2D", "RESHAPE"]


def test_a_layer_that_both_exit_and_tail_need_is_backbone():
    b = Builder("stem", (1, 8, 8, 4))
    shared = b.conv(b.input, 8, (3, 3))
    only_head = b.conv(shared, 8, (1, 1))
    later = b.depthwise(shared, (3, 3))
    b.graph.outputs = [b.softmax(b.dense(b.flatten(only_head), 3)), later]
    tail = trecx_chains.tail_builder(later)
    tail.finish(tail.softmax(tail.dense(tail.flatten(tail.input), 3)))
    stem_roles, tail_roles = roles([b.graph, tail.graph])
    assert [r is Role.HEAD for r in stem_roles] == [False, True, False, True, True, True]
    assert set(tail_roles) == {Role.BACKBONE}


def test_a_network_without_exits_is_all_backbone_and_has_no_exit_tables():
    report = flops_report([resnet8()])
    assert report.full == report.base and report.full.macs == 12_501_632
    assert report.full.parameters == 77_706  # batch normalisation is folded
    text = to_text(report.document())
    assert "By layer" in text and "break-even" not in text


def test_flops_are_twice_the_macs_plus_the_small_operators():
    b = Builder("m", (1, 4, 4, 2))
    graph = b.finish(b.softmax(b.dense(b.flatten(b.average_pool(b.input, (2, 2))), 3)))
    report = flops_report([graph])
    # pool: 8 outputs x 4; dense: 2 x 8 x 3; softmax: 3 x 3
    assert report.full.flops == 32 + 48 + 9 and report.full.parameters == 27


def test_break_even_rate_makes_the_expected_cost_equal_the_base():
    rate = report_for("vww").break_even(0)
    assert 0.2 < rate < 0.25
    report = report_for("vww", exit_rates=(rate, 1 - rate))
    assert report.expected_reduction == pytest.approx(0, abs=1e-12)
    all_taken = report_for("vww", exit_rates=(1.0, 0.0))
    assert all_taken.expected_flops == all_taken.paths[0].flops


def test_an_exit_that_cannot_pay_has_no_break_even_rate():
    report = flops_report(trecx_chains.ic(), base=ds_cnn())
    assert report.break_even(0) is None
    assert "-" in to_text(report.document())


def test_without_a_base_model_the_backbone_stands_for_it_and_is_labelled():
    report = flops_report(trecx_chains.ic())
    # The classifier stays as wide as the assistance made it: 5,120 MACs more than ResNet-8.
    assert report.base.macs == 12_501_632 + 5_120
    assert "without exits (computed)" in to_text(report.document())
    assert report.to_json()["base"]["given"] is False


@pytest.mark.parametrize("rates", [(0.5,), (0.5, 0.6), (-0.1, 1.1)])
def test_wrong_exit_rates_are_refused(rates):
    with pytest.raises(InputError, match="2 shares that sum to 1"):
        report_for("ic", exit_rates=rates)


def test_json_holds_every_figure_of_the_tables():
    report = report_for("ic", exit_rates=(0.4, 0.6), exit_rates_source="calibration split")
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert sum(op["flops"] for op in data["operators"]) == data["paths"][-1]["flops"]
    assert sum(r["macs"] for r in data["roles"].values()) == data["paths"][-1]["macs"]
    assert data["expected_flops"] == pytest.approx(
        0.4 * data["paths"][0]["flops"] + 0.6 * data["paths"][1]["flops"]
    )


def test_plain_text_is_aligned_and_never_cut():
    text = to_text(report_for("kws", exit_rates=(0.4, 0.6)).document())
    lines = text.splitlines()
    start = lines.index("By layer") + 2
    table = lines[start : lines.index("", start)]
    assert len({line.index("%") for line in table if "%" in line}) == 1
    assert "DEPTHWISE_CONV_2D" in text and "…" not in text and "exit assistance" in text


def test_a_stream_that_is_no_terminal_gets_plain_text():
    document = report_for("kws").document()
    stream = io.StringIO()
    show(document, stream)
    assert stream.getvalue() == to_text(document)


@pytest.mark.parametrize("width", ["40", "200"])
def test_a_terminal_shows_every_layer_at_any_width(width, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("TERM", "xterm")
    document = report_for("kws").document()
    stream = Terminal()
    show(document, stream)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert lines == to_text(document).splitlines()


def test_markdown_tables_are_well_formed():
    lines = to_markdown(report_for("ic").document(), level=2).splitlines()
    assert lines[0] == "## Operations"
    header = next(i for i, line in enumerate(lines) if line.startswith("| segment"))
    assert lines[header + 1].count("|") == lines[header].count("|") == lines[header + 2].count("|")
