"""Benefit curves and the overthinking analysis."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.chain_outputs import chain_outputs
from trecx.errors import InputError
from trecx.policies import (
    Budget,
    ChainOutputs,
    PathCosts,
    Resamples,
    SplitRole,
    TopClassThresholds,
    calibrate,
    evaluate,
    from_manifest,
)
from trecx.policies.benefit import LOSSES, benefit_curve, paired_difference
from trecx.policies.overthinking import analyse_overthinking, choose_weight, combined_answers

COSTS = PathCosts((45.0, 104.0), "MACs", base=100.0)
FEW = Resamples(200)
CALIBRATION = chain_outputs(2000, 1, base=True)
TEST = chain_outputs(3000, 2, SplitRole.TEST, base=True)


@pytest.fixture(scope="module")
def curve():
    return benefit_curve(CALIBRATION, TEST, COSTS, "max_softmax", "full", resamples=FEW)


def test_picks_are_what_calibrate_chooses_and_evaluate_measures(curve):
    for loss, pick in zip(LOSSES, curve.picks, strict=True):
        result = calibrate(CALIBRATION, COSTS, Budget(max_accuracy_loss=loss), resamples=FEW)
        assert [p.to_manifest() for p in result.policies] == pick.policies
        measured = evaluate(result.policies, TEST, COSTS, FEW)
        assert pick.accuracy.value == pytest.approx(measured.accuracy.value)
        assert pick.loss.value == pytest.approx(measured.accuracy_loss.value)
        assert pick.reduction.value == pytest.approx(measured.reduction.value)
        # Same resamples, so the intervals are the same too.
        assert pick.loss.low == pytest.approx(measured.accuracy_loss.low, abs=1e-6)
        assert pick.reduction.high == pytest.approx(measured.reduction.high, abs=1e-6)


def test_points_run_from_never_to_always(curve):
    full, early = curve.segment_accuracy[1].value, curve.segment_accuracy[0].value
    assert curve.points[0].cost == pytest.approx(1.04)
    assert curve.points[0].accuracy.value == pytest.approx(full)
    assert curve.points[-1].cost == pytest.approx(0.45, abs=0.01)
    assert curve.points[-1].accuracy.value == pytest.approx(early, abs=0.01)
    costs = [p.cost for p in curve.points]
    assert costs == sorted(costs, reverse=True) and len(costs) <= 200


def test_a_reading_is_the_best_point_of_the_test_curve(curve):
    full = curve.reference_accuracy.value
    for loss, reading in zip(LOSSES, curve.readings, strict=True):
        allowed = [p.cost for p in curve.points if p.accuracy.value >= full - loss / 100 - 1e-9]
        assert reading.value == pytest.approx(1 - min(allowed))
        assert reading.low <= reading.value + 0.02


def test_area_of_a_perfect_exit_is_its_accuracy():
    """An exit that is always right reaches full accuracy at every cost."""
    q = np.full((400, 2), -128, np.int8)
    labels = np.arange(400) % 2
    q[np.arange(400), labels] = 127
    calibration = ChainOutputs((q, q), labels, SplitRole.CALIBRATION)
    test = replace(calibration, split=SplitRole.TEST)
    curve = benefit_curve(calibration, test, COSTS, resamples=FEW)
    assert curve.area.value == pytest.approx(1.0) and curve.area.low == pytest.approx(1.0)
    assert [p.reduction.value for p in curve.picks] == pytest.approx([0.55] * 4)


def test_reference_base_counts_the_loss_from_the_base_model():
    curve = benefit_curve(CALIBRATION, TEST, COSTS, reference="base", resamples=FEW)
    base = TEST.base_correct().mean()
    assert curve.reference_accuracy.value == pytest.approx(base)
    pick = curve.picks[-1]
    assert pick.loss.value == pytest.approx(base - pick.accuracy.value)


def test_no_pick_where_nothing_is_accurate_enough():
    perfect = np.full_like(CALIBRATION.base, -128)
    perfect[np.arange(len(perfect)), CALIBRATION.labels] = 127
    curve = benefit_curve(
        replace(CALIBRATION, base=perfect), TEST, COSTS, reference="base", resamples=FEW
    )
    assert curve.picks == (None,) * 4
    assert json.loads(json.dumps(curve.to_json(), allow_nan=False))["picks"] == [None] * 4


def test_json_has_the_figures_and_readable_policies(curve):
    data = json.loads(json.dumps(curve.to_json(), allow_nan=False))
    assert data["losses"] == list(LOSSES) and "draws" not in data
    assert from_manifest(data["picks"][1]["policies"][0]).kind == "top_class_thresholds"
    assert data["points"][0]["accuracy"]["value"] == curve.points[0].accuracy.value


def test_paired_intervals_are_narrower_than_unpaired_ones():
    plain = benefit_curve(CALIBRATION, TEST, COSTS, "max_softmax", resamples=FEW)
    margin = benefit_curve(CALIBRATION, TEST, COSTS, "margin", resamples=FEW)
    difference = paired_difference(
        margin.draws.area, plain.draws.area, margin.area.value - plain.area.value, FEW
    )
    assert difference.high - difference.low < 0.5 * (plain.area.high - plain.area.low)


@pytest.mark.parametrize(
    "calibration, test", [(TEST, TEST), (CALIBRATION, CALIBRATION)], ids=["test", "calibration"]
)
def test_wrong_splits_are_refused(calibration, test):
    with pytest.raises(InputError, match="split"):
        benefit_curve(calibration, test, COSTS, resamples=FEW)


def test_two_exits_make_a_curve_that_is_ahead_of_one():
    strengths, costs = (1.5, 2.5, 4.0), PathCosts.from_segments((20.0, 40.0, 44.0), base=100.0)
    calibration = chain_outputs(1500, 1, strengths=strengths)
    test = chain_outputs(2000, 2, SplitRole.TEST, strengths=strengths)
    two = benefit_curve(calibration, test, costs, area_from=0.6, resamples=FEW)
    second = [replace(d, outputs=d.outputs[1:]) for d in (calibration, test)]
    one_costs = PathCosts((60.0, 104.0), base=100.0)
    one = benefit_curve(*second, one_costs, area_from=0.6, resamples=FEW)
    assert len(two.points) > 30
    assert two.area.value > one.area.value
    assert two.picks[2].reduction.value > one.picks[2].reduction.value


def test_overthinking_of_a_hand_made_chain():
    right, wrong = np.array([100, -100], np.int8), np.array([-90, 90], np.int8)
    early = np.stack([right, right, wrong, wrong, right])
    final = np.stack([right, wrong, right, wrong, wrong])
    data = ChainOutputs((early, final), np.zeros(5, int), SplitRole.TEST)
    policies = (TopClassThresholds((90, 128)),)
    result = analyse_overthinking(data, PathCosts((2.0, 10.0)), policies, resamples=FEW)
    assert result.overthought_count == 2 and result.overthought.value == 0.4
    assert (result.needless.value, result.only_full.value, result.none.value) == (0.2, 0.2, 0.2)
    assert result.oracle_accuracy.value == 0.8
    assert result.oracle_cost == pytest.approx((3 * 2 + 2 * 10) / 5)
    (exit_taken,) = result.mitigations
    assert (exit_taken.recovered, exit_taken.overthought, exit_taken.broken) == (2, 2, 0)
    assert exit_taken.gain.value == pytest.approx(0.4)


def test_both_outputs_at_the_end_add_up_the_probabilities():
    early = np.array([[120, -120], [-20, 20]], np.int8)
    final = np.array([[-10, 10], [-100, 100]], np.int8)
    data = ChainOutputs((early, final), np.array([0, 1]), SplitRole.CALIBRATION)
    assert combined_answers(data, 0.0).tolist() == [1, 1]
    assert combined_answers(data, 0.5).tolist() == [0, 1]
    weight = choose_weight(data)
    assert 0 < weight < 1 and (combined_answers(data, weight) == data.labels).all()
    result = analyse_overthinking(data, PathCosts((1.0, 2.0)), calibration=data, resamples=FEW)
    assert result.mitigations[0].recovered == 1 and result.mitigations[0].broken == 0


def test_assistance_is_measured_against_the_network_without_it():
    without = chain_outputs(500, 7, SplitRole.TEST)
    better = without.outputs[1].copy()
    lost = np.flatnonzero(without.correct()[0] & ~without.correct()[1])
    better[lost] = without.outputs[0][lost]
    data = replace(without, outputs=(without.outputs[0], better))
    result = analyse_overthinking(data, COSTS, without_assistance=without, resamples=FEW)
    assert result.overthought_count == 0
    assert result.mitigations[0].recovered == len(lost) > 0
    assert result.mitigations[0].overthought == len(lost)  # of the network without it
    assert result.mitigations[0].gain.value == pytest.approx(len(lost) / 500)
    with pytest.raises(InputError, match="same samples"):
        analyse_overthinking(data, COSTS, without_assistance=chain_outputs(500, 8, SplitRole.TEST))
