"""The training loop: epochs, checkpoints, resuming."""

import contextlib
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trecx.errors import DataError, InputError, TrainingError
from trecx.exits import checkpoint, devices
from trecx.exits.batches import EpochBatches
from trecx.exits.checkpoint import Checkpoint
from trecx.exits.graft import EarlyExitModel
from trecx.exits.joint import JointModel, joint_model, output_names
from trecx.exits.logs import EpochLog, Progress, TensorBoardLog, write_csv
from trecx.exits.methods import make_method
from trecx.exits.methods.method import Method
from trecx.exits.trained import (
    MODEL_FILE,
    RUN_FILE,
    TrainedModel,
    predict,
    require_input_shape,
    save_trained,
)
from trecx.task import DataSplits, Recipe, Samples, Task

CHECKPOINT_FILE = "checkpoint.npz"
LOG_FILE = "log.csv"


def train(
    task: Task,
    recipe: Recipe,
    data: DataSplits,
    run_dir: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    base: keras.Model | None = None,
    tensorboard: bool = False,
    all_devices: bool = False,
) -> TrainedModel:
    """Train `task`'s network by `recipe` and write the result to `run_dir`.

    After each epoch `checkpoint.npz` and `log.csv` are replaced atomically. With `resume`, training
    goes on from the checkpoint and gives the weights that an uninterrupted run gives.

    Args:
        base: the network to start from instead of a new one of `task.build`; its layers are
            shared, so its weights change unless the method freezes them.
        progress: called after every batch.
        tensorboard: also write the figures of each epoch for TensorBoard, to
            `run_dir/tensorboard` (needs TensorFlow, whatever backend trains).
        all_devices: share every batch among all accelerators of this machine; see
            `trecx.exits.devices`.

    Raises:
        InputError, DataError: recipe or data do not fit the task, or the folder is in use.
        TrainingError: loss or weights are not finite, or the disk is full (the last good
            checkpoint stays); or `resume` with settings that differ from the checkpoint's.
        ToolMissingError: `tensorboard` without TensorFlow.
    """
    run_dir = Path(run_dir)
    _check(recipe, data, run_dir, resume)
    with devices.all_devices() if all_devices else contextlib.nullcontext(1) as device_count:
        if all_devices and base is not None:
            base = _rebuilt(base)
        identity = _identity(task, recipe, data, seed, base, device_count)
        run = _build(task, recipe, len(data.labels), seed, base)
        require_input_shape(run.model, data.train)
        state = _resumed(run_dir, identity, run) if resume else Checkpoint(identity)
        if state.history:  # it may have ended between checkpoint and log
            _write_log(run_dir, state)
        board = TensorBoardLog(run_dir / "tensorboard" if tensorboard else None)
        log = EpochLog(recipe, len(data.train) // recipe.batch_size, state.epochs_done, progress)
        for epoch in range(state.epochs_done, recipe.epochs):
            figures = _train_epoch(run, data.train, recipe, seed, epoch, log, run_dir)
            figures |= _held_out_quality(run, data.calibration)
            state.history.append({"epoch": epoch + 1, **figures})
            state.epochs_done = epoch + 1
            checkpoint.save(run_dir / CHECKPOINT_FILE, state, run.variables)
            _write_log(run_dir, state)
            board.add(state.history[-1])
    trained = TrainedModel(
        run.network.plain(),
        task.name,
        tuple(data.labels),
        recipe,
        data.name,
        data.synthetic,
        seed,
        run.method.exit_policy,
        state.history,
    )
    with checkpoint.writing("the trained model"):
        save_trained(trained, run_dir)
    return trained


@dataclass(frozen=True)
class _Run:
    """What is being trained; `variables` are all that a checkpoint must hold."""

    method: Method
    network: EarlyExitModel
    model: JointModel

    @property
    def variables(self) -> list:
        return [*self.model.variables, *self.model.optimizer.variables]


def _build(task: Task, recipe: Recipe, classes: int, seed: int, base: keras.Model | None) -> _Run:
    method = make_method(recipe)
    if method.needs_trained_base and base is None:
        raise InputError(
            f"method {recipe.method!r} adds exits to a trained network: give one to start from "
            "(--model)"
        )
    keras.utils.set_random_seed(seed)
    network = method.graft(base if base is not None else task.build(classes), recipe.exits)
    return _Run(method, network, joint_model(network, method, recipe, classes))


def _rebuilt(model: keras.Model) -> keras.Model:
    """A copy whose variables live where new ones are created now."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _resumed(run_dir: Path, identity: dict[str, Any], run: _Run) -> Checkpoint:
    path = run_dir / CHECKPOINT_FILE
    return checkpoint.load(path, identity, run.variables) if path.exists() else Checkpoint(identity)


def _write_log(run_dir: Path, state: Checkpoint) -> None:
    with checkpoint.writing(LOG_FILE):
        write_csv(run_dir / LOG_FILE, state.history)


def _train_epoch(
    run: _Run, samples, recipe, seed, epoch: int, log: EpochLog, run_dir: Path
) -> dict[str, float]:
    model = run.model
    run.method.on_epoch_begin(run.network, epoch, recipe.epochs)
    model.optimizer.learning_rate = recipe.learning_rate_at(epoch)
    model.progress.assign(epoch / recipe.epochs)
    # PyTorch draws dropout from a global state that no checkpoint holds.
    keras.utils.set_random_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    log.begin(epoch)
    try:
        train_on_batches(model, EpochBatches(samples, recipe, seed, epoch), log)
    except FloatingPointError as error:
        raise _not_finite(str(error), recipe, epoch, run_dir) from None
    # A fused ReLU turns NaN into 0: the loss alone does not show weights that are lost.
    for variable in model.trainable_variables:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(variable))):
            raise _not_finite(f"the weights of {variable.path}", recipe, epoch, run_dir)
    return log.means()


def train_on_batches(model: keras.Model, batches: EpochBatches, log: EpochLog) -> None:
    """One step for each batch. Raises `FloatingPointError` at a loss that is not finite."""
    with contextlib.closing(iter(batches)) as prepared:
        # Not model.fit: its way of handing over batches costs these networks a tenth of a step.
        for batch in prepared:
            inputs, labels = devices.shared(batch)
            figures = model.train_on_batch(inputs, labels, return_dict=True)
            if not math.isfinite(figures["loss"]):
                raise FloatingPointError(f"the loss of batch {log.batch + 1}")
            log.add(figures)


def _not_finite(what: str, recipe: Recipe, epoch: int, run_dir: Path) -> TrainingError:
    kept = run_dir / CHECKPOINT_FILE
    rest = f"{kept} holds epoch {epoch}" if kept.exists() else "no epoch was completed"
    return TrainingError(
        f"loss and weights must stay finite: in epoch {epoch + 1}, {what} became NaN or infinite; "
        f"lower the learning rate ({recipe.learning_rate}) or look at the data. {rest}"
    )


def _held_out_quality(run: _Run, samples: Samples) -> dict[str, float]:
    """Quality of every output on samples that are not trained on (for the log only)."""
    outputs = predict(run.model, samples)
    method, classes = run.method, run.model.class_count
    return {
        f"calibration_{name}_{method.figure}": method.quality(output, samples, classes)
        for name, output in zip(output_names(len(outputs) - 1), outputs, strict=True)
    }


def _identity(
    task: Task,
    recipe: Recipe,
    data: DataSplits,
    seed: int,
    base: keras.Model | None,
    device_count: int,
) -> dict[str, Any]:
    """What must not change between a start and its resumption."""
    return {
        "task": task.name,
        "recipe": recipe.to_json(),
        "data": {
            "name": data.name,
            "train": len(data.train),
            "labels": list(data.labels),
            "digest": _digest_of_samples(data.train),
        },
        "seed": seed,
        "base": None if base is None else _digest(base),
        "backend": keras.backend.backend(),
        "devices": device_count,
    }


def _digest_of_samples(samples: Samples) -> str:
    """Hash of all labels and of a few inputs' means, which tells other data of the same size.

    Means to four digits, as features of sound may differ in their last bits between machines.
    """
    some = np.linspace(0, len(samples) - 1, 16).astype(int)
    means = [f"{np.mean(x, dtype=np.float64):.4g}" for x in samples.inputs(some)]
    labels = np.asarray(samples.labels, "<i8").tobytes()
    return hashlib.sha256(labels + ",".join(means).encode()).hexdigest()[:16]


def _digest(model: keras.Model) -> str:
    """Hash of a network's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _check(recipe: Recipe, data: DataSplits, run_dir: Path, resume: bool) -> None:
    if len(data.train) < recipe.batch_size:
        raise DataError(
            f"at least one batch of training samples is needed: {len(data.train)} samples, "
            f"batch size {recipe.batch_size}"
        )
    highest = int(np.max(data.train.labels))
    if highest >= len(data.labels):
        raise DataError(f"label {highest} in the data, but only {len(data.labels)} class names")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the run's folder cannot be written: {error}") from None
    if not os.access(run_dir, os.W_OK | os.X_OK):  # The first checkpoint would find out.
        raise InputError(f"the run's folder cannot be written: no permission for {run_dir}")
    written = (CHECKPOINT_FILE, LOG_FILE, MODEL_FILE, RUN_FILE)
    present = [name for name in written if (run_dir / name).exists()]
    if CHECKPOINT_FILE in present and not resume:
        raise InputError(
            f"{run_dir} already holds a training run; resume it, or choose another folder"
        )
    if present and CHECKPOINT_FILE not in present:  # it would be overwritten
        raise InputError(
            f"{run_dir} holds {' and '.join(present)} but no {CHECKPOINT_FILE} to resume: choose "
            "another folder"
        )
