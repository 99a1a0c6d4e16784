"""trecx boards, doctor, build, profile, measure, serve, mlperf: what an emulated board tells."""

from __future__ import annotations

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

jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Emulators at a time."
)
preset_option = click.option(
    "--preset", help="Real board to estimate time for (see trecx boards) [default: none]."
)


def _samples_option(default: int):
    return click.option(
        "--samples",
        "limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Samples of the test split, evenly spread.",
    )


@click.command()
@click.argument("path", metavar="[BUNDLE|MODEL.tflite]", type=path_type, required=False)
@compile_options
@output_option
def boards(path, compiling, output):
    """Boards: core, flash, RAM, emulator, and whether a model fits.

    \b
    Examples:
      trecx boards
      trecx boards ic.bundle --optimize speed
    """
    from trecx import pipeline

    print_report(pipeline.boards(path, **compiling), output)


@click.command()
@output_option
def doctor(output):
    """Check compilers, emulator and packages; say what to install.

    Exits with status 4 when something is missing that trecx cannot do without.

    \b
    Example:
      trecx doctor
    """
    from trecx import pipeline
    from trecx.errors import ToolMissingError

    found = pipeline.doctor()
    print_report(found, output)
    if not found.passed:
        names = ", ".join(c.name for c in found.checks if c.required and not c.ok)
        raise ToolMissingError(f"missing: {names}; see what to do above")


@click.command()
@click.argument("path", metavar="BUNDLE|MODEL.tflite", type=path_type)
@target_option
@compile_options
@click.option(
    "--app",
    default="minimal",
    show_default=True,
    metavar="NAME|FILE.c",
    help="minimal, batch, mlperf, or a C file of yours that defines trecx_app.",
)
@click.option("-o", "--out", type=path_type, required=True, help="Folder for the program.")
@output_option
def build(path, target, compiling, app, out, output):
    """Build a firmware: a model with an application, start-up code and linker script.

    \b
    Examples:
      trecx build kws.bundle --target mps2-an386 -o firmware
      trecx build kws.bundle --app mlperf -o device
      trecx build ic.bundle --app main.c -o firmware
    """
    from trecx import pipeline

    print_report(pipeline.build(path, target, out, app, **compiling), output)


@click.command()
@click.argument("path", metavar="BUNDLE|MODEL.tflite", type=path_type)
@target_option
@compile_options
@data_options
@_samples_option(50)
@click.option("--input", "input_file", type=existing_file, help="Samples of a .npy file instead.")
@preset_option
@click.option("--base", is_flag=True, help="The bundle's network without exits too.")
@jobs_option
@output_option
@quiet_option
def profile(path, target, compiling, data, limit, input_file, preset, base, jobs, output, quiet):
    """Executed instructions by path, layer, kernel and line, exact; cycles and time, estimated.

    Without --preset the estimate is for the emulated core with memory that never waits.

    \b
    Examples:
      trecx profile ic.bundle --data cifar-10-batches-bin --base
      trecx profile kws.bundle --target mps2-an386 --preset l4r5
    """
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.profile(
            path,
            target,
            compiling=compiling,
            data=data,
            limit=limit,
            input_file=input_file,
            preset=preset,
            base=base,
            jobs=jobs,
            progress=progress,
        )
    print_report(report, output)


@click.command()
@click.argument("bundle_path", metavar="BUNDLE", type=path_type)
@click.option(
    "--base",
    type=path_type,
    metavar="MODEL.tflite|BUNDLE",
    help="The network without exits [default: the one in the bundle].",
)
@click.option(
    "--board",
    "boards",
    multiple=True,
    help="Only this emulated board (repeatable) [default: all that the networks fit].",
)
@compile_options
@data_options
@_samples_option(200)
@jobs_option
@output_option
@quiet_option
def measure(quiet, output, **options):
    """Base network against early exit on every board: instructions, time, energy.

    Mean, median, 95th percentile and worst of the test samples. Instructions are counted exactly;
    milliseconds and energy are estimates for the real boards with each core (see trecx boards), or
    for the core itself where there is none. Exits with status 7 when outputs differ between boards.

    \b
    Examples:
      trecx measure ic.bundle --data cifar-10-batches-bin
      trecx measure kws.bundle --base kws.tflite --board mps2-an386 --samples 1000
    """
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.measure(**options, progress=progress)
    print_report(report, output)


@click.command()
@click.argument("path", metavar="BUNDLE", type=path_type)
@target_option
@compile_options
@preset_option
@click.option("--pty", "link", type=path_type, help="Name for the serial line, a symbolic link.")
def serve(path, target, compiling, preset, link):
    """Start a bundle as an MLPerf Tiny device in the emulator, behind a pseudo-terminal.

    The benchmark's own runner, or trecx mlperf, opens the printed name as a serial port, at any
    baud rate. Runs until SIGINT (Ctrl-C; exit status 130) or SIGTERM (143), and takes the emulator
    and the name with it.

    \b
    Example:
      trecx serve kws.bundle --pty /tmp/dut
      trecx mlperf accuracy kws.bundle --port /tmp/dut
    """
    from trecx import pipeline

    with pipeline.serve(path, target, link=link, preset=preset, **compiling) as (terminal, time):
        click.echo(f"device: {link or terminal.path}")
        click.echo(f"time: {time}")
        terminal.wait()


@click.group()
def mlperf():
    """The MLPerf Tiny benchmark's host side, against an emulated or a real device.

    \b
    Examples:
      trecx mlperf accuracy kws.bundle --samples 200
      trecx mlperf performance ic.bundle --preset l4r5
    """


def _benchmark_options(command):
    for option in reversed(
        (
            click.argument("path", metavar="BUNDLE", type=path_type),
            click.option(
                "--port",
                type=path_type,
                help="Serial line of a device [default: one in the emulator].",
            ),
            click.option("--baud", type=int, default=115200, show_default=True),
            target_option,
            compile_options,
            preset_option,
            data_options,
            output_option,
            quiet_option,
        )
    ):
        command = option(command)
    return command


@mlperf.command()
@_benchmark_options
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Of the device's time for each of the five runs.",
)
def performance(quiet, output, **options):
    """Inferences a second: the median of five runs."""
    _benchmark("performance", quiet, output, options)


@mlperf.command()
@_benchmark_options
@limit_option
def accuracy(quiet, output, **options):
    """Accuracy (or the area under the curve, for ad) over the serial line."""
    _benchmark("accuracy", quiet, output, options)


def _benchmark(mode, quiet, output, options):
    from trecx import pipeline

    with stage_progress(quiet) as progress:
        report = pipeline.benchmark(mode, **options, progress=progress)
    print_report(report, output)


COMMANDS = (boards, doctor, build, profile, measure, serve, mlperf)
