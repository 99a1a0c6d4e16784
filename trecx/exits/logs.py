"""What a training run says about itself: progress, log.csv, TensorBoard."""

import csv
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trecx.errors import ToolMissingError
from trecx.files import write_atomic
from trecx.task import Recipe


@dataclass(frozen=True)
class Progress:
    """Where a training run stands; epochs count from 0, `seconds_left` estimates the whole rest."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    seconds_left: float
    figures: dict[str, float]


Report = Callable[[Progress], None]


class EpochLog:
    """Averages an epoch's figures over its batches, and reports progress with the time left.

    report: called after every batch, if given. batch: how many batches of the epoch are done.
    """

    def __init__(self, recipe: Recipe, batches: int, epochs_done: int, report: Report | None):
        self.epochs, self.batches, self.report = recipe.epochs, batches, report
        self.first_epoch = epochs_done
        self.started = time.monotonic()
        self.begin(epochs_done)

    def begin(self, epoch: int) -> None:
        self.epoch, self.batch = epoch, 0
        self.sums: dict[str, float] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        """Figures of the next batch; all batches are of one size."""
        self.batch += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        if self.report is not None:
            done = (self.epoch - self.first_epoch) * self.batches + self.batch
            left = (self.epochs - self.first_epoch) * self.batches - done
            seconds = (time.monotonic() - self.started) / done * left
            self.report(
                Progress(self.epoch, self.epochs, self.batch, self.batches, seconds, self.means())
            )

    def means(self) -> dict[str, float]:
        """Of the epoch so far."""
        return {name: value / self.batch for name, value in self.sums.items()}


def write_csv(path: Path, history: list[dict[str, float]]) -> None:
    """Write one row an epoch, atomically; a file that has them already stays as it is."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    if not path.exists() or path.read_bytes() != text.getvalue().encode():
        write_atomic(path, text.getvalue())


class TensorBoardLog:
    """Writes each epoch's figures as scalars; does nothing without a folder."""

    def __init__(self, folder: Path | None):
        self.writer = None
        if folder is None:
            return
        try:
            import tensorflow as tf
        except ImportError:
            raise ToolMissingError(
                "TensorBoard logs need TensorFlow: pip install 'trecx[train]', or use log.csv"
            ) from None
        folder.mkdir(parents=True, exist_ok=True)  # TensorFlow's own error is none of a file's
        self.tf = tf
        self.writer = tf.summary.create_file_writer(str(folder))

    def add(self, figures: dict[str, float]) -> None:
        if self.writer is None:
            return
        values = [{"tag": k, "simple_value": v} for k, v in figures.items() if k != "epoch"]
        message = self.tf.compat.v1.Summary(value=values)
        with self.writer.as_default():
            # Not tf.summary.scalar, which needs TensorBoard itself to be installed.
            self.tf.summary.experimental.write_raw_pb(
                message.SerializeToString(), step=figures["epoch"]
            )
        self.writer.flush()
