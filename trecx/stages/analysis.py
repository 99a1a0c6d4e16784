"""Reports on a bundle: accuracy, benefit curve, overthinking, memory."""

from __future__ import annotations

from pathlib import Path

from trecx.bundle import Bundle, read_bundle
from trecx.codegen.compiler import CompiledModel
from trecx.errors import InputError
from trecx.policies import ChainOutputs, SplitRole
from trecx.policies.benefit import benefit_curve
from trecx.policies.bootstrap import Resamples
from trecx.policies.evaluation import evaluate
from trecx.policies.overthinking import analyse_overthinking
from trecx.reports.accuracy import AccuracyReport
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.memory import MemoryReport, PlannedBuffer
from trecx.reports.overthinking import OverthinkingReport
from trecx.stages.calibrating import is_classifier, path_costs, require_same_data
from trecx.stages.outputs import chain_outputs
from trecx.task import DataSplits


class BundleAnalysis:
    """A bundle's int8 outputs on the calibration and test splits, computed once, on demand."""

    def __init__(self, bundle_path: Path, data: DataSplits, limit: int | None, progress=None):
        self.bundle: Bundle = read_bundle(bundle_path)
        require_same_data(self.bundle, data)
        self.data, self.limit = data, limit
        self.say = progress or (lambda what, done, count: None)
        self.graphs = self.bundle.graphs()
        self.base = self.bundle.base_graph()
        if not is_classifier(self.graphs, data):
            raise InputError(f"task {self.bundle.task!r} is no classification: no accuracy")
        self.costs = path_costs(self.graphs, self.base)
        self._outputs: dict[SplitRole, ChainOutputs] = {}

    def outputs(self, split: SplitRole) -> ChainOutputs:
        if split not in self._outputs:
            samples = {
                SplitRole.CALIBRATION: self.data.calibration,
                SplitRole.TEST: self.data.test,
            }[split]
            self._outputs[split] = chain_outputs(
                self.graphs,
                samples,
                split,
                limit=self.limit,
                base=self.base,
                progress=lambda done, count: self.say(f"{split.value} split", done, count),
            )
        return self._outputs[split]

    def accuracy(self) -> AccuracyReport:
        policies = self.bundle.exit_policies()
        kind = policies[0].kind if policies else "none"
        found = evaluate(policies, self.outputs(SplitRole.TEST), self.costs)
        return AccuracyReport(self.bundle.task, kind, (found,), self.data.synthetic)

    def benefit(self, policies: tuple[str, ...]) -> BenefitReport:
        """Benefit curves of several policies on the same samples."""
        self._require_exits()
        resamples = Resamples()
        calibration, test = self.outputs(SplitRole.CALIBRATION), self.outputs(SplitRole.TEST)
        curves = [
            benefit_curve(calibration, test, self.costs, policy, resamples=resamples)
            for policy in policies
        ]
        entries = tuple(Entry(c.policy, c, group=self.bundle.task) for c in curves)
        return BenefitReport(
            f"{self.bundle.task} on {self.data.name}", entries, resamples, self.data.synthetic
        )

    def overthinking(self, without: Path | None = None) -> OverthinkingReport:
        """without: bundle of the same network trained without exit assistance; what assistance
        recovers is measured against it."""
        self._require_exits()
        blind = (
            None if without is None else BundleAnalysis(without, self.data, self.limit, self.say)
        )
        found = analyse_overthinking(
            self.outputs(SplitRole.TEST),
            self.costs,
            policies=self.bundle.exit_policies(),
            calibration=self.outputs(SplitRole.CALIBRATION),
            without_assistance=None if blind is None else blind.outputs(SplitRole.TEST),
        )
        return OverthinkingReport(self.bundle.task, found, self.data.synthetic)

    def _require_exits(self) -> None:
        if len(self.graphs) == 1:
            raise InputError(f"{self.bundle.path} has no early exit: there is nothing to report")


def memory_report(model: CompiledModel) -> MemoryReport:
    """The arena of a compiled model over time."""
    plan, program = model.plan, model.program
    last = len(program.graphs) - 1
    return MemoryReport(
        model.prefix,
        tuple(
            PlannedBuffer(b.name, b.kind, b.nbytes, b.offset, b.first, b.last) for b in plan.buffers
        ),
        tuple(
            program.lowered[t.segment][t.operator_index].operator.output.label
            for t in program.steps
        ),
        tuple(program.segment_end(k) + 1 for k in range(last)),
        plan.arena_bytes,
        plan.lower_bound,
        tuple(plan.handoff_bytes),
        tuple(
            sum(t.step.flash_bytes for t in program.steps if t.segment == k)
            for k in range(last + 1)
        ),
    )
