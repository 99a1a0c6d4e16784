"""The `trecx` command: its groups, and how errors reach the user."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points

import click

from trecx import __version__
from trecx.cli import boards, deploy, files, models, reports, training
from trecx.errors import TrecxError


class _OneLineErrors(click.Group):
    """Prints a TrecxError as one line and exits with its code; other exceptions are bugs."""

    def main(self, *args, **kwargs):
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
            sys.exit(result if isinstance(result, int) else 0)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(130)
        except TrecxError as error:
            _fail(str(error), error.exit_code)
        except BrokenPipeError:
            # The reader of our output has gone; Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except OSError as error:
            if error.filename is None:
                raise
            _fail(f"{error.filename}: {error.strerror}", 2)

    def resolve_command(self, ctx, args):
        """As click's, with the nearest command named when there is no such one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if close:
                error.message += f" Did you mean {close[0]!r}?"
            raise


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


# TensorFlow reads this when it is first imported; its remarks would drown ours.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trecx")
def main() -> None:
    """Early-exit TinyML models: from Keras to bit-exact C on a Cortex-M.

    \b
    The pipeline, stage after stage:
      trecx train ic --data cifar-10-batches-py   train a network with an early exit
      trecx export runs/ic -o ic.bundle           quantise to int8, cut at the exit, calibrate
      trecx compile ic.bundle --target mps2-an386 -o ic_c
      trecx run ic.bundle --target mps2-an386     run test data on the emulated Cortex-M
      trecx report flops ic.bundle                what the exit costs and what it gains

    `trecx demo` does all of it on embedded synthetic data in a few minutes.
    """


for module in (training, models, deploy, files, boards, reports):
    for command in module.COMMANDS:
        main.add_command(command)
for point in entry_points(group="trecx.commands"):  # what installed packages add
    for command in point.load():
        main.add_command(command)
