"""What `trecx compile` says of its choices: decisions of exits, fallbacks, the price of speed."""

import pytest

from tests.support.graph_builder import GraphBuilder
from trecx.codegen.compiler import compile_chain
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
from trecx.policies import Margin, TopClassThresholds
from trecx.reports.text import to_text
from trecx.stages.compiling import CompileSummary


def report(graphs, policies=(), isa=Isa.DSP, optimize=Optimize.BALANCED) -> str:
    options = LoweringOptions(isa, optimize)
    model = compile_chain(graphs, "m", digest="0" * 64, options=options, policies=policies)
    return to_text(CompileSummary(model, "a board", "folder").document())


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (TopClassThresholds((9,) * 4), "only where it is taken: SOFTMAX"),
        (Margin(9), "on the exit's output: margin needs more than the largest probability"),
        (None, "none: always go on"),
    ],
)
def test_decision_of_an_exit(policy, line):
    b = GraphBuilder()
    x = b.input((1, 8))
    stem = b.graph(b.softmax(b.dense(x, 4)), x)
    t = GraphBuilder()
    tail = t.graph(t.dense(t.input((1, 8), x.quant), 4))
    assert line in report([stem, tail], (policy,))


def test_operator_without_an_optimised_kernel():
    b = GraphBuilder()
    x = b.depthwise(b.input((1, 6, 6, 4)), dilation=(2, 2), multiplier=2)
    graph = b.graph(b.reduce(x, "MEAN", (1, 2)))
    text = report([graph], isa=Isa.MVE)
    lines = [line for line in text.splitlines() if line.startswith("reference kernel")]
    assert "DEPTHWISE_CONV_2D" in lines[0] and "the kernel is dilated" in lines[0]
    assert "MEAN" in lines[1] and "no other for it" in lines[1]
    assert "reference kernel" not in report([graph], isa=Isa.REF)


def test_price_of_widened_weights():
    b = GraphBuilder()
    graph = b.graph(b.conv(b.input((1, 8, 8, 16)), 32, (1, 1)))
    assert "fewer instructions" in report([graph], optimize=Optimize.SPEED)
    assert "fewer instructions" not in report([graph])
