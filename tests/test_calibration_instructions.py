"""Budgets in instructions: the paths of a chain, counted on an emulated board."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.bundles import input_patterns
from trecx.bundle import read_bundle
from trecx.cli import main
from trecx.errors import BudgetError, InputError
from trecx.policies import Budget
from trecx.stages.calibrating import Choice, recalibrate
from trecx.stages.instructions import instruction_costs
from trecx.task import find_task

BOARD = "mps2-an386"


@pytest.fixture(scope="module")
def costs(kws_bundle):
    bundle = read_bundle(kws_bundle)
    graphs = bundle.graphs()
    return instruction_costs(graphs, bundle.base_graph(), BOARD, input_patterns(graphs[0], 3))


def test_every_path_is_counted_in_full(costs):
    """The numbers are those of the paths: about as many a MAC, the base between exit and full."""
    assert costs.unit == "instructions"
    stem, full = costs.stop
    assert stem < costs.base < full
    macs = (1_501_344, 2_706_496)
    assert stem / macs[0] == pytest.approx(full / macs[1], rel=0.1)
    assert 0.5 < full / macs[1] < 3


def test_without_a_base_the_full_depth_is_the_reference(kws_bundle, costs):
    graphs = read_bundle(kws_bundle).graphs()
    again = instruction_costs(graphs, None, BOARD, input_patterns(graphs[0], 3))
    assert (again.stop, again.base, again.reference) == (costs.stop, None, costs.stop[-1])


@pytest.fixture
def bundle(kws_bundle, tmp_path):
    shutil.copytree(kws_bundle, tmp_path / "bundle")
    return read_bundle(tmp_path / "bundle")


@pytest.fixture(scope="module")
def data():
    return find_task("kws").load_data("synthetic", train=12, calibration=60, test=60)


def test_a_budget_in_instructions_is_met(bundle, data, costs):
    most = 0.7 * costs.stop[0] + 0.3 * costs.stop[1]
    found = recalibrate(bundle, data, Choice(Budget(max_cost=most), target=BOARD))
    expected = found.manifest["calibration"]["expected"]
    assert expected["cost_unit"] == found.manifest["test"]["cost_unit"] == "instructions"
    assert expected["path_costs"] == pytest.approx(costs.stop, rel=0.01)
    assert expected["cost"]["value"] <= most
    rate = expected["exit_rates"][0]["value"]
    mean = np.dot([rate, 1 - rate], expected["path_costs"])
    assert expected["cost"]["value"] == pytest.approx(mean) and rate > 0.6


def test_a_budget_below_the_exit_names_the_nearest(bundle, data, costs):
    before = bundle.digest
    with pytest.raises(BudgetError, match=r"at most 9,000 instructions: the nearest is 1,\d{3},"):
        recalibrate(bundle, data, Choice(Budget(max_cost=9000.0), target=BOARD))
    assert read_bundle(bundle.path).digest == before


@pytest.mark.parametrize(
    "target, message",
    [("host", "'host' is none: see trecx boards"), ("mps2-an38", "did you mean|mps2-an386")],
)
def test_boards_that_count_nothing_are_refused(target, message):
    with pytest.raises(InputError, match=message):
        Choice(Budget(max_cost=1e6), target=target)


@pytest.mark.parametrize(
    "options, message",
    [
        ("--max-instructions 1e6 --max-macs 1e6", "either --max-macs or --max-instructions"),
        ("--max-instructions 1e6 --threshold 0.5", "--threshold is fixed"),
        ("--max-instructions 0", "largest cost must be above 0"),
        ("--max-instructions 1e6 --count-on host", "'host' is none: see trecx boards"),
    ],
)
def test_wrong_options_are_one_line(kws_bundle, options, message):
    done = CliRunner().invoke(main, ["calibrate", str(kws_bundle), *options.split()])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    assert message in done.stderr
