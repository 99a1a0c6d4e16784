"""trecx compile, run: from a bundle to C, and to an emulated board."""

from __future__ import annotations

from pathlib import Path

import click

from trecx.cli.options import (
    compile_options,
    data_options,
    existing_file,
    limit_option,
    output_option,
    path_type,
    print_report,
    quiet_option,
    target_option,
)
from trecx.cli.progress import stage_progress


@click.command(name="compile")
@click.argument("paths", metavar="[NAME=]BUNDLE|MODEL.tflite...", nargs=-1, required=True)
@target_option
@compile_options
@click.option(
    "--shared-arena",
    metavar="NAME",
    help="Name of one arena for several models, which then take turns in it.",
)
@click.option("-o", "--out", type=path_type, required=True, help="Folder of C to write.")
@output_option
def compile_command(paths, target, compiling, shared_arena, out, output):
    """Compile a bundle or an int8 .tflite file to self-contained C for a target.

    Several together share their kernels; NAME is the C prefix of each [default: its task's name].

    \b
    Examples:
      trecx compile ic.bundle --target mps2-an386 -o ic_c
      trecx compile model.tflite --target mps3-an547 --optimize speed -o model_c
      trecx compile ic.bundle words=kws.bundle --shared-arena arena -o both_c
    """
    from trecx import pipeline
    from trecx.stages.compiling import CompileSummary, LibrarySummary

    named = [_named_path(text) for text in paths]
    if len(named) == 1 and shared_arena is None:
        prefix, path = named[0]
        if prefix is not None:
            compiling |= {"prefix": prefix}
        model = pipeline.compile(path, target, out, **compiling)
        print_report(CompileSummary(model, target, str(out)), output)
        return
    if compiling.pop("prefix") is not None:
        raise click.UsageError("--prefix names one model: give NAME=BUNDLE for each")
    models = pipeline.compile_together(named, target, out, shared_arena=shared_arena, **compiling)
    print_report(LibrarySummary(tuple(models), target, str(out), shared_arena), output)


def _named_path(text: str) -> tuple[str | None, Path]:
    """(NAME or None, path) of a word NAME=PATH or PATH; a path that exists may hold a '='."""
    name, separator, path = text.partition("=")
    if not separator or Path(text).exists():
        return None, Path(text)
    return name, Path(path)


@click.command()
@click.argument("path", metavar="BUNDLE|MODEL.tflite", type=path_type)
@target_option
@compile_options
@data_options
@limit_option
@click.option("--input", "input_file", type=existing_file, help="Samples of a .npy file instead.")
@click.option("--labels", "label_file", type=existing_file, help="Their labels, a .npy file.")
@click.option(
    "--oracle",
    type=click.Choice(["interpreter", "tflm", "none"]),
    default="interpreter",
    show_default=True,
    help="What every output is compared with; tflm is TensorFlow Lite Micro itself.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--keep", type=path_type, help="Keep the firmware and its C in this folder.")
@click.option("--sanitize", is_flag=True, help="Host only: find memory errors in the C code.")
@output_option
@quiet_option
def run(
    path,
    target,
    compiling,
    data,
    limit,
    input_file,
    label_file,
    oracle,
    jobs,
    keep,
    sanitize,
    output,
    quiet,
):
    """Run test data on an emulated Cortex-M (or the host) and compare every byte.

    Exits with status 7 when an output differs from the oracle's.

    \b
    Examples:
      trecx run ic.bundle --target mps2-an386 --data cifar-10-batches-bin --samples 1000
      trecx run model.tflite --input x.npy --oracle tflm
    """
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.run(
            path,
            target,
            compiling=compiling,
            data=data,
            limit=limit,
            input_file=input_file,
            label_file=label_file,
            oracle=None if oracle == "none" else oracle,
            jobs=jobs,
            keep=keep,
            sanitize=sanitize,
            progress=progress,
        )
    print_report(report, output)
    if report.exactness is not None and report.exactness.differing:
        from trecx.errors import VerificationError

        raise VerificationError(
            f"{len(report.exactness.differing)} of {report.samples} samples differ from "
            f"{report.exactness.oracle}: this is a bug of trecx, please report it"
        )


COMMANDS = (compile_command, run)
