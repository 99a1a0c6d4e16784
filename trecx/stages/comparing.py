"""Compare exit methods: train or load them, export to int8, one table, one picture, JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from trecx.errors import InputError
from trecx.files import write_atomic
from trecx.reports.comparison import ComparisonReport
from trecx.reports.html import to_html
from trecx.reports.text import to_markdown
from trecx.stages.contenders import (
    Contender,
    RunFacts,
    Say,
    Terms,
    export_contender,
    read_run,
    train_methods,
)
from trecx.stages.data import DataChoice
from trecx.stages.exporting import require_same_data
from trecx.stages.recipes import load_network, method_recipe
from trecx.stages.standings import comparison_report
from trecx.task import DataSplits, Task


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
    .md, .html and the pictures into `out`."""
    say = progress or _silent
    base_name = _base_of(runs)
    for run in runs.values():
        require_same_data(run.path, run, data)
    order = [base_name, *(name for name in runs if name != base_name)]
    found: list[Contender] = []
    for name in order:
        base = found[0] if found else None
        contender = export_contender(name, runs[name], data, out, base, terms, say)
        found.append(contender.beside(found[0]) if found else contender)
    report = comparison_report(task, data, found, terms, say)
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


def _write(report: ComparisonReport, out: Path) -> None:
    document, pictures = report.document(), report.pictures()
    for name, svg in pictures.items():
        write_atomic(out / name, svg)
    write_atomic(out / "comparison.md", to_markdown(document, pictures=list(pictures)))
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


def _silent(what: str, done: int, count: int) -> None:
    pass
