"""Options that several commands share, gathered into one argument each, and printing."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import click

path_type = click.Path(path_type=Path)
existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)

quiet_option = click.option("--quiet", is_flag=True, help="No progress display.")
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all."
)
limit_option = click.option(
    "--samples",
    "limit",
    type=click.IntRange(min=1),
    help="Use at most so many samples of each split, evenly spread.",
)


def _gathered(options: dict[str, object], name: str, build):
    """A decorator that adds click options and hands them to the command as one argument.

    options: parameter name -> click option. build: makes the argument `name` from their values.
    """

    def decorate(command):
        @functools.wraps(command)
        def call(*args, **kwargs):
            values = {key: kwargs.pop(key) for key in options}
            return command(*args, **{name: build(**values)}, **kwargs)

        for option in reversed(options.values()):
            call = option(call)
        return call

    return decorate


def _data(data_path, source, data_option, strict, seed):
    from trecx.stages.data import DataChoice

    return DataChoice(data_path, source, seed, dict(data_option), strict)


class _KeyValue(click.ParamType):
    """NAME=VALUE; a value that is JSON (a number, true) is taken as such, else as text."""

    name = "NAME=VALUE"

    def convert(self, value, param, ctx):
        key, separator, text = value.partition("=")
        if not separator or not key:
            self.fail(f"expected NAME=VALUE, got {value!r}", param, ctx)
        try:
            return key.replace("-", "_"), json.loads(text)
        except ValueError:
            return key.replace("-", "_"), text


data_options = _gathered(
    {
        "data_path": click.option(
            "--data",
            "data_path",
            type=path_type,
            help="Folder of the data set; without it the embedded synthetic data are used.",
        ),
        "source": click.option("--source", help="Data source of the task [default: by --data]."),
        "data_option": click.option(
            "--data-option",
            type=_KeyValue(),
            multiple=True,
            help="Option of the data source, such as words=zero,one (repeatable).",
        ),
        "strict": click.option(
            "--strict", is_flag=True, help="Stop at an unusable data file; else a few are skipped."
        ),
        "seed": seed_option,
    },
    "data",
    _data,
)


def _choice(max_accuracy_loss, max_macs, max_instructions, count_on, guarantee, threshold, policy):
    from trecx.policies.calibration import Budget
    from trecx.stages.calibrating import Choice

    costs = [cost for cost in (max_macs, max_instructions) if cost is not None]
    if threshold is not None:
        if costs or (max_accuracy_loss, guarantee) != (None, None):
            raise click.UsageError("--threshold is fixed: it does not go with a budget")
        return Choice(threshold=threshold, policy=policy)
    if len(costs) == 2:
        raise click.UsageError("give either --max-macs or --max-instructions")
    if max_accuracy_loss is None and not costs:
        max_accuracy_loss = 1.0
    budget = Budget(max_accuracy_loss, costs[0] if costs else None, guarantee=guarantee)
    return Choice(budget, policy=policy, target=None if max_instructions is None else count_on)


budget_options = _gathered(
    {
        "max_accuracy_loss": click.option(
            "--max-accuracy-loss",
            type=float,
            help="Budget: points of accuracy that may be lost against the full depth "
            "[default: 1, when no other budget is given].",
        ),
        "max_macs": click.option("--max-macs", type=float, help="Budget: average MACs a sample."),
        "max_instructions": click.option(
            "--max-instructions",
            type=float,
            help="Budget: average instructions a sample, counted on the board --count-on.",
        ),
        "count_on": click.option(
            "--count-on",
            default="mps2-an386",
            show_default=True,
            help="Board (see trecx boards) of --max-instructions.",
        ),
        "guarantee": click.option(
            "--guarantee",
            type=float,
            help="Probability with which the accuracy loss must hold on new data, such as 0.95.",
        ),
        "threshold": click.option(
            "--threshold", type=float, help="A fixed exit threshold, 0..1; no budget."
        ),
        "policy": click.option(
            "--policy",
            help="Exit rule: max_softmax, class_gate, entropy, margin or confidence "
            "[default: the bundle's; of a new one, that of the training method].",
        ),
    },
    "choice",
    _choice,
)


def _compiling(optimize, flash_budget, prefix):
    if flash_budget is not None and optimize != "speed":
        raise click.UsageError("--flash-budget limits --optimize speed: give that too")
    return {"optimize": optimize, "flash_budget": flash_budget, "prefix": prefix}


compile_options = _gathered(
    {
        "optimize": click.option(
            "--optimize",
            type=click.Choice(["size", "balanced", "speed"]),
            default="balanced",
            show_default=True,
            help="Spend flash: least; weights at int8 size; widened weights for speed.",
        ),
        "flash_budget": click.option(
            "--flash-budget",
            type=click.IntRange(min=0),
            help="Largest bytes of packed weights and tables (with --optimize speed).",
        ),
        "prefix": click.option("--prefix", help="C prefix of all names [default: the task's]."),
    },
    "compiling",
    _compiling,
)
target_option = click.option(
    "--target",
    default="mps2-an386",
    show_default=True,
    help="Board (see trecx boards), host, or (run only) host-tflite.",
)


@dataclass(frozen=True)
class Output:
    """How a report is wanted: as JSON or as text, and as a page in a file beside that."""

    as_json: bool
    html: Path | None


output_option = _gathered(
    {
        "as_json": click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        "html": click.option(
            "--html", type=path_type, help="Write a page with pictures to this file too."
        ),
    },
    "output",
    Output,
)


def print_report(report, output: Output) -> None:
    """A report with `to_json()` and `document()`, in the form that was asked for."""
    if output.html is not None:
        _write_page(report.document(), output.html)
    if output.as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
        return
    from trecx.reports.text import show

    show(report.document())


def _write_page(document, path: Path) -> None:
    from trecx import __version__
    from trecx.files import write_atomic
    from trecx.reports.html import to_html

    write_atomic(path, to_html(document.title, [document], f"Made by trecx {__version__}."))
