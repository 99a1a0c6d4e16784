"""Families, calibration from a budget, guarantees, evaluation."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.chain_outputs import chain_outputs
from trecx.errors import BudgetError, InputError
from trecx.policies import (
    FAMILIES,
    NEVER,
    Budget,
    ChainOutputs,
    PathCosts,
    Resamples,
    SplitRole,
    TopClassThresholds,
    calibrate,
    dequantize,
    evaluate,
    family,
    stop_segments,
)
from trecx.policies.gate import fit_gate
from trecx.policies.risk import p_value, required_samples
from trecx.policies.sweep import Space

COSTS = PathCosts((45.0, 104.0), "MACs", base=100.0)
FEW = Resamples(100)


def data_for(name: str, n: int = 2000, seed: int = 1, **options) -> ChainOutputs:
    return chain_outputs(n, seed, confidence=name == "confidence", class_bias=0.5, **options)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_policy_of_a_limit_stops_exactly_where_the_score_reaches_it(name):
    data = data_for(name)
    fitted = family(name).fit(data, 0)
    q = data_for(name, seed=2).outputs[0]
    scores = fitted.scores(q)
    levels = np.unique(scores[np.isfinite(scores)])
    between = (levels[1:] + levels[:-1]) / 2
    for limit in [*levels[:: len(levels) // 20 + 1], *between[::40], levels[0] - 1, np.inf]:
        assert np.array_equal(fitted.policy(limit).decide(q), scores >= limit)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_host_rule_of_a_limit_decides_like_the_device_policy(name):
    data = data_for(name)
    fitted = family(name).fit(data, 0)
    q = data.outputs[0]
    for limit in np.unique(fitted.scores(q))[::25]:
        rule = fitted.rule(limit)
        assert rule.to_device(q.shape[1]) == fitted.policy(limit)
        assert np.array_equal(rule.decide(dequantize(q)), fitted.policy(limit).decide(q))
    assert fitted.rule(np.inf) is None
    assert not fitted.policy(np.inf).decide(q).any()


def test_a_confidence_output_is_refused_by_families_of_plain_scores():
    with pytest.raises(InputError, match="this one has 11: use confidence"):
        family("entropy").fit(data_for("confidence"), 0)
    with pytest.raises(InputError, match="this one has 10: use class_gate or entropy"):
        family("confidence").fit(data_for("margin"), 0)
    with pytest.raises(InputError, match="unknown exit policy 'guess': known are class_gate"):
        family("guess")


def test_sweep_of_one_exit_equals_brute_force():
    data = data_for("max_softmax", 500)
    fitted = family("max_softmax").fit(data, 0)
    space = Space((fitted,), data, COSTS)
    curve = space.curve(0, space.never)
    for limit, accuracy, cost in zip(curve.limits, curve.accuracy, curve.cost, strict=True):
        result = evaluate((fitted.policy(limit),), data, COSTS, FEW)
        assert result.accuracy.value == pytest.approx(accuracy)
        assert result.cost.value == pytest.approx(cost)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("loss", [0.0, 1.0, 3.0])
def test_accuracy_budget_is_met_by_the_cheapest_setting(name, loss):
    data = data_for(name)
    result = calibrate(data, COSTS, Budget(max_accuracy_loss=loss), name, FEW)
    expected = result.expected
    assert 100 * expected.accuracy_loss.value <= loss + 1e-9
    space = Space((family(name).fit(data, 0),), data, COSTS)
    curve = space.curve(0, space.never)
    full = data.correct()[-1].mean()
    allowed = curve.cost[curve.accuracy >= full - loss / 100 - 1e-9]
    assert expected.cost.value == pytest.approx(allowed.min())


def test_cost_budget_is_met_by_the_most_accurate_setting():
    data = data_for("max_softmax")
    result = calibrate(data, COSTS, Budget(max_cost=80), "max_softmax", FEW)
    space = Space((family("max_softmax").fit(data, 0),), data, COSTS)
    curve = space.curve(0, space.never)
    assert result.expected.cost.value <= 80
    best = curve.accuracy[curve.cost <= 80].max()
    assert result.expected.accuracy.value == pytest.approx(best)


def test_budget_that_nothing_meets_names_the_nearest():
    data = data_for("max_softmax")
    with pytest.raises(BudgetError, match=r"at most 40 MACs: the nearest is 45 MACs"):
        calibrate(data, COSTS, Budget(max_cost=40), resamples=FEW)
    with pytest.raises(BudgetError, match=r"accuracy 100.00 %: the nearest loses \d+\.\d\d points"):
        calibrate(data, COSTS, Budget(max_accuracy_loss=1, reference=1.0), resamples=FEW)
    with pytest.raises(BudgetError, match="within the accuracy loss asked for: the nearest is"):
        calibrate(data, COSTS, Budget(max_accuracy_loss=0.5, max_cost=46), resamples=FEW)


@pytest.mark.parametrize("split", [SplitRole.TEST, SplitRole.TRAIN])
def test_calibrating_on_other_splits_is_refused(split):
    data = chain_outputs(200, 1, split)
    with pytest.raises(InputError, match=f"calibration split only, got the {split.value} split"):
        calibrate(data, COSTS, Budget(max_accuracy_loss=1), resamples=FEW)


def test_a_subset_keeps_its_role():
    assert chain_outputs(20, 1, SplitRole.TEST).subset(np.arange(5)).split is SplitRole.TEST


@pytest.mark.parametrize("name", ["max_softmax", "class_gate", "margin"])
def test_three_segments_meet_the_budget_and_use_both_exits(name):
    data = chain_outputs(1500, 3, strengths=(1.5, 2.5, 4.0))
    costs = PathCosts.from_segments((20.0, 40.0, 44.0), base=100.0)
    result = calibrate(data, costs, Budget(max_accuracy_loss=1.0), name, FEW)
    assert len(result.policies) == 2
    assert 100 * result.expected.accuracy_loss.value <= 1.0 + 1e-9
    rates = [e.value for e in result.expected.exit_rates]
    assert sum(rates) == pytest.approx(1) and min(rates) > 0.02
    one = ChainOutputs(data.outputs[1:], data.labels, data.split)
    single = calibrate(
        one, PathCosts((60.0, 104.0), base=100.0), Budget(max_accuracy_loss=1.0), name, FEW
    )
    assert result.expected.cost.value < single.expected.cost.value


def test_coordinate_descent_is_near_the_exhaustive_optimum_for_two_exits():
    data = chain_outputs(400, 5, strengths=(1.5, 2.5, 4.0))
    costs = PathCosts.from_segments((20.0, 40.0, 44.0))
    result = calibrate(data, costs, Budget(max_accuracy_loss=1.0), "max_softmax", FEW)
    space = Space(tuple(family("max_softmax").fit(data, k) for k in (0, 1)), data, costs)
    least = data.correct()[-1].mean() - 0.01 - 1e-9
    best = np.inf
    for limit in [np.inf, *np.unique(space.scores[0])]:
        curve = space.curve(1, (limit, np.inf))
        best = min(best, curve.cost[curve.accuracy >= least].min(initial=np.inf))
    assert best - 1e-6 <= result.expected.cost.value <= 1.02 * best


def test_one_threshold_for_all_exits_is_the_best_of_all():
    data = chain_outputs(800, 5, strengths=(1.5, 2.5, 3.5))
    costs = PathCosts((30.0, 60.0, 110.0), "MACs", 100.0)
    result = calibrate(data, costs, Budget(max_accuracy_loss=1.0), "shared_max_softmax", FEW)
    first, second = result.policies
    assert first == second
    allowed = []
    for threshold in range(-127, 129):
        figures = evaluate((TopClassThresholds((threshold,) * data.classes),) * 2, data, costs, FEW)
        if figures.accuracy_loss.value <= 0.01 + 1e-9:
            allowed.append(figures.cost.value)
    assert result.expected.cost.value == pytest.approx(min(allowed))
    free = calibrate(data, costs, Budget(max_accuracy_loss=1.0), "max_softmax", FEW)
    assert free.expected.cost.value <= result.expected.cost.value + 1e-9


def test_one_threshold_needs_outputs_of_one_scale():
    data = chain_outputs(100, 5, strengths=(1.5, 2.5, 3.5))
    data = replace(data, quants=((1 / 256, -128), (1 / 128, -128), (1 / 256, -128)))
    costs = PathCosts((30.0, 60.0, 110.0), "MACs", 100.0)
    with pytest.raises(InputError, match="same output scale"):
        calibrate(data, costs, Budget(max_accuracy_loss=1.0), "shared_max_softmax", FEW)


def test_evaluation_of_a_hand_made_chain():
    early = np.array([[100, -128], [100, -128], [-10, 10], [-100, 100]], np.int8)
    final = np.array([[50, -50], [-50, 50], [50, -50], [-50, 50]], np.int8)
    data = ChainOutputs((early, final), np.array([0, 1, 0, 1]), SplitRole.TEST, base=final)
    result = evaluate((TopClassThresholds((50, NEVER)),), data, PathCosts((2.0, 10.0), base=8.0))
    assert [e.value for e in result.segment_accuracy] == [0.5, 1.0]
    assert [e.value for e in result.exit_rates] == [0.5, 0.5]
    assert result.stopped_accuracy == (0.5, 1.0)
    assert result.accuracy.value == 0.75 and result.accuracy_loss.value == 0.25
    assert result.cost.value == pytest.approx(6.0)
    assert result.reduction.value == pytest.approx(0.25)
    assert result.base_accuracy.value == 1.0
    assert result.accuracy.low <= 0.75 <= result.accuracy.high
    json.dumps(result.to_json(), allow_nan=False)


def test_bootstrap_interval_matches_the_normal_approximation():
    columns = (np.arange(4000)[:, None] % 4 == 0).astype(float)
    (estimate,) = Resamples(1000).estimates(columns)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 4000)
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.15)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.15)


def test_gate_recovers_the_model_that_made_the_data():
    rng = np.random.default_rng(0)
    top = rng.integers(0, 5, 20000)
    logit = rng.normal(1, 1.5, 20000)
    biases = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
    right = rng.random(20000) < 1 / (1 + np.exp(-(1.2 * logit + biases[top])))
    model = fit_gate(logit, top, right, 5)
    assert model.slope == pytest.approx(1.2, abs=0.06)
    assert np.abs(model.biases - biases).max() < 0.15


def test_gate_falls_back_to_the_plain_order_when_confidence_says_nothing():
    rng = np.random.default_rng(1)
    logit = rng.normal(size=500)
    model = fit_gate(logit, rng.integers(0, 3, 500), logit < 0, 3)
    assert model.slope == 1.0 and not model.biases.any()


def test_class_gate_gains_where_classes_differ_and_loses_nothing_where_they_do_not():
    """Reduction at a loss of one point on unseen samples, for several draws of the data."""
    gains = {}
    for class_bias in (0.0, 0.6):
        gain = []
        for seed in range(6):
            calibration = chain_outputs(2500, seed, class_bias=class_bias)
            test = chain_outputs(10000, 100 + seed, SplitRole.TEST, class_bias=class_bias)
            test = replace(test, split=SplitRole.CALIBRATION)  # read both off the same test curve
            cost = {}
            for name in ("max_softmax", "class_gate"):
                fitted = family(name).fit(calibration, 0)
                space = Space((fitted,), test, COSTS)
                curve = space.curve(0, space.never)
                cost[name] = curve.cost[curve.accuracy >= curve.accuracy[0] - 0.01].min()
            gain.append(cost["max_softmax"] - cost["class_gate"])
        gains[class_bias] = gain  # points of the base model's cost
    assert min(gains[0.0]) > -0.5
    assert min(gains[0.6]) > 1.0


def test_p_value_is_valid_at_the_edge_of_the_null():
    rng = np.random.default_rng(0)
    n, bound = 1500, 0.02
    draws = rng.multinomial(n, [0.03, 0.01, 0.96], 3000)  # expected loss exactly the bound
    p = np.array([p_value(harm, help_, n, bound) for harm, help_, _ in draws])
    assert (p <= 0.1).mean() <= 0.1 and (p <= 0.05).mean() <= 0.05
    draws = rng.multinomial(n, [0.012, 0.01, 0.978], 200)  # well inside: the test has power
    assert np.mean([p_value(a, b, n, bound) <= 0.1 for a, b, _ in draws]) > 0.9


def test_guarantee_holds_over_repeated_calibrations():
    """Chosen on small calibration sets, the loss on a large population breaks the bound rarely."""
    population = chain_outputs(60000, 99, SplitRole.TEST)
    rng = np.random.default_rng(3)
    budget = Budget(max_accuracy_loss=2.0, guarantee=0.9)
    broken = []
    for _ in range(40):
        rows = rng.choice(population.samples, 1200, replace=False)
        sample = replace(population.subset(rows), split=SplitRole.CALIBRATION)
        result = calibrate(sample, COSTS, budget, "max_softmax", Resamples(10))
        loss = evaluate(result.policies, population, COSTS, Resamples(2)).accuracy_loss.value
        broken.append(loss > 0.02)
        assert result.expected.exit_rates[0].value > 0
    assert np.mean(broken) <= 0.1


def test_guarantee_with_too_few_samples_says_how_many_are_needed():
    needed = required_samples(0.01, 0.05)
    assert p_value(0, 0, needed, 0.01) <= 0.05 < p_value(0, 0, needed - 1, 0.01)
    data = chain_outputs(needed - 1, 1)
    budget = Budget(max_accuracy_loss=1.0, guarantee=0.95)
    with pytest.raises(BudgetError, match=f"at least {needed} calibration .*got {needed - 1}$"):
        calibrate(data, COSTS, budget, resamples=FEW)
    # A fitted family tests on one half only: the number in all is what the user must bring.
    with pytest.raises(BudgetError, match=f"half of {needed - 1}, so {2 * needed} in all"):
        calibrate(data, COSTS, budget, "class_gate", resamples=FEW)


def test_guarantee_of_a_fitted_family_is_tested_on_other_samples_than_it_was_fitted_on():
    data = chain_outputs(3000, 1)
    result = calibrate(data, COSTS, Budget(max_accuracy_loss=2.0, guarantee=0.9), "class_gate", FEW)
    assert result.guarantee.samples == 1500
    assert result.guarantee.p_value <= 0.1
    assert result.expected.samples == 1500


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "needs a largest accuracy loss, a largest cost, or both"),
        ({"max_accuracy_loss": -1}, "0 points or above, got -1"),
        ({"max_cost": 0}, "above 0, got 0"),
        ({"max_accuracy_loss": 1, "reference": "best"}, "'full', 'base' or an accuracy"),
        ({"max_accuracy_loss": 1, "reference": 87.2}, "from 0 to 1, got 87.2"),
        ({"max_cost": 1, "guarantee": 0.9}, "needs a largest accuracy loss"),
        ({"max_accuracy_loss": 1, "guarantee": 95}, "between 0 and 1"),
        ({"max_accuracy_loss": 0, "guarantee": 0.9}, "above 0 and below 100 points"),
    ],
)
def test_wrong_budget_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Budget(**options)


def test_wrong_outputs_are_refused():
    q = np.zeros((4, 3), np.int8)
    labels = np.zeros(4, int)
    with pytest.raises(InputError, match=r"must be int8 .* got float32"):
        ChainOutputs((q.astype(np.float32), q), labels, SplitRole.TEST)
    with pytest.raises(InputError, match="2 values, fewer than the 3 classes"):
        ChainOutputs((q[:, :2], q), labels, SplitRole.TEST)
    data = ChainOutputs((q, q), labels, SplitRole.CALIBRATION)
    with pytest.raises(InputError, match="2 segments need as many path costs, got 3"):
        calibrate(data, PathCosts((1.0, 2.0, 3.0)), Budget(max_cost=2))
    with pytest.raises(InputError, match="1 early exits need as many policies, got 0"):
        stop_segments((), data)
    with pytest.raises(InputError, match="no early exit"):
        calibrate(
            ChainOutputs((q,), labels, SplitRole.CALIBRATION), PathCosts((1.0,)), Budget(max_cost=2)
        )
    with pytest.raises(InputError, match="base model's outputs are needed"):
        calibrate(data, COSTS, Budget(max_accuracy_loss=1, reference="base"))
    with pytest.raises(InputError, match="positive and increasing"):
        PathCosts((3.0, 2.0))


def test_result_is_json_and_its_policies_read_back():
    data = data_for("class_gate")
    result = calibrate(data, COSTS, Budget(max_accuracy_loss=1), "class_gate", FEW)
    text = json.dumps(result.to_json(), allow_nan=False)
    from trecx.policies import from_manifest

    assert from_manifest(json.loads(text)["policies"][0]) == result.policies[0]


def test_saved_outputs_read_back_with_their_role(tmp_path):
    data = chain_outputs(50, 1, SplitRole.TEST, confidence=True, base=True)
    data.save(tmp_path / "outputs.npz")
    again = ChainOutputs.load(tmp_path / "outputs.npz")
    assert again.split is SplitRole.TEST and again.quant(0) == data.quant(0)
    for a, b in zip(
        (*data.outputs, data.labels, data.base),
        (*again.outputs, again.labels, again.base),
        strict=True,
    ):
        assert np.array_equal(a, b) and a.dtype == b.dtype
    (tmp_path / "other.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="cannot be read as saved exit outputs"):
        ChainOutputs.load(tmp_path / "other.npz")
    with pytest.raises(InputError, match="cannot be read"):
        ChainOutputs.load(tmp_path / "missing.npz")
