"""Every stage once on a quickly trained kws network: train, export, calibrate, compile, run.

The data are the synthetic words, few of them, so accuracies are low; what is tested is that the
stages agree with each other, byte by byte and figure by figure.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from mlperf_tiny.tasks import KWS
from tests.support.speech_tree import WORDS, speech_tree
from trecx.bundle import read_bundle
from trecx.cli import main
from trecx.ir.interpreter import run_graph
from trecx.stages.outputs import quantise
from trecx.targets.boards import list_boards
from trecx.task import find_task

COUNTS = {"train": 360, "calibration": 160, "test": 120}
DATA = [f"--data-option={name}={count}" for name, count in COUNTS.items()]
EPOCHS = 9
# Small batches: the running averages of batch normalisation need many steps.
RECIPE = dataclasses.replace(KWS.recipes["demo"], name="quick", batch_size=8, epochs=EPOCHS)
BASE = dataclasses.replace(RECIPE, name="quick-base", method="base", exits=(), epochs=2)
BUDGET = 3  # points of accuracy
CAPACITY, VERIFICATION = 3, 7


def invoke(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def trecx(*words):
    done = invoke(*words)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def report(*words):
    return json.loads(trecx(*words, "--json"))


def refused(*words):
    """The one line that a command ends with."""
    done = invoke(*words)
    assert done.exit_code == 2 and done.stderr.startswith("error: "), done.output
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of the network with and without an exit, and the bundle of both."""
    found = tmp_path_factory.mktemp("pipeline")
    for recipe, run in ((RECIPE, "run"), (BASE, "base-run")):
        (found / f"{recipe.name}.json").write_text(json.dumps(recipe.to_json()))
        line = ["--recipe", found / f"{recipe.name}.json", "--quiet", *DATA, "-o", found / run]
        trecx("train", "kws", *line)
    export(found, found / "kws.bundle")
    return found


def export(folder, out):
    budget = ["--max-accuracy-loss", BUDGET, "--quiet", *DATA]
    trecx("export", folder / "run", "--base", folder / "base-run", *budget, "-o", out)


@pytest.fixture(scope="module")
def bundle(folder):
    return read_bundle(folder / "kws.bundle")


@pytest.fixture(scope="module")
def test_split():
    return find_task("kws").load_data(**COUNTS).test


@pytest.fixture(scope="module")
def exiting(folder, bundle, test_split, tmp_path_factory):
    """The bundle with a threshold that half of the test samples reach: both paths are taken."""
    stem = bundle.graphs()[0]
    output = stem.outputs[0]
    early = run_graph(stem, [quantise(test_split.inputs(slice(None)), stem)])[0]
    threshold = (np.median(early.max(axis=1)) - output.zero_point) * output.scale
    path = tmp_path_factory.mktemp("exiting") / "kws.bundle"
    shutil.copytree(bundle.path, path)
    trecx("calibrate", path, "--threshold", threshold, "--quiet", *DATA)
    return path


def test_training_record(folder):
    record = json.loads((folder / "run" / "run.json").read_text())
    assert (record["task"], record["synthetic"], record["seed"]) == ("kws", True, 0)
    assert len(record["history"]) == record["recipe"]["epochs"] == EPOCHS
    first, last = record["history"][0], record["history"][-1]
    assert last["loss"] < first["loss"]
    # Twelve classes: a guess is right in 8 % of the cases.
    assert last["calibration_exit1_accuracy"] > 0.3
    assert last["calibration_final_accuracy"] > 0.2


def test_bundle_describes_itself(bundle):
    manifest = bundle.manifest
    assert (bundle.task, len(bundle.labels), bundle.data.synthetic) == ("kws", 12, True)
    assert manifest["training"]["epochs"] == EPOCHS
    assert [segment.file for segment in bundle.segments] == ["stem.tflite", "tail.tflite"]
    assert bundle.cascade_bytes() is not None and bundle.base_graph() is not None
    assert manifest["test"]["samples"] == COUNTS["test"]
    expected = manifest["calibration"]["expected"]
    assert expected["samples"] == COUNTS["calibration"]
    assert expected["accuracy_loss"]["value"] <= BUDGET / 100


def test_bundle_agrees_with_itself(exiting, test_split, tmp_path):
    """Segments = full network = cascade on real samples, on every interpreter there is."""
    x = quantise(test_split.inputs(slice(0, 40)), read_bundle(exiting).graphs()[0])
    np.save(tmp_path / "x.npy", x)
    found = report("verify", exiting, "--input", tmp_path / "x.npy", "--quiet")
    assert found["passed"] and min(found["exits"]) > 0
    assert sum(found["exits"]) == 40


def test_same_run_gives_the_same_bundle(folder, bundle, tmp_path):
    export(folder, tmp_path / "again.bundle")
    assert read_bundle(tmp_path / "again.bundle").digest == bundle.digest


def test_evaluation_repeats_the_figures_of_the_export(bundle):
    found = report("eval", bundle.path, "--quiet", *DATA)
    (figures,) = found["evaluations"]
    assert figures == bundle.manifest["test"]
    assert found["synthetic_data"] is True


def test_calibration_repeats_the_choice_of_the_export(bundle, exiting, tmp_path):
    path = tmp_path / "kws.bundle"
    shutil.copytree(exiting, path)
    assert read_bundle(path).manifest["policies"] != bundle.manifest["policies"]
    trecx("calibrate", path, "--max-accuracy-loss", BUDGET, "--quiet", *DATA)
    assert read_bundle(path).manifest["policies"] == bundle.manifest["policies"]
    assert read_bundle(path).manifest["test"] == bundle.manifest["test"]


@pytest.mark.parametrize("target", [board.name for board in list_boards()])
def test_every_target_gives_the_bytes_of_tensorflow_lite_micro(exiting, target):
    line = ["run", exiting, "--target", target, "--samples", 10, "--oracle", "tflm", "--quiet"]
    if target == "host":
        line.append("--sanitize")
    done = invoke(*line, *DATA, "--json")
    if done.exit_code == CAPACITY:
        assert target == "microbit"  # 16 KiB of RAM
        return
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["exactness"] == {
        "oracle": "TensorFlow Lite Micro",
        "compared": 10,
        "differing": [],
        "bit_exact": True,
    }
    assert all(0 < rate < 1 for rate in found["exit_rates"])
    if target != "host":
        rows = {row["path"]: row for row in found["instructions"]}
        assert rows["exit 1 taken"]["worst"] < rows["full depth"]["mean"]
        assert 0 < found["memory"]["stack_used"] <= found["memory"]["stack_size"]


def test_device_figures_are_those_of_the_host(exiting):
    device = report("run", exiting, "--target", "mps2-an386", "--quiet", *DATA)
    (host,) = report("eval", exiting, "--quiet", *DATA)["evaluations"]
    assert device["samples"] == host["samples"] == COUNTS["test"]
    assert device["accuracy"] == host["accuracy"]["value"]
    assert device["exit_rates"] == [rate["value"] for rate in host["exit_rates"]]


def test_operations_of_run_bundle_and_cascade_agree(folder, bundle):
    of_bundle = report("report", "flops", bundle.path)
    of_run = report("report", "flops", folder / "run", "--base", folder / "base-run")
    of_file = report("report", "flops", bundle.path / "cascade.tflite")
    of_base = report("report", "flops", folder / "base-run" / "model.keras")
    paths = [path["macs"] for path in of_bundle["paths"]]
    assert [path["macs"] for path in of_run["paths"]] == paths
    assert [path["macs"] for path in of_file["paths"]] == paths
    assert of_base["paths"][-1]["macs"] == of_bundle["base"]["macs"] == of_run["base"]["macs"]
    assert paths[0] < of_base["paths"][-1]["macs"] < paths[1]


def test_wrong_bytes_are_reported_and_counted(exiting, monkeypatch):
    """The comparison itself: an oracle that disagrees in one sample."""
    from trecx.stages import running

    def wrong(graphs, x, progress):
        outputs = [output.copy() for output in original(graphs, x, progress)]
        for output in outputs:
            output[3, 0] ^= 1
        return outputs

    original = running.run_in_batches
    monkeypatch.setattr(running, "run_in_batches", wrong)
    done = invoke("run", exiting, "--target", "host", "--samples", 10, "--quiet", *DATA, "--json")
    assert done.exit_code == VERIFICATION
    assert json.loads(done.stdout)["exactness"]["differing"] == [3]
    assert "1 of 10 samples differ from the NumPy interpreter" in done.stderr


def test_own_keras_model_end_to_end(tmp_path):
    """A user's classifier of another shape, with an exit at a layer of theirs."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    features = keras.Input((49, 10, 1))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="first")(features)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(12, activation="softmax")(x)
    own, run, out = tmp_path / "own.keras", tmp_path / "run", tmp_path / "own.bundle"
    keras.Model(features, x).save(own)
    line = ["train", "kws", "--recipe", "demo", "--epochs", 1, "--quiet", *DATA, "--model", own]
    assert "did you mean 'second'" in refused(*line, "--at", "secnd", "-o", run)
    assert not run.exists()
    trecx(*line, "--at", "first", "-o", run)
    trecx("export", run, "-o", out, "--threshold", 0.1, "--quiet", *DATA)
    found = report("run", out, "--target", "mps2-an386", "--samples", 5, "--quiet", *DATA)
    assert found["exactness"]["bit_exact"]


def test_layer_that_does_not_exist_offers_the_nearest(tmp_path):
    line = ["train", "kws", "--recipe", "demo", "--at", "block2_rel", "--quiet", *DATA]
    text = refused(*line, "-o", tmp_path / "run")
    assert "block2_rel'" in text and "block2_relu" in text
    assert not list(tmp_path.iterdir())


def test_export_with_other_data_is_refused(folder, tmp_path):
    speech = speech_tree(tmp_path / "speech")
    line = ["export", folder / "run", "-o", tmp_path / "b", "--data", speech]
    text = refused(*line, "--data-option", f"words={','.join(WORDS)}")
    assert "trained on 'synthetic words' with 12 classes" in text and "give the same data" in text
    assert not (tmp_path / "b").exists()


def test_export_with_a_base_that_is_none_is_refused(folder, tmp_path):
    line = ["export", folder / "run", "-o", tmp_path / "b", "--base", folder / "run", *DATA]
    text = refused(*line)
    assert "base network must have no exits" in text
    assert not (tmp_path / "b").exists()


def test_float_model_is_refused(folder, tmp_path):
    """Converted without quantisation, as TensorFlow's documentation shows first."""
    import keras
    import tensorflow as tf

    model = keras.models.load_model(folder / "base-run" / "model.keras", compile=False)
    model.export(tmp_path / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    (tmp_path / "float.tflite").write_bytes(converter.convert())
    text = refused("compile", tmp_path / "float.tflite", "-o", tmp_path / "c")
    assert "FLOAT32" in text and "representative data set" in text
    assert not (tmp_path / "c").exists()
