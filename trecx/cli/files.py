"""trecx inspect, cut, verify: work on .tflite files and bundles, from wherever they come."""

from __future__ import annotations

import click

from trecx.cli.options import existing_file, output_option, path_type, print_report, quiet_option
from trecx.cli.progress import stage_progress


@click.command()
@click.argument("model", type=existing_file)
@output_option
def inspect(model, output):
    """What a .tflite file holds, where it can be cut, and what is unsupported.

    \b
    Example:
      trecx inspect model.tflite
    """
    from trecx import pipeline

    print_report(pipeline.inspect(model), output)


@click.command()
@click.argument("model", type=existing_file)
@click.option("--at", "tensor", help="Tensor to cut behind (see trecx inspect).")
@click.option(
    "--exit",
    "exits",
    multiple=True,
    help="Exit output of a model with several outputs (repeatable).",
)
@click.option("-o", "--out", type=path_type, required=True, help="Folder for the segments.")
def cut(model, tensor, exits, out):
    """Cut an int8 .tflite file into segments, bit-exact to the whole.

    \b
    Examples:
      trecx cut model.tflite --at block3_relu -o parts
      trecx cut two_outputs.tflite --exit early_softmax -o parts
    """
    from trecx import pipeline

    if (tensor is None) == (not exits):
        raise click.UsageError("give either --at TENSOR or --exit OUTPUT")
    for path in pipeline.cut(model, out, tensor=tensor, exits=exits):
        click.echo(path)


@click.command()
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@click.option("--input", "input_file", type=existing_file, help="int8 samples, a .npy file.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=500, show_default=True, help="If random."
)
@output_option
@quiet_option
def verify(bundle_path, input_file, samples, output, quiet):
    """Re-check a bundle: hashes, and segments = full network = cascade, byte by byte.

    Exits with status 7 when something does not agree.

    \b
    Examples:
      trecx verify ic.bundle
      trecx verify ic.bundle --input samples.npy --json
    """
    from trecx import pipeline
    from trecx.errors import VerificationError

    with stage_progress(quiet) as progress:
        found = pipeline.verify(bundle_path, input_file, samples=samples, progress=progress)
    print_report(found, output)
    if not found.passed:
        raise VerificationError(f"bundle {bundle_path} does not agree with itself: see the table")


COMMANDS = (inspect, cut, verify)
