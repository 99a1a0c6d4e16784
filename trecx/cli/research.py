"""trecx compare, search: exit methods side by side, and the search for the best exits."""

from __future__ import annotations

import click

from trecx.cli.options import data_options, output_option, path_type, print_report, quiet_option
from trecx.cli.progress import stage_progress, training_progress

METHODS = ("t-recx", "t-recx-no-ev", "eenet", "pteenet", "branchynet", "sdn")


def _names(ctx, param, value: str | None) -> tuple[str, ...]:
    """Names separated by commas; nothing where the option was not given."""
    names = tuple(name.strip() for name in (value or "").split(",") if name.strip())
    if value is not None and not names:
        raise click.BadParameter("at least one method is needed")
    return names


def _rungs(ctx, param, value: str) -> tuple[int, ...]:
    """Numbers of epochs separated by commas."""
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"numbers of epochs such as 2,6 are expected, got {value!r}"
        ) from None


@click.command()
@click.argument("task_name", metavar="TASK")
@click.argument("runs", metavar="[[NAME=]RUN]...", nargs=-1)
@data_options
@click.option(
    "--methods",
    callback=_names,
    help="Methods, recipes of the task or recipe files, separated by commas "
    f"[default: {','.join(METHODS)}].",
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
@output_option
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
    output,
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
    from trecx.stages.contenders import Terms

    choices = {"template": template, "epochs": epochs, "model_file": model_file}
    if runs and (methods or any(choices.values())):
        raise click.UsageError("finished runs are not trained: give them or --methods, not both")
    with stage_progress(quiet) as progress, training_progress(quiet) as training:
        report = pipeline.compare(
            task_name,
            methods or METHODS,
            runs,
            data,
            out=out,
            terms=Terms(policies, max_accuracy_loss, limit, target),
            training=training,
            progress=progress,
            **({} if runs else choices),
        )
    print_report(report, output)
    if not output.as_json:
        click.echo(f"written: {out / 'comparison.html'}, .md, .svg, .json")


@click.command()
@click.argument("task_name", metavar="TASK")
@data_options
@click.option("--recipe", "recipe_name", help="Recipe or .json file whose exit is varied.")
@click.option("--model", "model_file", type=path_type, help="Your own Keras classifier.")
@click.option(
    "--at",
    "places",
    multiple=True,
    help="Layer to try an exit behind (repeatable) [default: every block that can be cut behind].",
)
@click.option(
    "--width",
    "widths",
    type=float,
    multiple=True,
    default=(0.5, 1.0, 2.0),
    show_default=True,
    help="Multiple of the head's channels to try (repeatable).",
)
@click.option(
    "--loss-weight",
    "loss_weights",
    type=float,
    multiple=True,
    default=(0.3, 1.0),
    show_default=True,
    help="Weight of the exit's loss to try (repeatable).",
)
@click.option(
    "--exits",
    "most_exits",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Largest number of exits of a candidate.",
)
@click.option(
    "--max-accuracy-loss",
    type=float,
    help="Budget: points that the exits may cost [default: 1, when there is no other budget].",
)
@click.option("--max-macs", type=float, help="Budget: mean MACs of an inference.")
@click.option("--policy", help="Exit policy [default: the method's own].")
@click.option(
    "--rungs",
    callback=_rungs,
    default="2,6",
    show_default=True,
    help="Epochs of each round; the better candidates go on to the next.",
)
@click.option(
    "--keep",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the candidates that goes on.",
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["serial", "processes", "dask"]),
    default="serial",
    show_default=True,
    help="Where trials run; dask needs the package distributed.",
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--scheduler", help="Address of a running Dask scheduler (with --engine dask).")
@click.option("-o", "--out", type=path_type, required=True, help="Folder; finished trials stay.")
@output_option
@quiet_option
def search(
    task_name,
    data,
    recipe_name,
    model_file,
    places,
    widths,
    loss_weights,
    most_exits,
    max_accuracy_loss,
    max_macs,
    policy,
    rungs,
    keep,
    engine_name,
    workers,
    scheduler,
    out,
    output,
    quiet,
):
    """Search for the best exits: places, head sizes and loss weights, under a budget.

    Trains every candidate for a short time, the better ones for longer, and keeps the Pareto front
    of accuracy against mean cost. Interrupt it and call it again to go on. The recipe of the choice
    is written to choice.json.

    \b
    Examples:
      trecx search kws --recipe demo -o kws-search
      trecx search ic --data cifar-10-batches-bin --at stem_relu --at stack1_relu -o ic-search
      trecx search ic --data cifar-10-batches-bin --max-macs 8e6 --engine processes -o ic-search
      trecx train ic --recipe ic-search/choice.json --data cifar-10-batches-bin
    """
    from trecx import pipeline
    from trecx.search import Settings
    from trecx.stages.searching import Space

    if max_accuracy_loss is None and max_macs is None:
        max_accuracy_loss = 1.0
    with stage_progress(quiet) as progress:
        report = pipeline.search(
            task_name,
            data,
            out=out,
            space=Space(places, widths, loss_weights, most_exits),
            settings=Settings(rungs, keep, max_accuracy_loss, max_macs),
            recipe_name=recipe_name,
            policy=policy,
            model_file=model_file,
            engine=_engine(engine_name, workers, scheduler),
            progress=progress,
        )
    print_report(report, output)
    if not output.as_json:
        click.echo(f"written: {out / 'search.html'}, .md, .svg, report.json, choice.json")


def _engine(name: str, workers: int, scheduler: str | None):
    from trecx.search import DaskEngine, ProcessEngine, SerialEngine

    if scheduler is not None and name != "dask":
        raise click.UsageError("--scheduler goes with --engine dask")
    if name == "serial":
        return SerialEngine()
    return ProcessEngine(workers) if name == "processes" else DaskEngine(scheduler, workers)


COMMANDS = (compare, search)
