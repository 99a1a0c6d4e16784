"""Compare exit methods: train or load them, export to int8, one table, one picture, JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trecx.errors import InputError
from trecx.files import write_atomic
from trecx.policies import (
    LOSSES,
    Resamples,
    SplitRole,
    analyse_overthinking,
    benefit_curve,
    evaluate,
    family,
)
from trecx.policies.evaluation import Evaluation
from trecx.policies.overthinking import Overthinking
from trecx.policies.rules import LearnedConfidence, Rule
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.comparison import ComparisonReport, Training
from trecx.reports.flops import flops_report
from trecx.reports.html import to_html
from trecx.reports.text import to_markdown
from trecx.stages.chain import load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.contenders import (
    Contender,
    RunFacts,
    Say,
    export_contender,
    flops_costs,
    read_run,
    train_methods,
)
from trecx.stages.data import DataChoice
from trecx.stages.recipes import load_network, method_recipe
from trecx.task import DataSplits, Task

# Rules that a method was published with, thresholds and all.
FIXED_RULES: dict[str, Rule] = {"eenet": LearnedConfidence(0.5)}


@dataclass(frozen=True)
class Terms:
    """What holds for every contender.

    policies: families tried beside the published one of each method. max_accuracy_loss: points
    that the bundles' thresholds may lose against the full depth. limit: at most so many samples
    of each split, evenly spread. target: board for RAM and flash.
    """

    policies: tuple[str, ...] = ()
    max_accuracy_loss: float = 1.0
    limit: int | None = None
    target: str = "mps2-an386"
    resamples: Resamples = dataclasses.field(default_factory=Resamples)

    def __post_init__(self) -> None:
        for policy in self.policies:
            family(policy)


def train_and_compare(
    task: Task,
    methods: Sequence[str],
    data: DataChoice,
    out: Path,
    terms: Terms,
    *,
    template: str | None = None,
    epochs: int | None = None,
    model_file: Path | None = None,
    training: Callable | None = None,
    progress: Say | None = None,
) -> ComparisonReport:
    """Train `methods` (see `method_recipe`) and the base network into `out`/runs, and compare.

    Interrupt it and call it again to go on. The first method is what the others are compared
    with. Raises InputError for what cannot be compared, and the errors of every stage.
    """
    _require_classifier(task)
    names = list(dict.fromkeys(name for name in methods if name != "base"))
    if not names:
        raise InputError("a comparison needs at least one method beside the base network")
    network = None if model_file is None else load_network(model_file)
    recipes = [
        method_recipe(task, name, template=template, epochs=epochs, network=network)
        for name in ("base", *names)
    ]
    splits = data.load(task)
    runs = train_methods(
        task,
        recipes,
        splits,
        out / "runs",
        seed=data.seed,
        model_file=model_file,
        progress=training,
        say=progress or _silent,
    )
    named = {recipe.name: run for recipe, run in zip(recipes, runs, strict=True)}
    return compare(task, named, splits, out, terms, progress=progress)


def compare_runs(
    task: Task,
    runs: Sequence[str],
    data: DataChoice,
    out: Path,
    terms: Terms,
    *,
    progress: Say | None = None,
) -> ComparisonReport:
    """Compare finished runs, given as PATH or NAME=PATH; one of them is the base network's."""
    _require_classifier(task)
    named = name_runs(runs)
    _base_of(named)
    for run in named.values():
        if run.task != task.name:
            raise InputError(f"{run.path} was trained for task {run.task!r}, not for {task.name!r}")
    return compare(task, named, data.load(task), out, terms, progress=progress)


def compare(
    task: Task,
    runs: dict[str, RunFacts],
    data: DataSplits,
    out: Path,
    terms: Terms,
    *,
    progress: Say | None = None,
) -> ComparisonReport:
    """Export `runs` to `out`/bundles, measure them on the same samples, and write comparison.json,
    .md, .html and .svg into `out`."""
    say = progress or _silent
    base_name = _base_of(runs)
    for run in runs.values():
        _require_same_data(run, data)
    order = [base_name, *(name for name in runs if name != base_name)]
    found: list[Contender] = []
    for name in order:
        contender = export_contender(
            name,
            runs[name],
            data,
            out,
            found[0] if found else None,
            max_accuracy_loss=terms.max_accuracy_loss,
            limit=terms.limit,
            say=say,
        )
        found.append(contender.beside(found[0]) if found else contender)
    report = _report(task, data, found, terms, say)
    _write(report, out)
    return report


def name_runs(runs: Sequence[str]) -> dict[str, RunFacts]:
    """Runs by name: NAME=PATH as given, PATH by its recipe, or by its folder when two would be
    called the same."""
    given = [run.partition("=") if not Path(run).exists() else ("", "", run) for run in runs]
    read = [
        (name if separator else "", read_run(Path(path or name))) for name, separator, path in given
    ]
    recipes = Counter(run.recipe.name for name, run in read if not name)
    names = [
        name or (run.recipe.name if recipes[run.recipe.name] == 1 else run.path.name)
        for name, run in read
    ]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"two runs are called {twice[0]!r}: name them, as in fast=runs/ic-2")
    return dict(zip(names, (run for _, run in read), strict=True))


def _report(
    task: Task, data: DataSplits, contenders: list[Contender], terms: Terms, say: Say
) -> ComparisonReport:
    base, *methods = contenders
    base_graph = base.bundle.graphs()[0]
    sizes = {}
    for number, contender in enumerate(contenders):
        say("compiling", number, len(contenders))
        sizes[contender.name] = _sizes(contender, terms.target)
    say("compiling", len(contenders), len(contenders))
    costs = {c.name: flops_costs(c.bundle.graphs(), base_graph) for c in methods}
    first = costs[methods[0].name]
    area_from = min(first.stop[0] / first.reference, 1.0)
    entries, notes, analyses = [], [], []
    for number, contender in enumerate(methods):
        say("benefit curves", number, len(methods))
        added = [a - b for a, b in zip(sizes[contender.name], sizes[base.name], strict=True)]
        fixed = _fixed(contender, costs[contender.name], terms.resamples)
        for policy in dict.fromkeys((contender.policy, *terms.policies)):
            try:
                curve = benefit_curve(
                    contender.outputs[SplitRole.CALIBRATION],
                    contender.outputs[SplitRole.TEST],
                    costs[contender.name],
                    policy,
                    "base",
                    area_from,
                    terms.resamples,
                )
            except InputError as error:
                notes.append(f"{contender.name}, {policy}: {error}")
                continue
            own = policy == contender.policy
            name = contender.name if own else f"{contender.name}, {policy}"
            entries.append(
                Entry(name, curve, *added, group=contender.name, fixed=fixed if own else None)
            )
        without = _without_assistance(contender, methods)
        analyses.append((contender.name, _overthinking(contender, without, base_graph, terms)))
    say("benefit curves", len(methods), len(methods))
    title = f"{task.name} on {data.name}"
    benefit = BenefitReport(title, tuple(entries), terms.resamples, data.synthetic)
    notes += _notes(contenders, benefit, terms.policies)
    return ComparisonReport(
        task.name,
        data.name,
        data.synthetic,
        terms.target,
        tuple(_training(c, base_graph) for c in contenders),
        benefit,
        tuple(analyses),
        tuple(notes),
    )


def _sizes(contender: Contender, target: str) -> tuple[int, int, int]:
    """(parameters, bytes of constants in flash, bytes of arena) of a contender's compiled code."""
    chain = load_chain(contender.bundle.path)
    model = compile_for(chain, target)
    parameters = flops_report(chain.graphs).full.parameters
    return parameters, model.weight_bytes, model.plan.arena_bytes


def _fixed(contender: Contender, costs, resamples: Resamples) -> Evaluation | None:
    """Test figures with the published rule, when it is published with its threshold."""
    rule = FIXED_RULES.get(contender.run.recipe.method)
    if rule is None:
        return None
    test = contender.outputs[SplitRole.TEST]
    policies = tuple(
        rule.to_device(test.outputs[k].shape[1], *test.quant(k)) for k in range(test.exits)
    )
    return evaluate(policies, test, costs, resamples)


def _overthinking(
    contender: Contender, without: Contender | None, base_graph, terms: Terms
) -> Overthinking:
    return analyse_overthinking(
        contender.outputs[SplitRole.TEST],
        flops_costs(contender.bundle.graphs(), base_graph),
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
    wanted = dataclasses.replace(contender.run.recipe, exits=blind, name="").to_json()
    for other in others:
        if dataclasses.replace(other.run.recipe, name="").to_json() == wanted:
            return other
    return None


def _training(contender: Contender, base_graph) -> Training:
    recipe = contender.run.recipe
    costs = flops_costs(contender.bundle.graphs(), base_graph)
    shares = [cost / costs.reference for cost in costs.stop]
    places = tuple(
        f"{spec.at} ({100 * share:.0f} %)"
        for spec, share in zip(recipe.exits, shares, strict=False)
    )
    return Training(
        contender.name,
        recipe.method,
        tuple(spec.head for spec in recipe.exits),
        places,
        contender.run.epochs,
        contender.run.seed,
        contender.policy,
    )


def _notes(
    contenders: list[Contender], benefit: BenefitReport, policies: Sequence[str]
) -> list[str]:
    notes = []
    epochs = {c.name: c.run.epochs for c in contenders}
    if len(set(epochs.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in epochs.items())
        notes.append(f"Not the same training budget; epochs: {listed}.")
    notes += [_gain(policy, benefit) for policy in policies]
    dear = [e.name for e in benefit.entries if min(e.curve.path_costs) >= e.curve.reference_cost]
    if dear:
        notes.append(f"Even the first exit costs more than the base network: {', '.join(dear)}.")
    return notes


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


def _write(report: ComparisonReport, out: Path) -> None:
    document, svg = report.document(), report.svg()
    write_atomic(out / "comparison.svg", svg)
    write_atomic(out / "comparison.md", to_markdown(document, pictures=["comparison.svg"]))
    write_atomic(out / "comparison.html", to_html(document.title, [document], report.data))
    text = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    write_atomic(out / "comparison.json", text)


def _require_classifier(task: Task) -> None:
    if task.kind != "classification":
        raise InputError(
            f"task {task.name!r} is no classification ({task.kind}): exits stop where a class is "
            "sure, so only classifiers can be compared"
        )


def _base_of(runs: dict[str, RunFacts]) -> str:
    names = [name for name, run in runs.items() if not run.has_exits]
    if len(names) != 1 or len(runs) < 2:
        raise InputError(
            "a comparison needs one run of the network without exits, and at least one with; "
            f"got {len(names)} and {len(runs) - len(names)}"
        )
    return names[0]


def _require_same_data(run: RunFacts, data: DataSplits) -> None:
    if (run.data, run.labels) != (data.name, tuple(data.labels)):
        raise InputError(
            f"{run.path} was trained on {run.data!r} with {len(run.labels)} classes; the data "
            f"given are {data.name!r} with {len(data.labels)}: give the same data"
        )


def _silent(what: str, done: int, count: int) -> None:
    pass
