"""trecx report ...: what an exit costs and what it gains; trecx demo."""

from __future__ import annotations

import click

from trecx.cli.options import (
    Output,
    compile_options,
    data_options,
    limit_option,
    output_option,
    path_type,
    print_report,
    quiet_option,
    seed_option,
    target_option,
)
from trecx.cli.progress import stage_progress


@click.group()
def report() -> None:
    """Reports: operations, memory, accuracy, benefit curve, overthinking.

    \b
    Examples:
      trecx report flops ic.bundle
      trecx report memory ic.bundle --target mps2-an386
      trecx report benefit ic.bundle --data cifar-10-batches-bin --json
    """


@report.command()
@click.argument("path", metavar="BUNDLE|MODEL|RUN", type=path_type)
@click.option("--base", type=path_type, help="The network without exits, to compare with.")
@output_option
def flops(path, base, output):
    """Operations by layer, segment and path, and the exit's break-even rate.

    Takes a bundle, a .tflite file, a training run, or a Keras model (.keras, .h5).

    \b
    Examples:
      trecx report flops ic.bundle
      trecx report flops runs/ic --base runs/ic-base --json
    """
    from trecx import pipeline

    print_report(pipeline.flops(path, base), output)


@report.command()
@click.argument("path", metavar="BUNDLE|MODEL.tflite", type=path_type)
@target_option
@compile_options
@output_option
def memory(path, target, compiling, output):
    """The arena over time, buffer by buffer, with its lower bound."""
    from trecx import pipeline

    found = pipeline.memory(path, target, **compiling)
    print_report(found, output)


def _analysis_options(command):
    for option in (
        click.argument("bundle_path", metavar="BUNDLE", type=path_type),
        data_options,
        limit_option,
        output_option,
        quiet_option,
    ):
        command = option(command)
    return command


@report.command()
@_analysis_options
def accuracy(bundle_path, data, limit, output, quiet):
    """Accuracy and exit rate of the calibrated policy on the test split."""
    _analyse(bundle_path, data, limit, quiet, output, lambda a: a.accuracy())


def _policy_names(_ctx, _param, value: str) -> tuple[str, ...]:
    from trecx.policies import family

    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        family(name)
    return names


@report.command()
@_analysis_options
@click.option(
    "--policies",
    default="max_softmax,class_gate",
    callback=_policy_names,
    show_default=True,
    help="Exit policies to compare, separated by commas.",
)
def benefit(bundle_path, data, limit, output, quiet, policies):
    """Accuracy against average cost for every threshold.

    Thresholds are chosen on the calibration split and reported on the test split.
    """
    _analyse(bundle_path, data, limit, quiet, output, lambda a: a.benefit(policies))


@report.command()
@_analysis_options
@click.option(
    "--without",
    type=path_type,
    help="Bundle of the same network trained without exit assistance, to measure what that does.",
)
def overthinking(bundle_path, data, limit, output, quiet, without):
    """What the early exit gets right and the full network wrong, and what recovers it."""
    _analyse(bundle_path, data, limit, quiet, output, lambda a: a.overthinking(without))


def _analyse(bundle_path, data, limit, quiet, output, what):
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        found = what(pipeline.analysis(bundle_path, data, limit=limit, progress=progress))
    print_report(found, output)


@click.command()
@click.option(
    "-o", "--out", type=path_type, default="trecx-demo", show_default=True, help="Folder."
)
@click.option("--task", default="kws", show_default=True, help="Which task: ic, kws or vww.")
@click.option("--target", default="mps2-an386", show_default=True, help="Board to emulate.")
@seed_option
@quiet_option
def demo(out, task, target, seed, quiet):
    """The whole pipeline on embedded synthetic data, in a few minutes.

    Trains the task's network with an early exit and without, quantises, cuts, calibrates, compiles,
    runs test samples on the emulated Cortex-M, compares every byte with TensorFlow Lite Micro when
    it is installed, and writes a report page.

    \b
    Examples:
      trecx demo
      trecx demo --task ic --target mps3-an547 -o ic-demo
    """
    from trecx.cli.progress import training_progress
    from trecx.stages.demo import run_demo

    with stage_progress(quiet) as progress, training_progress(quiet) as training:
        for document in run_demo(out, task, target, seed, progress, training):
            print_report(document, Output(as_json=False, html=None))


COMMANDS = (report, demo)
