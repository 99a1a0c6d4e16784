"""The space of settings of a chain: every limit of one exit exactly, several exits by coordinates.

A setting is a tuple of score limits, one for each exit; inf: that exit is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """Scores, correctness and costs of the same samples for every segment of a chain."""

    def __init__(self, fitted: tuple[Fitted, ...], data: ChainOutputs, costs: PathCosts) -> None:
        self.scores = np.array(
            [f.scores(q) for f, q in zip(fitted, data.outputs, strict=False)]
        ).reshape(len(fitted), data.samples)
        self.correct = data.correct()
        self.costs = np.array(costs.stop, np.float64)
        self.exits = len(fitted)
        self.samples = data.samples
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

    def front(self, prices: int = 48) -> list[Setting]:
        """Settings from strict to loose (decreasing cost).

        One exit: every limit. Several: for a range of prices of cost in accuracy, the setting with
        the least errors + price * cost that coordinate descent finds.
        """
        if self.exits == 1:
            return [(float(t),) for t in self.curve(0, self.never).limits]
        found = {self.never}
        setting = self.never
        for price in np.geomspace(1e-3, 10.0, prices) / self.costs[-1]:
            setting = self._descend(setting, lambda c, price=price: price * c.cost - c.accuracy)
            found.add(setting)
        return sorted(found, key=lambda s: -self.figures(s)[1])

    def improve(self, setting: Setting, objective) -> Setting:
        """Coordinate descent on `objective(Curve) -> array` (lower is better, inf: not allowed)."""
        return self._descend(setting, objective)

    def _descend(self, setting: Setting, objective) -> Setting:
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

    def _stops(self, setting: Setting) -> np.ndarray:
        stops = np.full(self.samples, self.exits)
        for k in reversed(range(self.exits)):
            stops[self.scores[k] >= setting[k]] = k
        return stops
