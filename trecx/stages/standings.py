"""What a comparison reports of its contenders: curves, costs, overthinking, and what to note."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.policies import (
    LOSSES,
    BenefitCurve,
    ChainOutputs,
    PathCosts,
    SplitRole,
    analyse_overthinking,
    benefit_curve,
)
from trecx.policies.evaluation import Evaluation, evaluate
from trecx.policies.overthinking import Overthinking
from trecx.policies.rules import LearnedConfidence, Rule
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.comparison import ComparisonReport, Training
from trecx.reports.flops import flops_report
from trecx.reports.quantisation import ExitPrecision, exit_precisions
from trecx.stages.chain import load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.contenders import Contender, Say, Terms
from trecx.task import DataSplits, Task

# Rules that a method was published with, thresholds and all.
FIXED_RULES: dict[str, Rule] = {"eenet": LearnedConfidence(0.5)}


@dataclass(frozen=True, eq=False)
class Measured:
    """A contender and its costs.

    costs: FLOPs of its paths, against the base network's. parameters, flash_bytes (constants) and
    ram_bytes (arena): of the network compiled for the target.
    """

    contender: Contender
    costs: PathCosts
    parameters: int
    flash_bytes: int
    ram_bytes: int


def comparison_report(
    task: Task, data: DataSplits, contenders: list[Contender], terms: Terms, say: Say
) -> ComparisonReport:
    """The report of contenders that stand beside the first, the base network."""
    base_graph = contenders[0].bundle.graphs()[0]
    measured = []
    for number, contender in enumerate(contenders):
        say("compiling", number, len(contenders))
        measured.append(_measure(contender, base_graph, terms.target))
    say("compiling", len(contenders), len(contenders))
    base, *methods = measured
    entries, notes = _entries(base, methods, terms, say)
    title = f"{task.name} on {data.name}"
    benefit = BenefitReport(title, tuple(entries), terms.resamples, data.synthetic)
    float_benefit = BenefitReport(
        f"{title}, float", tuple(_float_entries(methods, terms)), terms.resamples, data.synthetic
    )
    return ComparisonReport(
        task.name,
        data.name,
        data.synthetic,
        terms.target,
        tuple(_training(m) for m in measured),
        benefit,
        tuple((m.contender.name, _overthinking(m, methods, terms)) for m in methods),
        tuple(p for m in measured for p in _precisions(m.contender, terms)),
        float_benefit,
        (*notes, *_notes(measured, benefit, terms.policies)),
    )


def flops_costs(graphs: list[Graph], base: Graph | None) -> PathCosts:
    """FLOPs of every path (2 x MACs and the small operators), relative to the base network."""
    report = flops_report(graphs, base)
    stop = tuple(float(path.flops) for path in report.paths)
    return PathCosts(stop, "FLOPs", float(report.base.flops))


def _measure(contender: Contender, base_graph: Graph, target: str) -> Measured:
    chain = load_chain(contender.bundle.path)
    model = compile_for(chain, target)
    return Measured(
        contender,
        flops_costs(chain.graphs, base_graph),
        flops_report(chain.graphs).full.parameters,
        model.weight_bytes,
        model.plan.arena_bytes,
    )


def _entries(
    base: Measured, methods: list[Measured], terms: Terms, say: Say
) -> tuple[list[Entry], list[str]]:
    """A benefit curve for every method and policy, and why some have none."""
    area_from = _area_from(methods)
    entries, notes = [], []
    for number, method in enumerate(methods):
        say("benefit curves", number, len(methods))
        contender = method.contender
        for policy in dict.fromkeys((contender.policy, *terms.policies)):
            try:
                entries.append(_entry(method, base, policy, area_from, terms))
            except InputError as error:
                notes.append(f"{contender.name}, {policy}: {error}")
    say("benefit curves", len(methods), len(methods))
    return entries, notes


def _float_entries(methods: list[Measured], terms: Terms) -> Iterator[Entry]:
    """A benefit curve for every method with its published policy, before quantisation."""
    area_from = _area_from(methods)
    for method in methods:
        contender = method.contender
        curve = _curve(contender.float_outputs, method, contender.policy, area_from, terms)
        yield Entry(contender.name, curve, group=contender.name)


def _area_from(methods: list[Measured]) -> float:
    """Relative cost of the first method's first exit."""
    first = methods[0].costs
    return min(first.stop[0] / first.reference, 1.0)


def _curve(
    outputs: Mapping[SplitRole, ChainOutputs],
    method: Measured,
    policy: str,
    area_from: float,
    terms: Terms,
) -> BenefitCurve:
    return benefit_curve(
        outputs[SplitRole.CALIBRATION],
        outputs[SplitRole.TEST],
        method.costs,
        policy,
        "base",
        area_from,
        terms.resamples,
    )


def _precisions(contender: Contender, terms: Terms) -> list[ExitPrecision]:
    before, after = (o[SplitRole.TEST] for o in (contender.float_outputs, contender.outputs))
    return exit_precisions(contender.name, before.correct(), after.correct(), terms.resamples)


def _entry(method: Measured, base: Measured, policy: str, area_from: float, terms: Terms) -> Entry:
    contender = method.contender
    curve = _curve(contender.outputs, method, policy, area_from, terms)
    own = policy == contender.policy
    return Entry(
        contender.name if own else f"{contender.name}, {policy}",
        curve,
        method.parameters - base.parameters,
        method.flash_bytes - base.flash_bytes,
        method.ram_bytes - base.ram_bytes,
        group=contender.name,
        fixed=_fixed(method, terms) if own else None,
    )


def _fixed(method: Measured, terms: Terms) -> Evaluation | None:
    """Test figures with the published rule, when it is published with its threshold."""
    rule = FIXED_RULES.get(method.contender.run.recipe.method)
    if rule is None:
        return None
    test = method.contender.outputs[SplitRole.TEST]
    policies = tuple(
        rule.to_device(test.outputs[k].shape[1], *test.quant(k)) for k in range(test.exits)
    )
    return evaluate(policies, test, method.costs, terms.resamples)


def _overthinking(method: Measured, others: list[Measured], terms: Terms) -> Overthinking:
    contender = method.contender
    without = _without_assistance(contender, [other.contender for other in others])
    return analyse_overthinking(
        contender.outputs[SplitRole.TEST],
        method.costs,
        policies=contender.bundle.exit_policies(),
        calibration=contender.outputs[SplitRole.CALIBRATION],
        without_assistance=None if without is None else without.outputs[SplitRole.TEST],
        resamples=terms.resamples,
    )


def _without_assistance(contender: Contender, others: list[Contender]) -> Contender | None:
    """The contender that is trained alike but for exit assistance."""
    exits = contender.run.recipe.exits
    if all(spec.assist is None for spec in exits):
        return None
    blind = tuple(dataclasses.replace(spec, assist=None, assist_options={}) for spec in exits)
    wanted = dataclasses.replace(contender.run.recipe, exits=blind)
    for other in others:
        if dataclasses.replace(wanted, name=other.run.recipe.name) == other.run.recipe:
            return other
    return None


def _training(measured: Measured) -> Training:
    run, costs = measured.contender.run, measured.costs
    places = tuple(
        f"{spec.at} ({100 * cost / costs.reference:.0f} %)"
        for spec, cost in zip(run.recipe.exits, costs.stop, strict=False)
    )
    return Training(
        measured.contender.name,
        run.recipe.method,
        tuple(spec.head for spec in run.recipe.exits),
        places,
        run.epochs,
        run.seed,
        measured.contender.policy,
    )


def _notes(
    measured: list[Measured], benefit: BenefitReport, policies: Sequence[str]
) -> Iterator[str]:
    epochs = {m.contender.name: m.contender.run.epochs for m in measured}
    if len(set(epochs.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in epochs.items())
        yield f"Not the same training budget; epochs: {listed}."
    for policy in policies:
        yield _gain(policy, benefit)
    dear = [m.contender.name for m in measured[1:] if min(m.costs.stop) >= m.costs.reference]
    if dear:
        yield f"Even the first exit costs more than the base network: {', '.join(dear)}."


def _gain(policy: str, benefit: BenefitReport) -> str:
    """Where another policy gains and loses most, in points of reduction on the same network."""
    found = [
        (difference.value, f"{own.name} at {loss:g} points")
        for entry, own in benefit.rivals()
        if entry.curve.policy == policy
        for i, loss in enumerate(LOSSES)
        if (difference := benefit.reduction_difference(entry, i, own)) is not None
    ]
    if not found:
        return f"{policy}: there is no network to compare it on."
    (least, worst), (most, where) = min(found), max(found)
    return (
        f"{policy} instead of the published policy changes the reduction by {100 * least:+.1f} "
        f"({worst}) to {100 * most:+.1f} points ({where})."
    )
