"""The `trecx` command: its groups, and how errors reach the user."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points

import click

from trecx import __version__
from trecx.cli import boards, deploy, files, models, reports, research, training
from trecx.errors import TrecxError, TrecxWarning


class _OneLineErrors(click.Group):
    """Prints what the user did wrong as one line and exits with its code.

    Any other exception is a bug and keeps its traceback.
    """

    def main(self, *args, **kwargs):
        kwargs["standalone_mode"] = False
        # A file's name need not be text in any encoding.
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.reconfigure(errors="backslashreplace")
        try:
            with _one_line_warnings(), _orderly_end():
                result = super().main(*args, **kwargs)
            sys.exit(result if isinstance(result, int) else 0)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.UsageError as error:
            help_hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            _fail(error.format_message().rstrip(".") + help_hint, error.exit_code)
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(130)
        except TrecxError as error:
            _fail(str(error), error.exit_code)
        except OSError as error:
            if error.filename is not None:
                _fail(f"{error.filename}: {error.strerror}", 2)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                _fail(f"{error.strerror}: what was being written is removed", 2)
            raise


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {_one_line(message)}", err=True)
    sys.exit(code)


def _one_line(message: str) -> str:
    return " ".join(message.split())


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Warnings of trecx as plain lines, without the source lines; those of libraries, which the
    user can do nothing about, not at all. `python -W` turns this off."""
    if sys.warnoptions:
        yield
        return

    def show(message, category, filename, lineno, file=None, line=None):
        click.echo(f"warning: {_one_line(str(message))}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", TrecxWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _orderly_end() -> Iterator[None]:
    """SIGTERM and SIGHUP leave as SIGINT does: emulators, links and temporary folders go too.

    The exit status is 128 and the signal's number, as a shell has it. A signal that the caller
    ignores (nohup) stays ignored.
    """

    def leave(number, _frame):
        sys.exit(128 + number)

    caught = []
    if threading.current_thread() is threading.main_thread():
        wanted = (signal.SIGTERM, signal.SIGHUP)
        caught = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


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


for module in (training, models, deploy, files, boards, reports, research):
    for command in module.COMMANDS:
        main.add_command(command)
for point in entry_points(group="trecx.commands"):  # what installed packages add
    for command in point.load():
        main.add_command(command)
