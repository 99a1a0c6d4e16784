"""Training: learns, resumes exactly after a kill, stops on NaN, refuses what does not fit."""

import csv
import dataclasses
import errno
import json
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_task
from trecx.errors import DataError, InputError, TrainingError
from trecx.exits import load_trained, predict, train
from trecx.exits.batches import EpochBatches, read_ahead
from trecx.stages.training import no_empty_folder_left
from trecx.task import ArraySamples, Recipe

# Trains the tiny task in argv[1]; dies by SIGKILL in epoch 3: in the middle of it ("epoch"), or
# while its checkpoint is being written ("checkpoint").
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support import tiny_task
from trecx.exits import train
import trecx.files

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(p):
    if p.epoch == 2 and p.batch == 3:
        die() if sys.argv[2] == "epoch" else setattr(trecx.files.os, "replace", die)

train(tiny_task.TASK, tiny_task.RECIPE, tiny_task.load(), sys.argv[1], seed=7, progress=progress)
"""


def run(folder, recipe=tiny_task.RECIPE, **options):
    options = {"seed": 7, **options}
    return train(tiny_task.TASK, recipe, options.pop("data", tiny_task.load()), folder, **options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(folder)


@pytest.mark.parametrize("moment", ["epoch", "checkpoint"])
def test_kill_and_resume_gives_the_same_weights(tmp_path, uninterrupted, moment):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "r"), moment])
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="no finished training run"):
        load_trained(tmp_path / "r")
    epochs = []
    resumed = run(tmp_path / "r", resume=True, progress=lambda p: epochs.append(p.epoch))
    assert sorted(set(epochs)) == [2, 3]
    _, whole = uninterrupted
    for one, two in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert resumed.history == whole.history


def test_it_learns(tmp_path):
    recipe = dataclasses.replace(tiny_task.RECIPE, epochs=12)
    data = tiny_task.load(train=256)
    trained = run(tmp_path, recipe, data=data)
    outputs = predict(trained.model, data.test)
    assert [np.mean(o.argmax(1) == data.test.labels) > 0.8 for o in outputs] == [True, True]


def test_the_same_seed_gives_the_same_weights(tmp_path, uninterrupted):
    again, other = run(tmp_path / "a"), run(tmp_path / "b", seed=8)
    whole = uninterrupted[1].model.get_weights()
    for one, two in zip(whole, again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(whole[0], other.model.get_weights()[0])


def test_what_is_on_disk(uninterrupted):
    folder, trained = uninterrupted
    loaded = load_trained(folder)
    data = tiny_task.load()
    outputs = [predict(model, data.test) for model in (trained.model, loaded.model)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert loaded.recipe.to_json() == tiny_task.RECIPE.to_json()
    assert (loaded.task, loaded.data, loaded.synthetic) == ("tiny", "tiny stripes", True)
    assert loaded.labels == tiny_task.LABELS
    assert loaded.output_names == ["exit1", "final"]
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert {"loss", "exit1_accuracy", "calibration_final_accuracy"} <= rows[0].keys()
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.npz",
        "log.csv",
        "model.keras",
        "run.json",
    }


def test_finished_run_resumes_to_itself(uninterrupted):
    folder, trained = uninterrupted
    again = run(folder, resume=True, progress=lambda p: pytest.fail("trained again"))
    for one, two in zip(trained.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"learning_rate": 0.02}, r"recipe\.learning_rate was 0\.01, now 0\.02"),
        ({"epochs": 9}, r"recipe\.epochs was 4, now 9"),
        ({"exits": (dataclasses.replace(tiny_task.EXIT, loss_weight=2.0),)}, "recipe.exits"),
    ],
)
def test_resuming_with_another_recipe_is_refused(uninterrupted, change, named):
    with pytest.raises(TrainingError, match=f"cannot be resumed: {named}"):
        run(uninterrupted[0], dataclasses.replace(tiny_task.RECIPE, **change), resume=True)


def test_resuming_with_another_seed_or_data_is_refused(uninterrupted):
    with pytest.raises(TrainingError, match="seed was 7, now 1"):
        run(uninterrupted[0], resume=True, seed=1)
    with pytest.raises(TrainingError, match=r"data\.train was 96, now 64"):
        run(uninterrupted[0], resume=True, data=tiny_task.load(train=64))


def test_resuming_with_other_data_of_the_same_size_is_refused(uninterrupted):
    with pytest.raises(TrainingError, match=r"data\.digest was '\w+', now '\w+'"):
        run(uninterrupted[0], resume=True, data=tiny_task.load(seed=1))


def test_a_checkpoint_need_not_know_what_was_added_since(tmp_path, uninterrupted):
    shutil.copytree(uninterrupted[0], tmp_path, dirs_exist_ok=True)
    stored = dict(np.load(tmp_path / "checkpoint.npz"))
    meta = json.loads(str(stored.pop("meta")))
    del meta["identity"]["data"]["digest"], meta["identity"]["recipe"]["class_balance"]
    np.savez(tmp_path / "checkpoint.npz", meta=np.array(json.dumps(meta)), **stored)
    run(tmp_path, resume=True, progress=lambda p: pytest.fail("trained again"))


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", meta=np.array('{"format": 99}'))
    with pytest.raises(TrainingError, match="another version of trecx: resume with that version"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize("damage", [b"", b"PK garbage", b"\x93NUMPY", "flipped", "cut", "no zip"])
def test_any_damage_to_a_checkpoint_is_named(tmp_path, uninterrupted, damage):
    whole = bytearray((uninterrupted[0] / "checkpoint.npz").read_bytes())
    if damage == "flipped":
        whole[len(whole) // 2] ^= 1
    if damage == "no zip":
        whole[whole.rindex(b"PK\x01\x02") + 10] ^= 99  # the method of compression
    content = whole[:-50] if damage == "cut" else damage if isinstance(damage, bytes) else whole
    (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.npz is not a readable checkpoint: .+"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["model.keras", "run.json", "log.csv"])
def test_files_of_the_user_are_not_overwritten(tmp_path, name, resume):
    (tmp_path / name).write_text("precious")
    with pytest.raises(InputError, match=f"holds {name} but no checkpoint"):
        run(tmp_path, resume=resume)
    assert (tmp_path / name).read_text() == "precious"


def test_data_of_another_shape_are_refused_before_training(tmp_path):
    data = tiny_task.load()
    smaller = dataclasses.replace(data.train, x=data.train.x[:, :4, :4])
    with pytest.raises(DataError, match=r"shape \(8, 8, 1\), the data has \(4, 4, 1\)"):
        run(tmp_path, data=dataclasses.replace(data, train=smaller), tensorboard=True)
    assert not any(tmp_path.iterdir())


def test_a_used_folder_is_not_overwritten(uninterrupted):
    with pytest.raises(InputError, match="already holds a training run"):
        run(uninterrupted[0])


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    data = tiny_task.load()
    epochs_begun = []

    def noise(x, rng):
        return x * np.nan if epochs_begun else x

    poisoned = dataclasses.replace(data.train, augmentations={"noise": noise})
    with pytest.raises(
        TrainingError, match=r"must stay finite: in epoch 2.*learning rate.*epoch 1"
    ):
        run(
            tmp_path,
            data=dataclasses.replace(data, train=poisoned),
            progress=lambda p: epochs_begun.append(p) if p.batch == p.batches else None,
        )
    with np.load(tmp_path / "checkpoint.npz") as file:
        assert json.loads(str(file["meta"]))["epochs_done"] == 1
        assert all(np.all(np.isfinite(file[k])) for k in file.files if k != "meta")


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path, uninterrupted, monkeypatch):
    folder = tmp_path / "r"

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_disk(p):
        if p.epoch == 2:
            monkeypatch.setattr("trecx.files.os.fsync", fail)

    with pytest.raises(TrainingError, match=r"epoch 3 cannot be written.*No space left"):
        run(folder, progress=fill_disk)
    monkeypatch.undo()
    assert {path.name for path in folder.iterdir()} == {"checkpoint.npz", "log.csv"}
    resumed = run(folder, resume=True)
    whole = uninterrupted[1].model.get_weights()
    for one, two in zip(whole, resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("step", "what"), [("write_csv", r"log\.csv"), ("save_trained", "the trained model")]
)
def test_a_full_disk_at_the_end_of_an_epoch_or_of_all(tmp_path, monkeypatch, step, what):
    def fail(*_):
        raise OSError(errno.EFBIG, "File too large")  # what a limit on files' sizes gives

    monkeypatch.setattr(f"trecx.exits.training.{step}", fail)
    with pytest.raises(TrainingError, match=rf"{what} cannot be written: .*too large; .*resume"):
        run(tmp_path, dataclasses.replace(tiny_task.RECIPE, epochs=1))
    monkeypatch.undo()
    run(
        tmp_path,
        dataclasses.replace(tiny_task.RECIPE, epochs=1),
        resume=True,
        progress=lambda p: pytest.fail("trained again"),
    )
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


def test_a_file_where_tensorboards_folder_goes(tmp_path):
    (tmp_path / "tensorboard").write_text("precious")
    with pytest.raises(OSError, match="File exists"):
        run(tmp_path, tensorboard=True)


def test_tensorboard_on_request(tmp_path):
    run(tmp_path, dataclasses.replace(tiny_task.RECIPE, epochs=2), tensorboard=True)
    (events,) = (tmp_path / "tensorboard").iterdir()
    records = list(tf.compat.v1.train.summary_iterator(str(events)))
    seen = {(r.step, value.tag) for r in records for value in r.summary.value}
    assert {(1, "loss"), (2, "loss"), (2, "calibration_exit1_accuracy")} <= seen


def test_progress_counts_and_estimates(tmp_path):
    reports = []
    run(tmp_path, dataclasses.replace(tiny_task.RECIPE, epochs=2), progress=reports.append)
    assert [(p.epoch, p.batch) for p in reports] == [(e, b) for e in (0, 1) for b in range(1, 7)]
    assert {(p.epochs, p.batches) for p in reports} == {(2, 6)}
    assert reports[-1].seconds_left == 0
    assert all(p.seconds_left > 0 for p in reports[:-1])
    assert np.isfinite(reports[-1].figures["loss"])


def test_too_few_samples(tmp_path):
    with pytest.raises(DataError, match="15 samples, batch size 16"):
        run(tmp_path, data=tiny_task.load(train=15))


def test_labels_beyond_the_classes(tmp_path):
    data = dataclasses.replace(tiny_task.load(), labels=("rows", "columns"))
    with pytest.raises(DataError, match="label 2 in the data, but only 2 class names"):
        run(tmp_path, data=data)


def test_unwritable_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        run(tmp_path / "file" / "run")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # Root may write anywhere.
    with pytest.raises(InputError, match=r"cannot be written: no permission for .*run"):
        run(tmp_path / "run", progress=lambda p: pytest.fail("trained before it was noticed"))


def test_base_network_trains_alone(tmp_path):
    recipe = Recipe("base", epochs=1, batch_size=16)
    trained = run(tmp_path, recipe)
    assert trained.output_names == ["final"]
    assert predict(trained.model, tiny_task.load().test)[0].shape == (48, 3)


def test_every_sample_once_an_epoch_in_another_order_each():
    samples = ArraySamples(np.arange(50.0)[:, None], np.arange(50))
    recipe = Recipe("base", batch_size=8)

    def order(seed, epoch):
        batches = EpochBatches(samples, recipe, seed, epoch)
        assert len(batches) == 6
        return np.concatenate([batches[i][1] for i in range(6)]).tolist()

    assert len(set(order(0, 0))) == 48
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_class_balance_draws_rare_classes_more_often():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    samples = ArraySamples(np.arange(100.0)[:, None], labels)

    def drawn(balance, epoch=0):
        recipe = Recipe("base", batch_size=10, class_balance=balance)
        batches = EpochBatches(samples, recipe, 0, epoch)
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        assert np.array_equal(labels[x[:, 0].astype(int)], y)
        return x[:, 0].astype(int), np.bincount(y).tolist()

    assert drawn(0.0)[1] == [80, 15, 5]
    assert drawn(0.5)[1] == [57, 24, 19]
    order, counts = drawn(1.0)
    assert sorted(counts) == [33, 33, 34]
    times = np.bincount(order, minlength=100)
    assert times[:80].max() == 1  # Frequent classes: each sample once or not at all,
    assert set(times[80:95]) == {2, 3} and set(times[95:]) == {6, 7}  # rare ones in turns.
    assert order.tolist() == drawn(1.0)[0].tolist() != drawn(1.0, epoch=1)[0].tolist()
    with pytest.raises(InputError, match=r"class_balance must be in 0\.\.1, got 2"):
        Recipe("base", class_balance=2)


def test_augmentation_does_not_depend_on_the_order_of_batches():
    data = tiny_task.load().train
    one, two = (EpochBatches(data, tiny_task.RECIPE, 0, 3) for _ in range(2))
    forward = [one[i][0] for i in range(len(one))]
    backward = [two[i][0] for i in reversed(range(len(two)))][::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_are_prepared_ahead_and_in_order():
    read, taken = [], []

    def prepare(n):
        read.append(n)
        return n * n

    for value in read_ahead(prepare, 6, ahead=2):
        taken.append(value)
        assert len(read) <= len(taken) + 2
    assert taken == [0, 1, 4, 9, 16, 25]
    assert read == list(range(6))
    assert list(read_ahead(prepare, 0)) == []


def test_what_goes_wrong_in_preparation_is_raised_in_its_place():
    def prepare(n):
        if n == 2:
            raise DataError("a bad file")
        return n

    batches = read_ahead(prepare, 9)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(DataError, match="a bad file"):
        next(batches)


def test_no_thread_outlives_its_epoch(tmp_path):
    def threads():
        return [t for t in threading.enumerate() if t.name.startswith("trecx-batches")]

    batches = read_ahead(lambda n: n, 100)
    next(batches)
    assert len(threads()) == 1
    batches.close()
    assert threads() == []

    def stop(p):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=stop)
    assert threads() == []


def test_a_bad_sample_stops_the_training(tmp_path):
    data = tiny_task.load()

    def unreadable(x, rng):
        raise DataError("file 7 is gone")

    broken = dataclasses.replace(data.train, augmentations={"noise": unreadable})
    with pytest.raises(DataError, match="file 7 is gone"):
        run(tmp_path, data=dataclasses.replace(data, train=broken))


def test_predict_needs_the_models_input_shape(uninterrupted):
    wrong = ArraySamples(np.zeros((4, 9, 9, 1)), np.zeros(4, int))
    with pytest.raises(DataError, match=r"shape \(8, 8, 1\), the data has \(9, 9, 1\)"):
        predict(uninterrupted[1].model, wrong)


def test_an_interrupted_start_leaves_no_empty_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), no_empty_folder_left(tmp_path / "r"):
        (tmp_path / "r").mkdir()
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())
