"""verify_bundle: a sound bundle passes, and each kind of damage behind right hashes is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.data.make_golden import GOLDEN
from trecx.bundle import random_inputs, read_bundle, verify_bundle
from trecx.errors import BundleError, InputError
from trecx.stages.outputs import run_chain
from trecx.tflite.link import link
from trecx.tflite.model import read_model, write_model


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "bundle"))


def replace(folder: Path, file: str, data: bytes) -> None:
    """Put other bytes in a file and make the manifest's hash right again."""
    (folder / file).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    entries = [manifest["full"], manifest["cascade"], *manifest["segments"]]
    for entry in entries:
        if entry["file"] == file:
            entry["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def with_other_weights(data: bytes) -> bytes:
    """The same model with its largest constant negated."""
    model = read_model(data)
    buffer = max(model.buffers, key=lambda b: 0 if b.data is None else b.data.size)
    buffer.data = (-buffer.data.view(np.int8)).view(np.uint8)
    return write_model(model)


def failed(verification) -> set[str]:
    return {check.name for check in verification.checks if not check.passed}


def test_sound_bundle():
    seen = []
    report = verify_bundle(GOLDEN, samples=200, progress=lambda done, total: seen.append(done))
    assert report.passed
    assert report.samples == 200
    assert sum(report.exits) == 200
    assert min(report.exits) > 0
    assert seen == [32, 64, 96, 128, 160, 192, 200]
    assert {c.name for c in report.checks} == {
        "hashes",
        "stem equals full",
        "mid1 equals full",
        "tail equals full",
        "cascade equals segments",
        "cascade runs",
    }
    assert json.loads(json.dumps(report.to_json()))["passed"] is True


def test_given_inputs():
    bundle = read_bundle(GOLDEN)
    x = random_inputs(bundle, 7, seed=3)
    assert x.shape == (7, 25, 5, 1)
    assert verify_bundle(GOLDEN, x).samples == 7
    assert verify_bundle(GOLDEN, x).exits == verify_bundle(GOLDEN, x[:, None]).exits


def test_random_inputs_are_reproducible():
    bundle = read_bundle(GOLDEN)
    assert np.array_equal(random_inputs(bundle, 5, seed=1), random_inputs(bundle, 5, seed=1))
    assert not np.array_equal(random_inputs(bundle, 5, seed=1), random_inputs(bundle, 5, seed=2))


def test_altered_file_is_refused(folder):
    data = bytearray((folder / "tail.tflite").read_bytes())
    data[-9] ^= 1
    (folder / "tail.tflite").write_bytes(data)
    with pytest.raises(BundleError, match="does not match its hash"):
        verify_bundle(folder, samples=2)


def test_segment_with_other_weights(folder):
    replace(folder, "tail.tflite", with_other_weights((folder / "tail.tflite").read_bytes()))
    report = verify_bundle(folder, samples=20)
    assert "tail equals full" in failed(report)
    assert "cascade equals segments" in failed(report)
    assert "stem equals full" not in failed(report)


def test_full_with_other_weights(folder):
    replace(folder, "full.tflite", with_other_weights((folder / "full.tflite").read_bytes()))
    assert failed(verify_bundle(folder, samples=20)) >= {"stem equals full"}


def test_cascade_of_other_policies(folder):
    bundle = read_bundle(folder)
    other = [dict(entry) for entry in bundle.manifest["policies"]]
    other[1]["limit"] = 255
    replace(folder, "cascade.tflite", link(bundle.segment_bytes(), other))
    assert "cascade equals segments" in failed(verify_bundle(folder, samples=20))


def test_cascade_with_another_threshold_inside(folder):
    model = read_model((folder / "cascade.tflite").read_bytes())
    table = next(t for t in model.subgraphs[0].tensors if "class_thresholds" in t.name)
    model.buffers[table.buffer].data = np.full(12, -127, np.uint8)
    replace(folder, "cascade.tflite", write_model(model))
    report = verify_bundle(folder, samples=20)
    assert failed(report) >= {"cascade equals segments", "cascade runs"}


def test_inputs_of_the_wrong_shape():
    with pytest.raises(InputError, match=r"\(N, 25, 5, 1\)"):
        verify_bundle(GOLDEN, np.zeros((3, 7), np.int8))


def test_proof_by_the_same_operators():
    """The same operators: the uncut network runs on the first samples only."""
    report = verify_bundle(GOLDEN, samples=100)
    details = {c.name: c.detail for c in report.checks}
    assert details["stem equals full"] == (
        "the same operators and constants; 0 of 384 bytes differ on 32 samples"
    )


def test_exits_are_counted_without_running_every_segment():
    """Behind the first samples only what leads to a decision runs; the counts are the same."""
    bundle = read_bundle(GOLDEN)
    x = random_inputs(bundle, 90, seed=4)
    stops = np.full(90, 2)
    outputs = run_chain(bundle.graphs(), x)
    for k in (1, 0):
        stops[bundle.exit_policies()[k].decide(outputs[k])] = k
    expected = tuple(np.bincount(stops, minlength=3))
    assert min(expected) > 0
    assert verify_bundle(GOLDEN, x).exits == expected


def test_cascade_that_is_none(folder):
    """A file with other outputs: failed checks, not an error."""
    replace(folder, "cascade.tflite", (folder / "full.tflite").read_bytes())
    report = verify_bundle(folder, samples=5)
    assert failed(report) >= {"cascade equals segments", "cascade runs"}


def test_without_proof_all_samples_run(folder):
    """A tensor has another name: equal, but not by proof."""
    model = read_model((folder / "stem.tflite").read_bytes())
    for tensor in model.subgraphs[0].tensors:
        if tensor.name and "AvgPool" in tensor.name:
            tensor.name += "_renamed"
    replace(folder, "stem.tflite", write_model(model))
    details = {c.name: c for c in verify_bundle(folder, samples=100).checks}
    stem = details["stem equals full"]
    assert stem.passed
    assert stem.detail == "other operators or constants; 0 of 1200 bytes differ on 100 samples"
