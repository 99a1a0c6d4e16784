"""What calibrated exits do on a split: accuracy, exit rates and cost, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.policies.bootstrap import Estimate
from trecx.policies.evaluation import Evaluation
from trecx.reports.document import SYNTHETIC, Document, Facts, Note, Table, count, percent


@dataclass(frozen=True)
class AccuracyReport:
    """evaluations: of the same policies on one or more splits (calibration, test)."""

    model: str
    policy: str
    evaluations: tuple[Evaluation, ...]
    synthetic_data: bool = False

    def to_json(self) -> dict:
        return {
            "report": "accuracy",
            "model": self.model,
            "policy": self.policy,
            "synthetic_data": self.synthetic_data,
            "evaluations": [e.to_json() for e in self.evaluations],
        }

    def document(self) -> Document:
        blocks: list = [Facts((("exit policy", self.policy),))]
        for evaluation in self.evaluations:
            blocks += [_segment_table(evaluation), _facts(evaluation)]
        level = self.evaluations[0].interval_level
        blocks.append(Note(f"Intervals: {100 * level:g} %, bootstrap over the samples."))
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        return Document(f"Accuracy of {self.model}", tuple(blocks))


def interval(estimate: Estimate | None, digits: int = 2, unit: str = "%") -> str:
    """An estimated fraction in per cent (or points, for a difference) with its interval."""
    if estimate is None:
        return "-"
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (round(100 * v, digits) + 0.0 for v in ends)  # no minus zero
    return f"{value:.{digits}f} {unit} [{low:.{digits}f}, {high:.{digits}f}]"


def count_interval(estimate: Estimate) -> str:
    """An estimated number with its interval."""
    return f"{count(estimate.value)} [{count(estimate.low)}, {count(estimate.high)}]"


def _segment_table(e: Evaluation) -> Table:
    last = len(e.exit_rates) - 1
    rows = tuple(
        (
            "full depth" if k == last else f"exit {k + 1}",
            interval(e.segment_accuracy[k]),
            percent(e.stopped_accuracy[k], 2),
            interval(e.exit_rates[k]),
            count(e.path_costs[k]),
        )
        for k in range(last + 1)
    )
    columns = ("", "accuracy, all samples", "accuracy, stopping here", "stop here", e.cost_unit)
    return Table(
        columns, rows, frozenset({1, 2, 3, 4}), f"{e.split} split, {count(e.samples)} samples"
    )


def _facts(e: Evaluation) -> Facts:
    rows = [
        ("accuracy with exits", interval(e.accuracy)),
        ("loss against full depth", interval(e.accuracy_loss, unit="points")),
        (f"mean {e.cost_unit}", count_interval(e.cost)),
        ("reduction", f"{interval(e.reduction)} of {count(e.reference_cost)}"),
    ]
    if e.base_accuracy is not None:
        rows.insert(0, ("accuracy of the base model", interval(e.base_accuracy)))
    return Facts(tuple(rows))
