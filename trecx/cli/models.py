"""trecx export, calibrate, eval: from a trained run to a calibrated bundle."""

from __future__ import annotations

import click

from trecx.cli.options import (
    budget_options,
    compile_options,
    data_options,
    limit_option,
    output_option,
    path_type,
    print_report,
    quiet_option,
    target_option,
)
from trecx.cli.progress import stage_progress

BUNDLE, TFLM = "bundle", "tflm"
PACKAGES = ("c", "cmake", "arduino", "zephyr", "cmsis-pack")


@click.command()
@click.argument("path", metavar="RUN|BUNDLE|MODEL.tflite", type=path_type)
@click.option("-o", "--out", type=path_type, required=True, help="Folder to write.")
@click.option(
    "--format",
    "kind",
    type=click.Choice([BUNDLE, TFLM, *PACKAGES]),
    default=BUNDLE,
    show_default=True,
    help="bundle takes a RUN; tflm a BUNDLE; the others compile a BUNDLE or a MODEL.tflite.",
)
@data_options
@budget_options
@limit_option
@click.option(
    "--base",
    "base_run",
    type=path_type,
    help="Run of the same network without exits, exported beside for comparison.",
)
@target_option
@compile_options
@click.option("--package-version", default="1.0.0", show_default=True, help="Of a package.")
@output_option
@quiet_option
def export(
    path,
    out,
    kind,
    data,
    choice,
    limit,
    base_run,
    target,
    compiling,
    package_version,
    output,
    quiet,
):
    """Quantise a trained run to a bundle; or pack a bundle for a build system.

    A bundle (data and budget options): the run is quantised to int8 and cut at its exits. The exit
    policy is chosen on the calibration split of the int8 model; the figures that are printed are
    those of the test split, which nothing before has seen.

    A package (target and compiler options): self-contained C for that target's core, with the
    files that CMake, Arduino, Zephyr or CMSIS tools expect; or, as tflm, the bundle's models as C
    arrays with example code for TensorFlow Lite Micro.

    \b
    Examples:
      trecx export runs/ic -o ic.bundle --data cifar-10-batches-bin
      trecx export runs/ic -o ic.bundle --data cifar-10-batches-bin --max-accuracy-loss 0.5
      trecx export runs/kws-t-recx -o kws.bundle --threshold 0.9
      trecx export ic.bundle --format arduino --target mps2-an386 -o trecx_ic
      trecx export ic.bundle --format tflm -o ic_tflm
    """
    from trecx import pipeline

    if kind == TFLM:
        _export_tflm(path, out, compiling["prefix"], output)
        return
    if kind != BUNDLE:
        found = pipeline.package(path, target, out, kind, package_version, **compiling)
        print_report(found, output)
        return
    from trecx.stages.summary import BundleSummary

    with stage_progress(quiet) as progress:
        bundle = pipeline.export(
            path, out, choice, data, base_run=base_run, limit=limit, progress=progress
        )
    print_report(BundleSummary(bundle), output)


def _export_tflm(bundle_path, out, prefix, output):
    from trecx import pipeline
    from trecx.stages.summary import TflmSummary

    models = pipeline.export_tflm(bundle_path, out, prefix)
    print_report(TflmSummary(tuple(models), str(out)), output)


@click.command()
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@data_options
@budget_options
@limit_option
@output_option
@quiet_option
def calibrate(bundle_path, data, choice, limit, output, quiet):
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
    print_report(BundleSummary(bundle), output)


@click.command(name="eval")
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@data_options
@limit_option
@output_option
@quiet_option
def evaluate(bundle_path, data, limit, output, quiet):
    """Accuracy, exit rate and cost of a bundle on the test split, by the integer interpreter.

    \b
    Example:
      trecx eval ic.bundle --data cifar-10-batches-bin --samples 1000
    """
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.analysis(bundle_path, data, limit=limit, progress=progress).accuracy()
    print_report(report, output)


COMMANDS = (export, calibrate, evaluate)
