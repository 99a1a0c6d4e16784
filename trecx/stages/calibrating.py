"""Choose exit policies on the calibration split of the int8 segments, report on the test split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trecx.bundle import Bundle, DataFacts, write_bundle
from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.policies import DevicePolicy, MaxSoftmax, SplitRole, family
from trecx.policies.calibration import Budget, calibrate
from trecx.policies.evaluation import evaluate
from trecx.policies.outputs import ChainOutputs, PathCosts
from trecx.reports.flops import flops_report
from trecx.stages.instructions import instruction_costs, require_counter
from trecx.stages.outputs import chain_outputs, quantise, spread
from trecx.task import DataSplits

COUNTED_SAMPLES = 4


@dataclass(frozen=True)
class Choice:
    """How the exit policies are chosen.

    budget: limits on accuracy loss or cost; None with a fixed threshold. threshold: for
    max-softmax, 0..1. policy: family name; None: the one the method was published with.
    target: emulated board on which costs are counted, in instructions; None: costs are MACs.
    Raises InputError for a combination or a value that cannot be.
    """

    budget: Budget | None = None
    threshold: float | None = None
    policy: str | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        if (self.budget is None) == (self.threshold is None):
            raise InputError("give either a budget or a fixed threshold, not both and not neither")
        if self.threshold is not None and self.policy not in (None, "max_softmax"):
            raise InputError(f"a fixed threshold is for max_softmax, not for {self.policy!r}")
        if self.threshold is not None:
            MaxSoftmax(self.threshold)
        if self.policy is not None:
            family(self.policy)
        if self.target is not None:
            require_counter(self.target)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Policies, one for each early exit, with the figures of both splits as JSON."""

    policies: tuple[DevicePolicy, ...]
    calibration: dict | None
    test: dict | None


def choose_policies(
    graphs: list[Graph],
    data: DataSplits,
    choice: Choice,
    base: Graph | None,
    published_policy: str,
    limit: int | None,
    say: Callable[[str, int, int], None],
) -> Calibrated:
    """Run the calibration split through the int8 segments, choose, then run the test split once.

    A network without exits has nothing to choose; one that is no classifier has no accuracy either.
    """
    if not is_classifier(graphs, data):
        return Calibrated((), None, None)
    if len(graphs) == 1:
        costs = path_costs(graphs, base)
        return Calibrated((), None, figures_on_test(graphs, data, (), base, costs, limit, say))
    outputs = chain_outputs(
        graphs,
        data.calibration,
        SplitRole.CALIBRATION,
        limit=limit,
        base=base,
        progress=lambda done, count: say("calibrating on int8 outputs", done, count),
    )
    costs = _costs(graphs, base, choice.target, data, say)
    policies, calibration = _choose(outputs, costs, choice, published_policy)
    figures = figures_on_test(graphs, data, policies, base, costs, limit, say)
    return Calibrated(policies, calibration, figures)


def recalibrate(
    bundle: Bundle, data: DataSplits, choice: Choice, *, limit: int | None = None, progress=None
) -> Bundle:
    """Choose the policies of a bundle anew and write it again, at its place."""
    if len(bundle.segments) == 1:
        raise InputError(f"{bundle.path} has no early exit: there is nothing to calibrate")
    require_same_data(bundle, data)
    found = choose_policies(
        bundle.graphs(),
        data,
        choice,
        bundle.base_graph(),
        _own_family(bundle),
        limit,
        progress or (lambda what, done, count: None),
    )
    manifest = bundle.manifest
    base = manifest["base"]
    return write_bundle(
        bundle.path,
        task=bundle.task,
        labels=bundle.labels,
        data=DataFacts(data.name, data.synthetic),
        full=bundle.read(manifest["full"]["file"]),
        segments=bundle.segment_bytes(),
        base=None if base is None else bundle.read(base["file"]),
        policies=found.policies,
        training=manifest["training"],
        calibration=found.calibration,
        test=found.test,
        preprocessing=manifest["input"]["preprocessing"],
    )


def figures_on_test(
    graphs: list[Graph],
    data: DataSplits,
    policies: tuple[DevicePolicy, ...],
    base: Graph | None,
    costs: PathCosts,
    limit: int | None,
    say: Callable[[str, int, int], None],
) -> dict:
    """Evaluation of given policies on the test split, as JSON."""
    outputs = chain_outputs(
        graphs,
        data.test,
        SplitRole.TEST,
        limit=limit,
        base=base,
        progress=lambda done, count: say("evaluating the test split", done, count),
    )
    return evaluate(policies, outputs, costs).to_json()


def is_classifier(graphs: list[Graph], data: DataSplits) -> bool:
    """Whether the final output has one score for each of several classes."""
    return len(data.labels) > 1 and graphs[-1].outputs[0].size == len(data.labels)


def require_same_data(bundle: Bundle, data: DataSplits) -> None:
    """InputError unless the classes are those that the bundle was made with."""
    if bundle.labels != tuple(data.labels):
        raise InputError(
            f"the bundle knows {len(bundle.labels)} classes ({', '.join(bundle.labels[:3])}, ...), "
            f"the data {data.name!r} have {len(data.labels)}: give the data of its task"
        )


def path_costs(graphs: list[Graph], base: Graph | None) -> PathCosts:
    """MACs of every path, relative to the base model (given, or the chain without its exits)."""
    report = flops_report(graphs, base)
    return PathCosts(
        tuple(float(path.macs) for path in report.paths), "MACs", float(report.base.macs)
    )


def _costs(
    graphs: list[Graph],
    base: Graph | None,
    target: str | None,
    data: DataSplits,
    say: Callable[[str, int, int], None],
) -> PathCosts:
    if target is None:
        return path_costs(graphs, base)
    say(f"counting instructions on {target}", 0, 1)
    chosen = spread(len(data.calibration), COUNTED_SAMPLES)
    found = instruction_costs(
        graphs, base, target, quantise(data.calibration.inputs(chosen), graphs[0])
    )
    say(f"counting instructions on {target}", 1, 1)
    return found


def _own_family(bundle: Bundle) -> str:
    """The family of the policies that a bundle has: the one its method was published with, unless
    the user chose another."""
    if bundle.manifest["calibration"] and "family" in bundle.manifest["calibration"]:
        return bundle.manifest["calibration"]["family"]
    return _FAMILY_OF_KIND[bundle.exit_policies()[0].kind]


_FAMILY_OF_KIND = {
    "top_class_thresholds": "max_softmax",
    "table_sum": "entropy",
    "margin": "margin",
    "confidence": "confidence",
}


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
