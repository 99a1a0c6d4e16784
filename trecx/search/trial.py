"""One trial: a candidate, how long it is trained, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trecx.policies import Budget, ChainOutputs, PathCosts, Resamples, calibrate, evaluate
from trecx.policies.device import DevicePolicy
from trecx.search.space import Candidate


@dataclass(frozen=True)
class Trial:
    candidate: Candidate
    epochs: int
    seed: int = 0

    @property
    def key(self) -> str:
        return f"{self.candidate.key}-e{self.epochs}-s{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """Figures of one trial, or why it was not possible.

    accuracy, cost: of the network with its exits, at the setting that meets the budget; cost is
        relative to the base model. exit_rates: share of samples that stops at each segment.
    segment_accuracy: of every segment's answer on all samples. Accuracies are fractions, measured
        on a part of the calibration split that chose nothing.
    path_costs: relative to the base model; also where no setting met the budget.
    error: None when the trial worked.
    """

    trial: Trial
    accuracy: float = 0.0
    cost: float = 0.0
    exit_rates: tuple[float, ...] = ()
    segment_accuracy: tuple[float, ...] = ()
    path_costs: tuple[float, ...] = ()
    parameters_added: int = 0
    seconds: float = 0.0
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        trial = self.trial
        data["trial"] = {
            "exits": trial.candidate.to_json(),
            "epochs": trial.epochs,
            "seed": trial.seed,
        }
        return data

    @staticmethod
    def from_json(data: dict[str, Any]) -> Outcome:
        trial = data["trial"]
        candidate = Candidate.from_json(trial["exits"])
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return Outcome(**fields | {"trial": Trial(candidate, trial["epochs"], trial["seed"])})


def measure(
    data: ChainOutputs, costs: PathCosts, budget: Budget, policy: str = "max_softmax"
) -> dict[str, Any]:
    """Figures of an `Outcome` from a trained candidate's int8 outputs on the calibration split.

    One half of the samples chooses the exit setting that meets `budget`; the figures are those
    of the other half. BudgetError when no setting meets it.
    """
    rows = np.random.default_rng(0).permutation(data.samples)
    half = data.samples // 2
    once = Resamples(count=2)  # intervals are not used here
    choice = calibrate(data.subset(rows[:half]), costs, budget, policy, once)
    policies: tuple[DevicePolicy, ...] = choice.policies
    result = evaluate(policies, data.subset(rows[half:]), costs, once)
    return {
        "accuracy": result.accuracy.value,
        "cost": result.cost.value / costs.reference,
        "exit_rates": tuple(e.value for e in result.exit_rates),
        "segment_accuracy": tuple(e.value for e in result.segment_accuracy),
        "path_costs": tuple(c / costs.reference for c in costs.stop),
    }
