"""Choose the exit policies of a chain from a budget, on the calibration split."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from trecx.errors import BudgetError, InputError
from trecx.policies.bootstrap import Resamples
from trecx.policies.device import DevicePolicy
from trecx.policies.evaluation import Evaluation, evaluate
from trecx.policies.families import Fitted, family
from trecx.policies.outputs import ChainOutputs, PathCosts, SplitRole
from trecx.policies.risk import p_value, require_risk, require_samples
from trecx.policies.rules import Rule
from trecx.policies.sweep import Curve, Setting, Space

_SLACK = 1e-9


@dataclass(frozen=True)
class Budget:
    """What a setting must meet; at least one of the two limits.

    max_accuracy_loss: in points (1.0 is one per cent of the samples), below `reference`.
    max_cost: mean cost of an inference, in the unit of the path costs.
    reference: "full" (the full depth), "base" (the base model's outputs on the same samples), or
        an accuracy from 0 to 1.
    guarantee: probability, such as 0.95, with which the accuracy loss must hold on new data; None:
        the loss holds on the calibration samples only.
    """

    max_accuracy_loss: float | None = None
    max_cost: float | None = None
    reference: str | float = "full"
    guarantee: float | None = None

    def __post_init__(self) -> None:
        if self.max_accuracy_loss is None and self.max_cost is None:
            raise InputError("a budget needs a largest accuracy loss, a largest cost, or both")
        loss = self.max_accuracy_loss
        if loss is not None and not (math.isfinite(loss) and loss >= 0):
            raise InputError(f"the largest accuracy loss must be 0 points or above, got {loss}")
        if self.max_cost is not None and not self.max_cost > 0:
            raise InputError(f"the largest cost must be above 0, got {self.max_cost}")
        if isinstance(self.reference, str):
            if self.reference not in ("full", "base"):
                raise InputError(
                    f"the reference must be 'full', 'base' or an accuracy, got {self.reference!r}"
                )
        elif not 0 <= self.reference <= 1:
            raise InputError(f"the reference accuracy must be from 0 to 1, got {self.reference}")
        if self.guarantee is not None:
            self._check_guarantee()

    def _check_guarantee(self) -> None:
        if self.max_accuracy_loss is None or not isinstance(self.reference, str):
            raise InputError(
                "a guarantee needs a largest accuracy loss, relative to 'full' or 'base'"
            )
        require_risk(self.max_accuracy_loss / 100, 1 - self.guarantee)


@dataclass(frozen=True)
class Guarantee:
    """With `probability` over the draw of the calibration samples, the expected accuracy on new
    samples of the same distribution is at most `max_accuracy_loss` points below the reference.

    samples: how many were used for the test. p_value: of the chosen setting.
    """

    max_accuracy_loss: float
    probability: float
    reference: str
    samples: int
    p_value: float
    source: str = "Learn then Test, arXiv 2110.01052; betting e-values, arXiv 2010.09686"


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """The chosen policies, one for each early exit, and what to expect of them.

    rules: host definitions; None where the exit is not used. expected: on the calibration samples,
    where the setting was chosen, so slightly optimistic: report figures of the test split.
    """

    family: str
    policies: tuple[DevicePolicy, ...]
    rules: tuple[Rule | None, ...]
    limits: Setting
    budget: Budget
    expected: Evaluation
    guarantee: Guarantee | None = None

    def to_json(self) -> dict:
        return {
            "family": self.family,
            "policies": [p.to_manifest() for p in self.policies],
            "rules": [None if r is None else r.to_manifest() for r in self.rules],
            "budget": asdict(self.budget),
            "expected": self.expected.to_json(),
            "guarantee": None if self.guarantee is None else asdict(self.guarantee),
        }


def calibrate(
    data: ChainOutputs,
    costs: PathCosts,
    budget: Budget,
    policy: str = "max_softmax",
    resamples: Resamples | None = None,
) -> CalibrationResult:
    """The cheapest setting within a largest accuracy loss, or the most accurate within a cost.

    data: outputs on the calibration split; any other split raises InputError. policy: name of a
    family, used for every exit. With one exit every threshold is tried; with several, coordinate
    descent from the settings of `Space.corners`.

    Raises BudgetError that names the nearest reachable figure when no setting meets the budget, and
    the number of samples needed when they are too few for a guarantee.
    """
    require_calibration(data)
    _require_exits(data, costs)
    if budget.guarantee is not None:
        return _calibrate_guaranteed(data, costs, budget, policy, resamples)
    fitted = fit(data, policy)
    setting = choose(Space(fitted, data, costs), costs, budget, reference_accuracy(data, budget))
    return _result(fitted, setting, data, costs, budget, policy, resamples)


def fit(data: ChainOutputs, policy: str) -> tuple[Fitted, ...]:
    """The family fitted to every early exit of `data`."""
    return tuple(family(policy).fit(data, k) for k in range(data.exits))


def choose(space: Space, costs: PathCosts, budget: Budget, reference: float) -> Setting:
    """The best setting of `space` for a budget; BudgetError when none meets it.

    reference: accuracy from 0 to 1 that the largest loss is relative to.
    """
    least = -math.inf
    if budget.max_accuracy_loss is not None:
        least = reference - budget.max_accuracy_loss / 100 - _SLACK
    most = math.inf if budget.max_cost is None else budget.max_cost + _SLACK * costs.stop[-1]
    # A small share of the other figure breaks ties without changing the order.
    tie = 1e-6

    def objective(curve: Curve) -> np.ndarray:
        relative = curve.cost / costs.stop[-1]
        if budget.max_accuracy_loss is not None:
            value = relative - tie * curve.accuracy
        else:
            value = -curve.accuracy + tie * relative
        return np.where((curve.accuracy >= least) & (curve.cost <= most), value, np.inf)

    starts = [space.never] if space.exits == 1 else space.corners()
    found = {space.improve(start, objective) for start in starts}
    figures = {s: space.figures(s) for s in found}
    allowed = [s for s in found if figures[s][0] >= least and figures[s][1] <= most]
    if not allowed:
        raise BudgetError(_nearest(space, costs, budget, least, most, reference))
    if budget.max_accuracy_loss is not None:
        return min(allowed, key=lambda s: (figures[s][1], -figures[s][0], s))
    return max(allowed, key=lambda s: (figures[s][0], -figures[s][1], s))


def reference_accuracy(data: ChainOutputs, budget: Budget) -> float:
    """Accuracy that the budget's loss is relative to, on the samples of `data`."""
    if budget.reference == "full":
        return float(data.correct()[-1].mean())
    if budget.reference == "base":
        return float(data.base_correct().mean())
    return float(budget.reference)


def require_calibration(data: ChainOutputs) -> None:
    """InputError unless `data` is of the calibration split."""
    if data.split is not SplitRole.CALIBRATION:
        raise InputError(
            f"exit policies are chosen on the calibration split only, got the {data.split.value} "
            "split: figures of data that a threshold was chosen on, or that the network was "
            "trained on, are not figures of new data"
        )


def _require_exits(data: ChainOutputs, costs: PathCosts) -> None:
    if data.exits == 0:
        raise InputError("the network has no early exit: there is nothing to calibrate")
    if len(costs.stop) != len(data.outputs):
        raise InputError(
            f"{len(data.outputs)} segments need as many path costs, got {len(costs.stop)}"
        )


def _calibrate_guaranteed(
    data: ChainOutputs,
    costs: PathCosts,
    budget: Budget,
    policy: str,
    resamples: Resamples | None,
) -> CalibrationResult:
    """Fixed-sequence testing; the sequence comes from other samples than the test when it must."""
    fit_data, test_data = data, data
    if family(policy).uses_data or data.exits > 1:
        # The order of settings depends on data: find it on one half, test it on the other.
        rows = np.random.default_rng(0).permutation(data.samples)
        fit_data = data.subset(rows[: data.samples // 2])
        test_data = data.subset(rows[data.samples // 2 :])
    bound, delta = budget.max_accuracy_loss / 100, 1 - budget.guarantee
    whole = None if test_data is data else data.samples
    require_samples(test_data.samples, bound, delta, whole)
    fitted = fit(fit_data, policy)
    space = Space(fitted, test_data, costs)
    # One exit: between two observed scores nothing changes, so testing the observed ones tests all.
    source = space if data.exits == 1 else Space(fitted, fit_data, costs)
    base = test_data.base_correct() if budget.reference == "base" else test_data.correct()[-1]
    accepted = _fixed_sequence(space, source.front(), base, bound, delta)
    if accepted is None:
        raise BudgetError(
            f"no setting keeps the accuracy loss within {budget.max_accuracy_loss:g} points of "
            f"the {budget.reference} model with probability {budget.guarantee:g}: allow a larger "
            "loss, a lower probability, or bring more calibration samples"
        )
    setting, p = accepted
    _, cost = space.figures(setting)
    if budget.max_cost is not None and cost > budget.max_cost:
        raise BudgetError(
            f"no setting meets both the guarantee and a mean cost of {_amount(budget.max_cost)} "
            f"{costs.unit}: the nearest that keeps the guarantee costs {_amount(cost)}"
        )
    guarantee = Guarantee(
        budget.max_accuracy_loss, budget.guarantee, budget.reference, test_data.samples, p
    )
    return _result(fitted, setting, test_data, costs, budget, policy, resamples, guarantee)


def _fixed_sequence(
    space: Space, sequence: list[Setting], base: np.ndarray, bound: float, delta: float
) -> tuple[Setting, float] | None:
    """The last setting before the first whose null hypothesis stands, and its p-value."""
    accepted = None
    for setting in sequence:
        right, _ = space.outcome(setting)
        p = p_value(int((base & ~right).sum()), int((right & ~base).sum()), len(base), bound)
        if p > delta:
            break
        accepted = (setting, p)
    return accepted


def _result(
    fitted: tuple[Fitted, ...],
    setting: Setting,
    data: ChainOutputs,
    costs: PathCosts,
    budget: Budget,
    policy: str,
    resamples: Resamples | None,
    guarantee: Guarantee | None = None,
) -> CalibrationResult:
    policies = tuple(f.policy(t) for f, t in zip(fitted, setting, strict=True))
    rules = tuple(f.rule(t) for f, t in zip(fitted, setting, strict=True))
    expected = evaluate(policies, data, costs, resamples)
    return CalibrationResult(policy, policies, rules, setting, budget, expected, guarantee)


def _nearest(
    space: Space, costs: PathCosts, budget: Budget, least: float, most: float, reference: float
) -> str:
    """One line: what was asked, and the nearest that can be had."""
    settings = space.front()
    figures = [space.figures(s) for s in settings]
    accuracy = max(a for a, _ in figures)
    if accuracy < least:
        loss = 100 * (reference - accuracy)
        return (
            f"no exit setting stays within {budget.max_accuracy_loss:g} points of the accuracy "
            f"{100 * reference:.2f} %: the nearest loses {loss:.2f} points"
        )
    reachable = [c for a, c in figures if a >= least]
    condition = "" if budget.max_accuracy_loss is None else " within the accuracy loss asked for"
    return (
        f"no exit setting has a mean cost of at most {_amount(budget.max_cost)} {costs.unit}"
        f"{condition}: the nearest is {_amount(min(reachable))} {costs.unit}"
    )


def _amount(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 1000 else f"{cost:g}"
