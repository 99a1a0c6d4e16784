"""Progress displays: a bar on a terminal, one line a stage elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stage_progress(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A callback (what, done, all) that shows one bar for each `what`, on stderr."""
    if quiet:
        yield lambda what, done, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        seen: set[str] = set()

        def line(what: str, done: int, count: int) -> None:
            if what not in seen:
                seen.add(what)
                print(f"{what} ...", file=sys.stderr, flush=True)

        yield line
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, object] = {}

        def update(what: str, done: int, count: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=count)
            bars.update(tasks[what], completed=done, total=count)

        yield update


@contextmanager
def training_progress(quiet: bool = False) -> Iterator[Callable | None]:
    """A callback for trecx.exits.train: one line an epoch, and on a terminal a bar below them."""
    if quiet:
        yield None
        return
    with stage_progress() as update:
        terminal = sys.stderr.isatty()

        def report(state) -> None:
            if terminal:
                update("training", state.epoch * state.batches + state.batch, _all(state))
            if state.batch == state.batches:
                figures = " ".join(f"{k}={v:.4g}" for k, v in state.figures.items())
                print(
                    f"epoch {state.epoch + 1}/{state.epochs} {figures} "
                    f"({_minutes(state.seconds_left)} left)",
                    file=sys.stderr,
                    flush=True,
                )

        yield report


def _all(state) -> int:
    return state.epochs * state.batches


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
