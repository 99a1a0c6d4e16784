"""trecx compare, search: exit methods side by side, and the search for the best exits."""

from __future__ import annotations

import click

from trecx.cli.options import data_options, json_option, path_type, print_report, quiet_option
from trecx.cli.progress import stage_progress, training_progress

METHODS = "t-recx,t-recx-no-ev,eenet,pteenet,branchynet,sdn"


def _names(ctx, param, value: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command()
@click.argument("task_name", metavar="TASK")
@click.argument("runs", metavar="[[NAME=]RUN]...", nargs=-1)
@data_options
@click.option(
    "--methods",
    callback=_names,
    help=f"Methods, recipes of the task or recipe files, separated by commas [default: {METHODS}].",
)
@click.option("--recipe", "template", help="Recipe whose schedule all methods use.")
@click.option("--epochs", type=click.IntRange(min=1), help="Train so many epochs each.")
@click.option("--model", "model_file", type=path_type, help="Your own Keras classifier.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    help="Exit policy to try on every network beside the published one (repeatable).",
)
@click.option(
    "--max-accuracy-loss",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Points that the bundles' thresholds may lose against the full depth.",
)
@click.option("--samples", "limit", type=click.IntRange(min=1), help="At most so many a split.")
@click.option("--target", default="mps2-an386", show_default=True, help="Board for RAM and flash.")
@click.option("-o", "--out", type=path_type, required=True, help="Folder; finished work is kept.")
@json_option
@quiet_option
def compare(
    task_name,
    runs,
    data,
    methods,
    template,
    epochs,
    model_file,
    policies,
    max_accuracy_loss,
    limit,
    target,
    out,
    as_json,
    quiet,
):
    """Compare exit methods on one task: one table, one picture, JSON.

    Trains every method and the base network on the same data for the same number of epochs, or
    takes finished training runs, one of them without exits. Exports each to int8, chooses
    thresholds on the calibration split, and measures all on the same test samples. The first
    method is what the others are compared with.

    \b
    Examples:
      trecx compare kws --recipe demo -o comparison
      trecx compare ic --data cifar-10-batches-bin --epochs 40 --policy class_gate -o ic-methods
      trecx compare ic runs/ic runs/ic-base sdn=runs/ic-7 --data cifar-10-batches-bin -o three
    """
    from trecx import pipeline
    from trecx.stages.comparing import Terms

    choices = {"template": template, "epochs": epochs, "model_file": model_file}
    if runs and (methods or any(choices.values())):
        raise click.UsageError("finished runs are not trained: give them or --methods, not both")
    with stage_progress(quiet) as progress, training_progress(quiet) as training:
        report = pipeline.compare(
            task_name,
            methods or _names(None, None, METHODS),
            runs,
            data,
            out=out,
            terms=Terms(policies, max_accuracy_loss, limit, target),
            training=training,
            progress=progress,
            **({} if runs else choices),
        )
    print_report(report, as_json)
    if not as_json:
        click.echo(f"written: {out / 'comparison.html'}, .md, .svg, .json")


COMMANDS = (compare,)
