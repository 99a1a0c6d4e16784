"""trecx train."""

from __future__ import annotations

from pathlib import Path

import click

from trecx.cli.options import data_options, path_type


@click.command()
@click.argument("task_name", metavar="TASK")
@data_options
@click.option(
    "--recipe",
    "recipe_name",
    help="Recipe of the task, or a .json file with one [default: the task's own].",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Train so many epochs instead.")
@click.option(
    "--model",
    "model_file",
    type=path_type,
    help="Start from your own Keras classifier (.keras or .h5) instead of the task's network.",
)
@click.option(
    "--at",
    "exit_at",
    multiple=True,
    help="Layer after which an exit goes, instead of the recipe's places (repeatable).",
)
@click.option(
    "-o", "--out", "run_dir", type=path_type, help="Run folder [default: runs/TASK-RECIPE]."
)
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint.")
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too, in the run folder.")
@click.option("--all-devices", is_flag=True, help="Spread each batch over all of Keras's devices.")
@click.option("--quiet", is_flag=True, help="No progress display.")
def train(
    task_name,
    data,
    recipe_name,
    epochs,
    model_file,
    exit_at,
    run_dir,
    resume,
    tensorboard,
    all_devices,
    quiet,
):
    """Train a network with an early exit, jointly.

    TASK is ic, kws, vww or ad, or one that an installed package registers. Without --data the
    embedded synthetic data are used, and every later report says so.

    \b
    Examples:
      trecx train ic --data cifar-10-batches-bin --epochs 40 -o runs/ic
      trecx train ic --recipe base -o runs/ic-base
      trecx train kws --data speech_commands_v2 --resume
      trecx train ic --model my.keras --recipe pteenet --at block2 --at block4
    """
    from trecx import pipeline
    from trecx.cli.progress import training_progress

    with training_progress(quiet) as progress:
        trained = pipeline.train(
            task_name,
            data,
            recipe_name=recipe_name,
            epochs=epochs,
            model_file=model_file,
            exit_at=exit_at,
            run_dir=run_dir,
            resume=resume,
            progress=progress,
            tensorboard=tensorboard,
            all_devices=all_devices,
        )
    folder = run_dir or Path("runs") / f"{task_name}-{trained.recipe.name}"
    last = trained.history[-1] if trained.history else {}
    figures = ", ".join(
        f"{key.removeprefix('calibration_')} {value:.1%}"
        for key, value in last.items()
        if key.startswith("calibration_")
    )
    label = " (synthetic data)" if trained.synthetic else ""
    click.echo(f"trained on {trained.data}{label}: {figures}")
    click.echo(f"next: trecx export {folder} -o {task_name}.bundle{data.command_line()}")


COMMANDS = (train,)
