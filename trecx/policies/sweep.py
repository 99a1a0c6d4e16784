"""The space of settings of a chain: every limit of one exit exactly, several exits by coordinates.

A setting is a tuple of score limits, one for each exit; inf: that exit is not used. For a
family with one limit for all exits, the space holds the settings of equal limits alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trecx.errors import InputError
from trecx.policies.families import Fitted
from trecx.policies.outputs import ChainOutputs, PathCosts

Setting = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Curve:
    """Accuracy and mean cost for every limit of one exit, from `never` to the loosest.

    limits: decreasing, the first is inf. accuracy, cost: float64 of the same length.
    """

    limits: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray


class Space:
    """Scores, correctness and costs of the same samples for every segment of a chain.

    Raises InputError for one limit over exits whose outputs are quantised differently.
    """

    def __init__(self, fitted: tuple[Fitted, ...], data: ChainOutputs, costs: PathCosts) -> None:
        self.scores = np.array(
            [f.scores(q) for f, q in zip(fitted, data.outputs, strict=False)]
        ).reshape(len(fitted), data.samples)
        self.correct = data.correct()
        self.costs = np.array(costs.stop, np.float64)
        self.exits = len(fitted)
        self.samples = data.samples
        self.shared = any(f.shared for f in fitted)
        if self.shared and len({(f.scale, f.zero_point) for f in fitted}) > 1:
            raise InputError(
                f"policy {fitted[0].name!r} needs exits with the same output scale; "
                "use a policy with a threshold for each exit"
            )
        self._order = np.argsort(-self.scores, axis=1, kind="stable")

    @property
    def never(self) -> Setting:
        return (np.inf,) * self.exits

    def outcome(self, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
        """(whether the answer is right, cost) of each sample."""
        stops = self._stops(setting)
        return self.correct[stops, np.arange(self.samples)], self.costs[stops]

    def figures(self, setting: Setting) -> tuple[float, float]:
        """(accuracy, mean cost)."""
        right, cost = self.outcome(setting)
        return float(right.mean()), float(cost.mean())

    def curve(self, k: int, setting: Setting) -> Curve:
        """All limits of exit k, the other exits as in `setting`."""
        others = (*setting[:k], np.inf, *setting[k + 1 :])
        right, cost = self.outcome(others)
        reached = (self.scores[:k] < np.array(setting[:k]).reshape(-1, 1)).all(axis=0)
        order = self._order[k]
        order = order[reached[order] & np.isfinite(self.scores[k][order])]
        score = self.scores[k][order]
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if score.size else []
        gain = np.cumsum(self.correct[k][order].astype(np.int64) - right[order])[last]
        saving = np.cumsum(self.costs[k] - cost[order])[last]
        n = self.samples
        return Curve(
            np.concatenate([[np.inf], score[last]]),
            np.concatenate([[right.sum()], right.sum() + gain]) / n,
            np.concatenate([[cost.sum()], cost.sum() + saving]) / n,
        )

    @property
    def loosest(self) -> Setting:
        """Every sample stops at the first exit whose score for it is not -inf."""
        if self.shared:
            return (float(self._shared_curve.limits[-1]),) * self.exits
        finite = np.where(np.isfinite(self.scores), self.scores, np.inf)
        return tuple(float(t) for t in finite.min(axis=1))

    def front(self, steps: int = 60) -> list[Setting]:
        """Settings from strict to loose (decreasing cost), the first `never`.

        One exit, or one limit for all: every limit. Several: the convex corners, and the most
        accurate setting that coordinate descent finds for each of `steps` costs between them.
        """
        if self.exits == 1:
            return [(float(t),) for t in self.curve(0, self.never).limits]
        if self.shared:
            return [(float(t),) * self.exits for t in self._shared_curve.limits]
        corners = self.corners()
        found = set(corners)
        cheapest, dearest = self.figures(self.loosest)[1], self.figures(self.never)[1]
        for most in np.linspace(cheapest, dearest, steps):
            allowed = [s for s in corners if self.figures(s)[1] <= most]
            start = max(allowed, key=self.figures, default=self.loosest)
            found.add(
                self.improve(
                    start,
                    lambda c, most=most: np.where(c.cost <= most * (1 + 1e-9), -c.accuracy, np.inf),
                )
            )
        return self._without_dominated(found)

    def corners(self, prices: int = 48) -> list[Setting]:
        """Settings on the convex hull of accuracy against cost, `never` and `loosest` included.

        With one limit for all exits `never` alone, from which `improve` finds any other.

        For a range of prices of cost in accuracy, the setting with the least
        price * cost - accuracy that coordinate descent finds.
        """
        found = [self.never]
        if self.shared:
            return found
        for price in np.geomspace(1e-3, 10.0, prices) / self.costs[-1]:
            found.append(
                self.improve(found[-1], lambda c, price=price: price * c.cost - c.accuracy)
            )
        return list(dict.fromkeys([*found, self.loosest]))

    def _without_dominated(self, settings: set[Setting]) -> list[Setting]:
        """`never`, and those that no cheaper one equals in accuracy; by decreasing cost."""
        figures = {s: self.figures(s) for s in settings}
        kept, best = [], -np.inf
        for s in sorted(settings, key=lambda s: (figures[s][1], -figures[s][0], s)):
            if figures[s][0] > best or s == self.never:
                kept.append(s)
                best = max(best, figures[s][0])
        return kept[::-1]

    def improve(self, setting: Setting, objective) -> Setting:
        """Coordinate descent on `objective(Curve) -> array` (lower is better, inf: not allowed).

        With one limit for all exits, the best of all settings.
        """
        if self.shared:
            values = objective(self._shared_curve)
            chosen = int(np.argmin(values))
            limit = float(self._shared_curve.limits[chosen])
            return (limit,) * self.exits if np.isfinite(values[chosen]) else setting
        best = np.inf
        while True:
            for k in reversed(range(self.exits)):
                curve = self.curve(k, setting)
                values = objective(curve)
                chosen = int(np.argmin(values))
                if np.isfinite(values[chosen]):
                    setting = (*setting[:k], float(curve.limits[chosen]), *setting[k + 1 :])
            if not values[chosen] < best - 1e-12:
                return setting
            best = values[chosen]

    @cached_property
    def _shared_curve(self) -> Curve:
        """Every limit, the same for all exits."""
        scores = np.unique(self.scores)[::-1]
        limits = np.concatenate([[np.inf], scores[np.isfinite(scores)]])
        figures = [self.figures((float(t),) * self.exits) for t in limits]
        return Curve(limits, *np.array(figures).T)

    def _stops(self, setting: Setting) -> np.ndarray:
        stops = np.full(self.samples, self.exits)
        for k in reversed(range(self.exits)):
            stops[self.scores[k] >= setting[k]] = k
        return stops
