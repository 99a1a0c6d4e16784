"""Bootstrap confidence intervals of means over samples.

Every figure that is compared comes from the same resamples: two methods evaluated on the same N
samples with the same seed see the same draws, so the intervals of differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """In another unit; a negative factor swaps the ends."""
        ends = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, *ends)


@dataclass(frozen=True)
class Resamples:
    """`count` draws of N samples with replacement; intervals are percentiles at `level`."""

    count: int = 1000
    seed: int = 0
    level: float = 0.95

    def weights(self, n: int, chunk: int = 64) -> Iterator[np.ndarray]:
        """How often each sample is drawn, float32 (<= chunk, n), until `count` rows were given."""
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.count, chunk):
            rows = min(chunk, self.count - start)
            draws = rng.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
            yield np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32)

    def means(self, columns: np.ndarray) -> np.ndarray:
        """Mean of each column over each resample: columns float (N, m) -> float64 (count, m)."""
        columns = columns.astype(np.float32)
        parts = [w @ columns for w in self.weights(len(columns))]
        return np.concatenate(parts).astype(np.float64) / len(columns)

    def interval(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends over the first axis."""
        tail = (1 - self.level) / 2
        low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
        return low, high

    def estimates(self, columns: np.ndarray) -> list[Estimate]:
        """Mean and interval of each column."""
        low, high = self.interval(self.means(columns))
        values = columns.astype(np.float64).mean(axis=0)
        return [Estimate(*map(float, e)) for e in zip(values, low, high, strict=True)]
