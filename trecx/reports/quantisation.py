"""What quantisation to int8 changes at each exit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from trecx.policies.bootstrap import Estimate, Resamples
from trecx.reports.accuracy import interval
from trecx.reports.document import Table


@dataclass(frozen=True)
class ExitPrecision:
    """Accuracy of one exit on the same samples. change: int8 minus float, paired."""

    name: str
    exit: str
    float_accuracy: Estimate
    int8_accuracy: Estimate
    change: Estimate

    def to_json(self) -> dict:
        return asdict(self)


def exit_precisions(
    name: str, before: np.ndarray, after: np.ndarray, resamples: Resamples
) -> list[ExitPrecision]:
    """One for each segment of a network; before, after: whether the float and the int8 answer is
    right, bool (segments, N)."""
    last = len(before) - 1
    found = []
    for k, (float_right, int8_right) in enumerate(zip(before, after, strict=True)):
        columns = np.stack([float_right, int8_right], axis=1).astype(np.float64)
        difference = (columns[:, 1] - columns[:, 0])[:, None]
        estimates = resamples.estimates(np.concatenate([columns, difference], axis=1))
        found.append(
            ExitPrecision(name, "full depth" if k == last else f"exit {k + 1}", *estimates)
        )
    return found


def precision_table(rows: Sequence[ExitPrecision]) -> Table:
    """Float beside int8, a line an exit."""
    cells = tuple(
        (
            r.name,
            r.exit,
            interval(r.float_accuracy),
            interval(r.int8_accuracy),
            interval(r.change, unit="points"),
        )
        for r in rows
    )
    columns = ("network", "answer of", "float", "int8", "int8 minus float")
    return Table(columns, cells, frozenset({2, 3, 4}), "Accuracy before and after quantisation")
