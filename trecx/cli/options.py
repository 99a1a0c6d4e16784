"""Options that several commands share, and how commands print results."""

from __future__ import annotations

import json
from pathlib import Path

import click

folder_argument = click.Path(path_type=Path)
existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)


def data_options(command):
    """--data, --source, --seed: which data set, and the seed of its split."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything."),
        click.option("--source", help="Data source of the task (default: by --data)."),
        click.option(
            "--data",
            "data_path",
            type=folder_argument,
            help="Folder of the data set; without it the embedded synthetic data are used.",
        ),
    ):
        command = option(command)
    return command


def budget_options(command):
    """How an exit policy is chosen: rule, and budget or threshold."""
    for option in (
        click.option(
            "--max-accuracy-loss",
            type=float,
            help="Budget: points of accuracy that may be lost against the full depth "
            "[default: 1, when no other budget is given].",
        ),
        click.option("--max-macs", type=float, help="Budget: average MACs a sample."),
        click.option("--threshold", type=float, help="A fixed exit threshold, 0..1; no budget."),
        click.option(
            "--policy",
            help="Exit rule: max_softmax, class_gate, entropy, margin or confidence "
            "[default: the one the model was trained for].",
        ),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress display.")
limit_option = click.option(
    "--samples",
    "limit",
    type=click.IntRange(min=1),
    help="Use at most so many samples of each split, evenly spread.",
)


def choice_from(max_accuracy_loss, max_macs, threshold, policy):
    """The trecx.stages.calibrating.Choice that the budget options describe."""
    from trecx.policies.calibration import Budget
    from trecx.stages.calibrating import Choice

    if threshold is not None:
        if max_accuracy_loss is not None or max_macs is not None:
            raise click.UsageError("--threshold is fixed: it does not go with a budget")
        return Choice(threshold=threshold, policy=policy)
    if max_accuracy_loss is None and max_macs is None:
        max_accuracy_loss = 1.0
    return Choice(Budget(max_accuracy_loss, max_macs), policy=policy)


def print_report(report, as_json: bool) -> None:
    """A report with `to_json()` and `document()`, in the form that was asked for."""
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
        return
    from trecx.reports.text import show

    show(report.document())
