"""What is told of a data folder."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mlperf_tiny.datasets import speech_commands, visual_wake_words
from mlperf_tiny.datasets.info import SPLITS, inspect
from tests.support.speech_tree import WORDS, speech_tree, write_wav
from trecx.cli import main
from trecx.errors import DataError


def counts_of(data) -> dict[str, dict[str, int]]:
    """class -> split -> samples of loaded data."""
    return {
        label: {s: int((getattr(data, s).labels == n).sum()) for s in SPLITS}
        for n, label in enumerate(data.labels)
    }


def write_images(folder, count=20, size=(96, 96)):
    for label in visual_wake_words.LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", size).save(folder / label / f"{number:03}.jpg")
    return folder


def write_cifar10(folder, images=6000):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        rows = rng.integers(0, 256, (images, 3073), np.uint8)
        rows[:, 0] %= 10
        rows.tofile(folder / f"{name}.bin")
    return folder


def test_words_are_counted_as_the_loader_splits_them(tmp_path):
    tree = speech_tree(tmp_path / "tree")
    [info] = inspect(tree)
    assert info.counts == counts_of(speech_commands.load(tree, silence=0, cache=None))
    assert list(info.counts) == list(WORDS)
    assert info.totals == {"train": 40, "calibration": 20, "test": 20}
    assert info.source == "speech"
    assert info.input_shape == (49, 10, 1)
    assert sum(info.raw.values()) == 80
    assert info.raw["less than 1 s"] > info.raw["1 s at 16 kHz"] > 0
    assert "official lists" in info.layout
    assert info.notes == ["5 speakers", "2 background recordings of 12 s"]
    assert info.unusable == 0


def test_words_without_lists_and_noise(tmp_path):
    [info] = inspect(speech_tree(tmp_path / "tree", lists=False, noise_seconds=0))
    assert "hash of the speaker" in info.layout
    assert info.notes[1] == "0 background recordings: no silence class, no added noise"


def test_unusable_files_are_counted_and_named(tmp_path):
    tree = speech_tree(tmp_path / "tree")
    write_wav(tree / "up/ann_nohash_0.wav", np.ones(9), rate=8000)
    (tree / "_background_noise_/hum.wav").write_bytes(b"")
    for take in range(4):
        (tree / f"yes/bob_nohash_{take}.wav").write_bytes(b"RIFF")
    [info] = inspect(tree)
    assert info.unusable == 6
    assert info.notes[1] == "1 background recordings of 12 s"
    assert "ann_nohash_0.wav: sample rate must be 16000 Hz, got 8000" in info.notes[2]
    assert info.notes[-1] == "and 3 more unusable files"


def test_odd_names_stay_on_their_lines(tmp_path):
    tree = speech_tree(tmp_path / "tree")
    (tree / "up/an\nn_nohash_0.wav").write_bytes(b"RIFF")
    (tree / os.fsdecode(b"up/\xff_nohash_0.wav")).write_bytes(b"RIFF")
    (tree / "up/ann_nohash_2.wav").unlink()
    [info] = inspect(tree)
    assert info.unusable == 2 and "such as up/ann_nohash_2.wav" in info.notes[2]
    shown = CliRunner().invoke(main, ["data", "info", str(tree)])
    assert "an n_nohash_0.wav: must be a PCM" in shown.stdout
    assert "\\udcff_nohash_0.wav: must be a PCM" in shown.stdout


def test_images_are_counted_as_the_loader_splits_them(tmp_path):
    folder = write_images(tmp_path / "vww", size=(120, 80))
    (folder / "person/000.jpg").write_bytes(b"x")
    [info] = inspect(folder)
    assert info.source == "vww"
    assert info.counts == {
        "non_person": {"train": 18, "calibration": 1, "test": 1},
        "person": {"train": 18, "calibration": 1, "test": 1},
    }
    assert info.raw == {"120 x 80 pixels": 39}
    assert info.unusable == 1
    assert "person/000.jpg: must be an image" in info.notes[0]
    assert info.input_shape == (96, 96, 3)


def test_photographs_of_many_sizes_take_one_short_line(tmp_path):
    folder = write_images(tmp_path)
    for number in range(9):
        Image.new("RGB", (50 + number, 40)).save(folder / "person" / f"x{number}.png")
    [info] = inspect(folder)
    assert len(info.raw) == 10
    held = info.lines()[2]
    assert held.startswith("holds    40 of 96 x 96 pixels, 1 of ")
    assert held.endswith(", 5 of other kinds")


def test_images_with_a_test_set_are_one_data_set(tmp_path):
    folder = write_images(tmp_path / "vw_coco2014_96")
    write_images(tmp_path / "vw_coco2014_96_minival", 20)
    for path in (tmp_path, folder):
        [info] = inspect(path)
        assert info.counts == counts_of(visual_wake_words.load(path))
        assert info.totals == {"train": 36, "calibration": 4, "test": 40}
        assert "vw_coco2014_96_minival/" in info.layout
    [alone] = inspect(tmp_path / "vw_coco2014_96_minival")
    assert sum(alone.totals.values()) == 40


def test_cifar10(tmp_path):
    [info] = inspect(write_cifar10(tmp_path / "cifar-10-batches-bin"))
    assert info.source == "cifar10"
    assert info.layout == "binary version (*.bin)"
    assert info.totals == {"train": 27000, "calibration": 3000, "test": 6000}
    assert len(info.counts) == 10
    assert info.raw == {"32 x 32 pixels, RGB": 36000}


def test_a_folder_of_several_sets(tmp_path):
    speech_tree(tmp_path / "speech")
    write_images(tmp_path / "images")
    (tmp_path / "other").mkdir()
    assert [info.source for info in inspect(tmp_path)] == ["vww", "speech"]


def test_as_json_and_as_lines(tmp_path):
    [info] = inspect(speech_tree(tmp_path / "tree"))
    assert json.loads(json.dumps(info.to_json()))["totals"] == info.totals
    lines = info.lines()
    assert lines[0] == f"Spoken words in {tmp_path / 'tree'}"
    assert any(line.split() == ["yes", "10", "5", "5"] for line in lines)
    assert any(line.split() == ["total", "40", "20", "20"] for line in lines)
    assert lines[-1] == info.notes[-1]


def damage_nothing_there(tree):
    shutil.rmtree(tree)
    tree.mkdir()


def damage_lists(tree):
    (tree / "testing_list.txt").unlink()


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (shutil.rmtree, "data must be a folder"),
        (damage_nothing_there, "no known data set in .*: looked for CIFAR-10"),
        (damage_lists, "testing_list.txt is missing"),
    ],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, damage, rule):
    tree = speech_tree(tmp_path / "tree")
    damage(tree)
    with pytest.raises(DataError, match=rule) as raised:
        inspect(tree)
    assert "\n" not in str(raised.value)
