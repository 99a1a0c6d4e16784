"""What a training run says about itself: progress, log.csv, TensorBoard."""

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

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


class BatchWatcher(keras.callbacks.Callback):
    """Stops at a loss that is not finite, and reports progress with the time left.

    bad_batch: number of the batch whose loss was not finite, from 0; None if there was none.
    """

    def __init__(self, recipe: Recipe, batches: int, epochs_done: int, report: Callable | None):
        super().__init__()
        self.recipe, self.batches, self.report = recipe, batches, report
        self.first_epoch = self.epoch = epochs_done
        self.started = time.monotonic()
        self.bad_batch: int | None = None

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.bad_batch = batch
            self.model.stop_training = True
        if self.report is not None:
            done = (self.epoch - self.first_epoch) * self.batches + batch + 1
            left = (self.recipe.epochs - self.first_epoch) * self.batches - done
            seconds = (time.monotonic() - self.started) / done * left
            figures = {name: float(value) for name, value in logs.items()}
            self.report(
                Progress(self.epoch, self.recipe.epochs, batch + 1, self.batches, seconds, figures)
            )


def write_csv(path: Path, history: list[dict[str, float]]) -> None:
    """Write one row an epoch, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]))
    writer.writeheader()
    writer.writerows(history)
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
