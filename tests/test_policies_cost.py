"""What the exit decision costs on a Cortex-M4: a very small part of the path to the exit."""

import dataclasses

import pytest

from tests.support.bundles import input_patterns
from trecx.policies import Confidence, Entropy, Margin, TopClassThresholds
from trecx.stages.chain import load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.running import build
from trecx.targets.boards import load_board
from trecx.targets.profiler import profile

BOARD = "mps2-an386"
LARGEST_SHARE = 0.005
UNITS = 12

# Each stops at the exit for every output, so that all inferences take the path to the exit.
POLICIES = {
    "trecx_exit_softmax_sum": lambda quant: TopClassThresholds((-128,) * UNITS),
    "trecx_exit_table_sum": lambda quant: Entropy(100.0).to_device(UNITS, *quant),
    "trecx_exit_margin": lambda quant: Margin(0),
    "trecx_exit_confidence": lambda quant: Confidence(UNITS - 1, -128),
}


@pytest.mark.parametrize("function", POLICIES)
def test_the_decision_is_a_small_part_of_the_exit_path(kws_bundle, tmp_path, function):
    chain = load_chain(kws_bundle)
    exit_output = chain.graphs[0].outputs[0]
    assert exit_output.size == UNITS
    policy = POLICIES[function]((exit_output.scale, exit_output.zero_point))
    chain = dataclasses.replace(chain, policies=(policy,))
    firmware = build(compile_for(chain, BOARD), BOARD, tmp_path)
    found = profile(firmware, load_board(BOARD), input_patterns(chain.graphs[0], 4), jobs=1)
    (path,) = found.paths
    assert path.path == 0 and path.inferences == 4
    (decision,) = (row for row in path.layers if row.layer is None)
    assert 0 < decision.functions[function] <= decision.instructions
    # Everything outside the layers: entry, decision, predicted class, result.
    assert decision.instructions < LARGEST_SHARE * path.instructions
