"""What a chain with given exit policies does on given samples: accuracy, exit rates, cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from trecx.policies.bootstrap import Estimate, Resamples
from trecx.policies.device import DevicePolicy
from trecx.policies.outputs import ChainOutputs, PathCosts, stop_segments


@dataclass(frozen=True)
class Evaluation:
    """Figures of one setting on one split. Rates and accuracies are fractions from 0 to 1.

    segment_accuracy: of each segment's answer on all samples, as if every sample stopped there.
    stopped_accuracy: of the samples that stop at each segment; None where none does.
    accuracy: of the whole chain. accuracy_loss: full depth minus the chain.
    exit_rates: share of the samples that stops at each segment; they sum to 1.
    cost: expected, in cost_unit. reduction: 1 - cost / reference_cost.
    reference_cost: of the base model when known, else of the full depth.
    """

    split: str
    samples: int
    segment_accuracy: tuple[Estimate, ...]
    stopped_accuracy: tuple[float | None, ...]
    accuracy: Estimate
    accuracy_loss: Estimate
    exit_rates: tuple[Estimate, ...]
    cost: Estimate
    cost_unit: str
    path_costs: tuple[float, ...]
    reference_cost: float
    reduction: Estimate
    base_accuracy: Estimate | None
    interval_level: float

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> Evaluation:
        """The inverse of `to_json`."""

        def estimate(item):
            return None if item is None else Estimate(**item)

        single = ("accuracy", "accuracy_loss", "cost", "reduction", "base_accuracy")
        several = ("segment_accuracy", "exit_rates")
        return cls(
            **value
            | {key: estimate(value[key]) for key in single}
            | {key: tuple(map(estimate, value[key])) for key in several}
            | {key: tuple(value[key]) for key in ("stopped_accuracy", "path_costs")}
        )


def evaluate(
    policies: tuple[DevicePolicy, ...],
    data: ChainOutputs,
    costs: PathCosts,
    resamples: Resamples | None = None,
) -> Evaluation:
    """Apply one policy a exit to `data`. Intervals are bootstrap intervals over the samples."""
    resamples = resamples or Resamples()
    stops = stop_segments(policies, data)
    correct = data.correct()
    answer = np.take_along_axis(correct, stops[None], axis=0)[0]
    relative_cost = np.array(costs.stop)[stops] / costs.reference
    segments = len(correct)
    columns = [*correct, *(stops == k for k in range(segments)), answer]
    columns += [correct[-1].astype(np.int8) - answer, relative_cost]
    if data.base is not None:
        columns.append(data.base_correct())
    estimates = resamples.estimates(np.stack(columns, axis=1).astype(np.float64))
    relative = estimates[2 * segments + 2]
    return Evaluation(
        split=data.split.value,
        samples=data.samples,
        segment_accuracy=tuple(estimates[:segments]),
        stopped_accuracy=tuple(_mean(answer[stops == k]) for k in range(segments)),
        accuracy=estimates[2 * segments],
        accuracy_loss=estimates[2 * segments + 1],
        exit_rates=tuple(estimates[segments : 2 * segments]),
        cost=relative.scaled(costs.reference),
        cost_unit=costs.unit,
        path_costs=costs.stop,
        reference_cost=costs.reference,
        reduction=Estimate(1 - relative.value, 1 - relative.high, 1 - relative.low),
        base_accuracy=estimates[-1] if data.base is not None else None,
        interval_level=resamples.level,
    )


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
