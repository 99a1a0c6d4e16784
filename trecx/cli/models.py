"""trecx export, calibrate, eval: from a trained run to a calibrated bundle."""

from __future__ import annotations

import click

from trecx.cli.options import (
    budget_options,
    data_options,
    json_option,
    limit_option,
    path_type,
    print_report,
    quiet_option,
)
from trecx.cli.progress import stage_progress


@click.command()
@click.argument("run_dir", metavar="RUN", type=path_type)
@click.option("-o", "--out", type=path_type, required=True, help="Bundle folder to write.")
@data_options
@budget_options
@limit_option
@click.option(
    "--base",
    "base_run",
    type=path_type,
    help="Run of the same network without exits, exported beside for comparison.",
)
@json_option
@quiet_option
def export(run_dir, out, data, choice, limit, base_run, as_json, quiet):
    """Quantise a trained run to int8, cut it at its exits, and write a bundle.

    The exit policy is chosen on the calibration split of the int8 model; the figures that are
    printed are those of the test split, which nothing before has seen.

    \b
    Examples:
      trecx export runs/ic -o ic.bundle --data cifar-10-batches-bin
      trecx export runs/ic -o ic.bundle --data cifar-10-batches-bin --max-accuracy-loss 0.5
      trecx export runs/kws-t-recx -o kws.bundle --threshold 0.9
    """
    from trecx import pipeline
    from trecx.stages.summary import BundleSummary

    with stage_progress(quiet) as progress:
        bundle = pipeline.export(
            run_dir, out, choice, data, base_run=base_run, limit=limit, progress=progress
        )
    print_report(BundleSummary(bundle), as_json)


@click.command()
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@data_options
@budget_options
@limit_option
@json_option
@quiet_option
def calibrate(bundle_path, data, choice, limit, as_json, quiet):
    """Choose a bundle's exit policies anew, from a budget.

    \b
    Examples:
      trecx calibrate ic.bundle --data cifar-10-batches-bin --max-accuracy-loss 2
      trecx calibrate ic.bundle --data cifar-10-batches-bin --max-macs 9e6 --policy class_gate
    """
    from trecx import pipeline
    from trecx.stages.summary import BundleSummary

    with stage_progress(quiet) as progress:
        bundle = pipeline.calibrate(bundle_path, choice, data, limit=limit, progress=progress)
    print_report(BundleSummary(bundle), as_json)


@click.command(name="eval")
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@data_options
@limit_option
@json_option
@quiet_option
def evaluate(bundle_path, data, limit, as_json, quiet):
    """Accuracy, exit rate and cost of a bundle on the test split, by the integer interpreter.

    \b
    Example:
      trecx eval ic.bundle --data cifar-10-batches-bin --samples 1000
    """
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.analysis(bundle_path, data, limit=limit, progress=progress).accuracy()
    print_report(report, as_json)


COMMANDS = (export, calibrate, evaluate)
