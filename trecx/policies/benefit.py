"""The benefit curve: accuracy against mean cost for every threshold of a policy.

Thresholds come from the calibration split and figures from the test split. Two kinds of figures
are kept apart: a *pick* is the setting that calibration chose for a budget, with what it then did
on the test split; a *reading* is taken off the test curve itself, as publications usually do, and
is optimistic.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from trecx.errors import BudgetError, InputError
from trecx.policies.bootstrap import Estimate, Resamples
from trecx.policies.calibration import Budget, choose, fit, reference_accuracy, require_calibration
from trecx.policies.outputs import ChainOutputs, PathCosts, SplitRole
from trecx.policies.sweep import Setting, Space

LOSSES = (0.0, 0.5, 1.0, 2.0)
"""Accuracy losses, in points, at which reductions are reported."""

MAX_POINTS = 200
_GRID = 400


@dataclass(frozen=True)
class CurvePoint:
    """One setting on the test split. cost: relative to the reference cost."""

    cost: float
    accuracy: Estimate


@dataclass(frozen=True)
class Pick:
    """What calibration chose for a largest loss of `budget` points, and its test figures.

    reduction: 1 - cost / reference cost. loss: reference accuracy minus accuracy, as a fraction.
    """

    budget: float
    policies: list[dict]
    accuracy: Estimate
    loss: Estimate
    reduction: Estimate


@dataclass(frozen=True, eq=False)
class BenefitCurve:
    """Benefit of one policy on one chain.

    reference: "full" or "base", whose test accuracy is `reference_accuracy`.
    picks, readings: one for each of `LOSSES`; None where no setting is that accurate.
    segment_accuracy: of each segment's answer on all test samples.
    area: mean of the best accuracy over relative costs from `area_from` to 1, see `best_accuracy`.
    draws: the figures in every resample, for paired differences; not in the JSON.
    """

    policy: str
    reference: str
    reference_accuracy: Estimate
    cost_unit: str
    path_costs: tuple[float, ...]
    reference_cost: float
    test_samples: int
    calibration_samples: int
    segment_accuracy: tuple[Estimate, ...]
    points: tuple[CurvePoint, ...]
    picks: tuple[Pick | None, ...]
    readings: tuple[Estimate | None, ...]
    area: Estimate
    area_from: float
    classes: int
    draws: Draws = field(repr=False)

    def accuracy_at(self, costs: np.ndarray) -> np.ndarray:
        """Best accuracy on the test samples for each relative cost; see `best_accuracy`."""
        found = np.array([(p.cost, p.accuracy.value) for p in self.points])
        return best_accuracy(found[:, 0], found[:, 1], costs, 1 / self.classes)

    def to_json(self) -> dict:
        skipped = {"draws"}
        kept = {k: v for k, v in self.__dict__.items() if k not in skipped}
        return {"losses": list(LOSSES)} | {k: _plain(v) for k, v in kept.items()}


@dataclass(frozen=True, eq=False)
class Draws:
    """Figures in each resample: area (R,); reduction of each pick (R,), None where no pick is."""

    area: np.ndarray
    reductions: tuple[np.ndarray | None, ...]


def benefit_curve(
    calibration: ChainOutputs,
    test: ChainOutputs,
    costs: PathCosts,
    policy: str = "max_softmax",
    reference: str = "full",
    area_from: float | None = None,
    resamples: Resamples | None = None,
) -> BenefitCurve:
    """Sweep `policy` on the calibration split, report on the test split.

    area_from: relative cost at which the area starts; None: the cost of always stopping at the
    first exit. Give the same to curves that are compared. InputError for wrong splits.
    """
    require_calibration(calibration)
    if test.split is not SplitRole.TEST:
        raise InputError(f"a benefit curve is reported on the test split, got {test.split.value}")
    resamples = resamples or Resamples()
    fitted = fit(calibration, policy)
    space = Space(fitted, calibration, costs)
    on_test = Space(fitted, test, costs)
    settings = _thinned(space.front())
    chosen = [_pick(space, calibration, costs, loss, reference) for loss in LOSSES]
    picked = [s for s in chosen if s is not None]
    base = test.base_correct() if reference == "base" else test.correct()[-1]
    figures = _Resampled(on_test, [*settings, *picked], base, costs.reference, resamples)

    low = min(costs.stop[0] / costs.reference if area_from is None else area_from, 1.0)
    count = len(settings)
    guess = 1 / test.classes
    area_draws = _areas(figures.costs[:, :count], figures.accuracies[:, :count], low, guess)
    area = _areas(figures.cost[None, :count], figures.accuracy[None, :count], low, guess)[0]
    column = iter(range(count, count + len(picked)))
    picks, reductions = [], []
    for loss, setting in zip(LOSSES, chosen, strict=True):
        i = None if setting is None else next(column)
        policies = [] if i is None else [f.policy(t) for f, t in zip(fitted, setting, strict=True)]
        picks.append(None if i is None else figures.pick(i, loss, policies))
        reductions.append(None if i is None else 1 - figures.costs[:, i])
    return BenefitCurve(
        policy=policy,
        reference=reference,
        reference_accuracy=resamples.estimates(base[:, None].astype(np.float64))[0],
        cost_unit=costs.unit,
        path_costs=costs.stop,
        reference_cost=costs.reference,
        test_samples=test.samples,
        calibration_samples=calibration.samples,
        segment_accuracy=tuple(resamples.estimates(test.correct().T.astype(np.float64))),
        points=tuple(figures.point(i) for i in range(count)),
        picks=tuple(picks),
        readings=tuple(figures.reading(count, loss) for loss in LOSSES),
        area=_estimate(float(area), area_draws, resamples),
        area_from=low,
        classes=test.classes,
        draws=Draws(area_draws, tuple(reductions)),
    )


class _Resampled:
    """Accuracy and relative cost of every setting, on the samples and on every resample."""

    def __init__(
        self,
        space: Space,
        settings: list[Setting],
        base: np.ndarray,
        reference_cost: float,
        resamples: Resamples,
    ) -> None:
        outcomes = [space.outcome(s) for s in settings]
        right = np.stack([o[0] for o in outcomes], axis=1)
        cost = np.stack([o[1] for o in outcomes], axis=1) / reference_cost
        columns = np.concatenate([right, cost, base[:, None]], axis=1)
        draws = resamples.means(columns)
        n = len(settings)
        self.resamples = resamples
        self.accuracy, self.cost = right.mean(axis=0), cost.mean(axis=0)
        self.accuracies, self.costs = draws[:, :n], draws[:, n : 2 * n]
        self.base, self.bases = float(base.mean()), draws[:, 2 * n]

    def point(self, i: int) -> CurvePoint:
        accuracy = _estimate(float(self.accuracy[i]), self.accuracies[:, i], self.resamples)
        return CurvePoint(float(self.cost[i]), accuracy)

    def pick(self, i: int, budget: float, policies: list) -> Pick:
        loss = self.bases - self.accuracies[:, i]
        return Pick(
            budget,
            [p.to_manifest() for p in policies],
            self.point(i).accuracy,
            _estimate(self.base - float(self.accuracy[i]), loss, self.resamples),
            _estimate(1 - float(self.cost[i]), 1 - self.costs[:, i], self.resamples),
        )

    def reading(self, count: int, loss: float) -> Estimate | None:
        """Largest reduction of the first `count` settings within `loss` points on the test split.

        The interval is of the reading itself: every resample is read off again.
        """
        least = self.base - loss / 100 - 1e-9
        allowed = self.accuracy[:count] >= least
        if not allowed.any():
            return None
        value = 1 - self.cost[:count][allowed].min()
        allowed = self.accuracies[:, :count] >= self.bases[:, None] - loss / 100 - 1e-7
        cheapest = np.where(allowed, self.costs[:, :count], np.inf).min(axis=1)
        cheapest = np.where(np.isfinite(cheapest), cheapest, self.costs[:, :count].max(axis=1))
        return _estimate(float(value), 1 - cheapest, self.resamples)


def paired_difference(a: np.ndarray, b: np.ndarray, value: float, resamples: Resamples) -> Estimate:
    """a - b with an interval from the same resamples. value: the difference on the samples."""
    return _estimate(value, a - b, resamples)


def _pick(
    space: Space, data: ChainOutputs, costs: PathCosts, loss: float, reference: str
) -> Setting | None:
    budget = Budget(max_accuracy_loss=loss, reference=reference)
    try:
        return choose(space, costs, budget, reference_accuracy(data, budget))
    except BudgetError:
        return None


def _thinned(settings: list[Setting]) -> list[Setting]:
    """At most MAX_POINTS of them, evenly spaced, both ends kept."""
    if len(settings) <= MAX_POINTS:
        return settings
    kept = np.unique(np.linspace(0, len(settings) - 1, MAX_POINTS).round().astype(int))
    return [settings[i] for i in kept]


def best_accuracy(
    costs: np.ndarray, accuracies: np.ndarray, grid: np.ndarray, guess: float
) -> np.ndarray:
    """Best accuracy for a mean cost of at most each of `grid`: (len(grid),).

    costs, accuracies: of the settings, (n,). guess: accuracy of answering at random, which costs
    nothing. Below the cheapest setting a share of the inputs is answered so: a network whose
    exits are dear is not credited with an accuracy that it cannot reach there.
    """
    order = np.argsort(costs, kind="stable")
    ordered = costs[order]
    best = np.maximum.accumulate(accuracies[order])
    position = np.searchsorted(ordered, grid + 1e-6, side="right") - 1
    mixed = guess + (best[0] - guess) * np.minimum(grid / ordered[0], 1.0)
    return np.where(position < 0, mixed, best[np.maximum(position, 0)])


def _areas(costs: np.ndarray, accuracies: np.ndarray, low: float, guess: float) -> np.ndarray:
    """Mean of `best_accuracy` over costs in low..1: (R,) for costs, accuracies (R, n)."""
    grid = np.linspace(low, 1.0, _GRID)
    rows = zip(costs, accuracies, strict=True)
    return np.array([best_accuracy(c, a, grid, guess).mean() for c, a in rows])


def _estimate(value: float, draws: np.ndarray, resamples: Resamples) -> Estimate:
    low, high = resamples.interval(draws)
    return Estimate(value, float(low), float(high))


def _plain(value):
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
