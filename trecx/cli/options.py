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


def print_report(report, as_json: bool) -> None:
    """A report dataclass with `to_json()` and `to_text()`, in the form that was asked for."""
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.to_text())
