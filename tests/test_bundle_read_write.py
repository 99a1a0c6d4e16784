"""Bundles: written at once or not at all; what was altered, damaged or foreign is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import trecx
from tests.data.make_golden import FOLDER, GOLDEN, answers
from tests.data.make_golden import write as write_golden
from trecx.bundle import DataFacts, manifest_schema, read_bundle, write_bundle
from trecx.bundle.schema_check import problems
from trecx.errors import BundleError, InputError, ModelFormatError, UnsupportedModelError
from trecx.ir.ops import macs
from trecx.policies import TableSum, TopClassThresholds
from trecx.tflite.cut import cut

RESNET = (FOLDER / "resnet_exit.tflite").read_bytes()
PLAIN = (FOLDER / "resnet_plain.tflite").read_bytes()
POLICY = TopClassThresholds((-40,) * 10)


def arguments(**changes) -> dict:
    return {
        "task": "ic",
        "labels": [str(i) for i in range(10)],
        "data": DataFacts("patterns", True),
        "full": RESNET,
        "segments": cut(RESNET, ["output_0"]),
        "policies": [POLICY],
    } | changes


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the golden bundle to damage."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "bundle"))


# --- The golden bundle ---


def test_golden_bundle_of_version_1_stays_readable():
    bundle = read_bundle(GOLDEN)
    assert bundle.digest == "9cd797d06c7538ac05eafd56d382ebfe0b207fa39dbd3f3d5db4ad542e568221"
    assert bundle.task == "golden"
    assert bundle.labels[3] == "word 3"
    assert bundle.data == DataFacts("random patterns", True)
    assert [s.file for s in bundle.segments] == ["stem.tflite", "mid1.tflite", "tail.tflite"]
    assert [p.kind for p in bundle.exit_policies()] == ["top_class_thresholds", "margin"]
    assert bundle.base_graph() is None
    assert len(bundle.full_graph().outputs) == 3


def test_golden_bundle_gives_the_same_answers():
    expected = np.load(FOLDER / "golden_answers_v1.npz")
    scores, stops = answers(read_bundle(GOLDEN), expected["x"])
    assert np.array_equal(scores, expected["scores"])
    assert np.array_equal(stops, expected["stops"])
    assert set(stops) == {0, 1, 2}


# --- Writing ---


def test_write_and_read(tmp_path):
    bundle = write_bundle(tmp_path / "b", **arguments(base=PLAIN, preprocessing="pixels / 255"))
    assert {p.name for p in bundle.path.iterdir()} == {
        "base.tflite",
        "cascade.tflite",
        "full.tflite",
        "manifest.json",
        "stem.tflite",
        "tail.tflite",
    }
    stem, tail = bundle.graphs()
    assert bundle.segments[0].handoff == (tail.inputs[0].name,)
    assert bundle.segments[0].macs == sum(map(macs, stem.operators))
    assert bundle.segments[1].output.units == 10
    assert bundle.exit_policies() == (POLICY,)
    assert bundle.manifest["input"]["preprocessing"] == "pixels / 255"
    assert bundle.manifest["tool"] == {"name": "trecx", "version": trecx.__version__}
    assert bundle.base_graph().outputs[0].size == 10
    assert bundle.segment_bytes() == cut(RESNET, ["output_0"])
    manifest = (bundle.path / "manifest.json").read_bytes()
    assert bundle.digest == hashlib.sha256(manifest).hexdigest()


def test_same_input_same_bytes(tmp_path):
    first = write_bundle(tmp_path / "a", **arguments())
    second = write_bundle(tmp_path / "b", **arguments())
    assert first.digest == second.digest


def test_network_without_exits(tmp_path):
    bundle = write_bundle(tmp_path / "b", **arguments(full=PLAIN, segments=[PLAIN], policies=()))
    assert [s.file for s in bundle.segments] == ["full.tflite"]
    assert bundle.cascade_bytes() is None
    assert {p.name for p in bundle.path.iterdir()} == {"full.tflite", "manifest.json"}


def test_policy_that_has_no_cascade(tmp_path):
    bundle = write_bundle(tmp_path / "b", **arguments(policies=[TableSum((1,) * 256, 5)]))
    assert bundle.manifest["cascade"] is None
    assert bundle.exit_policies() == (TableSum((1,) * 256, 5),)


def test_bundle_replaces_a_bundle_but_nothing_else(tmp_path):
    write_bundle(tmp_path / "b", **arguments())
    write_bundle(tmp_path / "b", **arguments(task="other"))
    assert read_bundle(tmp_path / "b").task == "other"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "novel.txt").write_text("chapter 1")
    with pytest.raises(InputError, match="was not written by trecx"):
        write_bundle(tmp_path / "letters", **arguments())
    assert (tmp_path / "letters" / "novel.txt").read_text() == "chapter 1"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"segments": []}, BundleError, "at least one segment"),
        ({"policies": []}, BundleError, "2 segments have 1 exits, 0 policies"),
        ({"policies": [TopClassThresholds((1, 2))]}, InputError, "2 thresholds"),
        ({"segments": [RESNET, PLAIN]}, BundleError, "segment 0 hands on"),
        ({"segments": [b"junk", b"junk"]}, ModelFormatError, "at least 8"),
        ({"full": RESNET[:100]}, ModelFormatError, "truncated"),
        ({"task": ""}, BundleError, "task: at least 1"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        write_bundle(tmp_path / "b", **arguments(**changes))
    assert list(tmp_path.iterdir()) == []


def test_float_model(tmp_path):
    """TFLM's own example model is float: refused before anything is written."""
    import tflite_micro

    sine = Path(tflite_micro.__file__).parent / "python/tflite_micro/sine_float.tflite"
    with pytest.raises(UnsupportedModelError, match="FLOAT32"):
        write_bundle(tmp_path / "b", **arguments(segments=[sine.read_bytes()], policies=()))


def test_quantise_input():
    bundle = read_bundle(GOLDEN)
    entry = bundle.manifest["input"]
    x = np.random.default_rng(0).uniform(-0.2, 1.2, (3, 25, 5, 1))
    expected = np.clip(
        np.round(x.astype(np.float32) / np.float32(entry["scale"])) + entry["zero_point"], -128, 127
    )
    q = bundle.quantise_input(x)
    assert q.dtype == np.int8
    assert np.array_equal(q, expected)
    assert q.min() == -128
    assert q.max() == 127


# --- Reading what was damaged ---


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edited(folder: Path, change) -> str:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return refusal(folder)


def test_missing_folder_or_manifest(tmp_path):
    assert "no bundle at" in refusal(tmp_path / "nowhere")
    assert "manifest.json" in refusal(tmp_path)
    (tmp_path / "file").write_text("")
    assert "no bundle at" in refusal(tmp_path / "file")


@pytest.mark.parametrize("file", ["stem", "mid1", "tail", "full", "cascade"])
def test_altered_file(folder, file):
    path = folder / f"{file}.tflite"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    message = refusal(folder)
    assert f"{file}.tflite does not match its hash" in message


def test_missing_file(folder):
    (folder / "mid1.tflite").unlink()
    assert "mid1.tflite" in refusal(folder)


def test_folder_in_place_of_a_file(folder):
    (folder / "mid1.tflite").unlink()
    (folder / "mid1.tflite").mkdir()
    assert "no regular file" in refusal(folder)


@pytest.mark.parametrize("version", [2, 0, None, "1", True, 1.5])
def test_other_version(folder, version):
    message = edited(folder, lambda m: m.update(schema_version=version))
    assert f"version {version!r} found" in message
    assert "reads version 1" in message


@pytest.mark.parametrize(
    "name", ["../stem.tflite", "/etc/passwd", "a/b.tflite", "..", ".hidden", "", "stem.tflite\n"]
)
def test_path_that_escapes(folder, name):
    def change(manifest):
        manifest["segments"][0]["file"] = name

    assert "does not match ^[A-Za-z0-9_]" in edited(folder, change)


def test_link_that_escapes(folder, tmp_path):
    (tmp_path / "outside.tflite").write_bytes((folder / "stem.tflite").read_bytes())
    (folder / "stem.tflite").unlink()
    (folder / "stem.tflite").symlink_to(tmp_path / "outside.tflite")
    assert "lies outside the bundle" in refusal(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, '{"a": NaN}', "\udcff", '{"schema_version": 1}']
)
def test_manifest_that_is_no_manifest(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refusal(folder)


def _remove(name):
    def change(manifest):
        del manifest[name]

    return change


def _policy(manifest):
    manifest["policies"][0] = {"kind": "coin toss"}


def _policy_fields(manifest):
    manifest["policies"][1] = {"kind": "margin", "limit": "high"}


def _policy_count(manifest):
    manifest["policies"].pop()


def _extra(manifest):
    manifest["surprise"] = 1


def _scale(manifest):
    manifest["input"]["scale"] = 0


def _zero_point(manifest):
    manifest["output"]["zero_point"] = 300


def _hash(manifest):
    manifest["full"]["sha256"] = "ABC"


def _labels(manifest):
    manifest["labels"] = "cat"


def _synthetic(manifest):
    manifest["data"]["synthetic"] = 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *((_remove(name), f"'{name}' is missing") for name in ("segments", "data", "cascade")),
        (_policy, "unknown exit policy kind 'coin toss'"),
        (_policy_fields, "limit"),
        (_policy_count, "2 exits and 1 policies"),
        (_extra, "'surprise' is not known"),
        (_scale, "input.scale: more than 0"),
        (_zero_point, "output.zero_point: at most 127"),
        (_hash, "full.sha256"),
        (_labels, "labels: array expected, 'cat' found"),
        (_synthetic, "data.synthetic: boolean expected"),
    ],
)
def test_manifest_that_breaks_the_schema(folder, change, words):
    assert words in edited(folder, change)


# --- The schema and its validator ---


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(manifest_schema())


def mutations(value, random: np.random.Generator):
    """Copies of a JSON value with one thing changed somewhere."""
    junk = [None, True, False, 0, -1, 1.5, 1.0, "", "x", "../x", [], {}, [1], {"kind": "x"}, 10**9]
    for _ in range(300):
        copy = json.loads(json.dumps(value))
        place = copy
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = list(keys)[int(random.integers(len(keys)))]
            if isinstance(place[key], (dict, list)) and place[key] and random.integers(3):
                place = place[key]
                continue
            break
        if random.integers(4) == 0:
            del place[key]
        else:
            place[key] = junk[int(random.integers(len(junk)))]
        yield copy


def test_validator_agrees_with_jsonschema():
    """Our small validator accepts and refuses exactly what the full implementation does."""
    manifest = read_bundle(GOLDEN).manifest
    reference = jsonschema.Draft202012Validator(manifest_schema())
    assert not list(problems(manifest, manifest_schema()))
    refused = 0
    for changed in mutations(manifest, np.random.default_rng(0)):
        found = list(problems(changed, manifest_schema()))
        assert bool(found) != reference.is_valid(changed), (found, changed)
        refused += bool(found)
    assert 100 < refused < 300


def test_validator_refuses_keywords_that_it_does_not_check():
    with pytest.raises(KeyError):
        list(problems({}, {"maxProperties": 0}))


def test_golden_bundle_can_be_made_again(tmp_path):
    """What the script writes today is read as the same bundle; its bytes may differ."""
    bundle = write_golden(tmp_path / "b")
    assert bundle.segments == read_bundle(GOLDEN).segments or trecx.__version__ != "0.1.0"


def test_published_schema_is_the_one_in_use():
    published = Path(__file__).parent.parent / "docs" / "manifest.schema.json"
    assert json.loads(published.read_text()) == manifest_schema()
