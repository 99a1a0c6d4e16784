"""What a calibration says of itself in a bundle's summary: rule, budget, expectation, guarantee."""

import re

import pytest

from tests.support.chain_outputs import chain_outputs
from trecx.policies import FAMILIES, Budget, PathCosts, Resamples, calibrate
from trecx.stages.summary import calibration_facts

COSTS = PathCosts((45.0, 104.0), "MACs", base=100.0)


def facts(policy="max_softmax", **budget):
    data = chain_outputs(2000, 1, confidence=policy == "confidence")
    result = calibrate(data, COSTS, Budget(**budget), policy, Resamples(50))
    found = calibration_facts(result.to_json())
    return found.title, dict(found.rows)


@pytest.mark.parametrize("policy", FAMILIES)
def test_rule_budget_and_expected_figures(policy):
    title, rows = facts(policy, max_accuracy_loss=1.0, max_cost=100.0)
    assert title.startswith("calibration split, 2,000 samples")
    assert re.search(r"\d\.\d{4}", rows["exit 1 stops when"])
    assert rows["budget"] == "at most 1 points below the full depth and at most 100 mean MACs"
    interval = r"-?[\d.]+ (%|points) \[-?[\d.]+, [\d.]+\]"
    assert re.fullmatch(interval, rows["expected accuracy"])
    assert re.fullmatch(interval, rows["expected loss against full depth"])
    assert re.fullmatch(r"\d+ \[\d+, \d+\]", rows["expected mean MACs"])
    assert "guarantee" not in rows


def test_a_guarantee_is_stated():
    _, rows = facts(max_accuracy_loss=2.0, guarantee=0.9)
    expected = (
        r"with probability 0\.9 new samples lose at most 2 points \(2,000 samples, p = 0\..*\)"
    )
    assert re.fullmatch(expected, rows["guarantee"])


def test_an_exit_that_is_not_used_says_so():
    data = chain_outputs(300, 2)
    result = calibrate(data, COSTS, Budget(max_accuracy_loss=0.0), resamples=Resamples(10))
    calibration = result.to_json() | {"rules": [None]}
    assert dict(calibration_facts(calibration).rows)["exit 1 stops when"] == "never"
