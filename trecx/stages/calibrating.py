"""Choose the exit policies of int8 segments on the calibration split, and report on the test split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.policies import DevicePolicy, MaxSoftmax, SplitRole
from trecx.policies.calibration import Budget, calibrate
from trecx.policies.evaluation import evaluate
from trecx.policies.outputs import ChainOutputs, PathCosts
from trecx.reports.flops import flops_report
from trecx.stages.outputs import chain_outputs
from trecx.task import DataSplits


@dataclass(frozen=True)
class Choice:
    """How the exit policies are chosen.

    budget: limits on accuracy loss or cost; None with a fixed threshold. threshold: for
    max-softmax, 0..1. policy: family name; None: the one the method was published with.
    """

    budget: Budget | None = None
    threshold: float | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        if (self.budget is None) == (self.threshold is None):
            raise InputError("give either a budget or a fixed threshold, not both and not neither")
        if self.threshold is not None and self.policy not in (None, "max_softmax"):
            raise InputError(f"a fixed threshold is for max_softmax, not for {self.policy!r}")


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Policies, one for each early exit, with the figures of both splits as JSON."""

    policies: tuple[DevicePolicy, ...]
    calibration: dict
    test: dict


def choose_policies(
    graphs: list[Graph],
    data: DataSplits,
    choice: Choice,
    base: Graph | None,
    published_policy: str,
    limit: int | None,
    say: Callable[[str, int, int], None],
) -> Calibrated:
    """Run the calibration split through the int8 segments, choose, then run the test split once."""
    outputs = chain_outputs(
        graphs,
        data.calibration,
        SplitRole.CALIBRATION,
        limit=limit,
        base=base,
        progress=lambda done, count: say("calibrating on int8 outputs", done, count),
    )
    costs = path_costs(graphs, base)
    policies, calibration = _choose(outputs, costs, choice, published_policy)
    test = chain_outputs(
        graphs,
        data.test,
        SplitRole.TEST,
        limit=limit,
        base=base,
        progress=lambda done, count: say("evaluating the test split", done, count),
    )
    return Calibrated(policies, calibration, evaluate(policies, test, costs).to_json())


def path_costs(graphs: list[Graph], base: Graph | None) -> PathCosts:
    """MACs of every path, relative to the base model (given, or the chain without its exits)."""
    report = flops_report(graphs, base)
    return PathCosts(
        tuple(float(path.macs) for path in report.paths), "MACs", float(report.base.macs)
    )


def _choose(
    outputs: ChainOutputs, costs: PathCosts, choice: Choice, published_policy: str
) -> tuple[tuple[DevicePolicy, ...], dict]:
    if choice.threshold is not None:
        rule = MaxSoftmax(choice.threshold)
        policies = tuple(
            rule.to_device(outputs.outputs[k].shape[1], *outputs.quant(k))
            for k in range(outputs.exits)
        )
        expected = evaluate(policies, outputs, costs).to_json()
        return policies, {"rules": [rule.to_manifest()] * outputs.exits, "expected": expected}
    policy = choice.policy or published_policy.replace("-", "_")
    result = calibrate(outputs, costs, choice.budget, policy)
    return result.policies, result.to_json()
