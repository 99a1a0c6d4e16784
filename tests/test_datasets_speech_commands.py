"""The Speech Commands loader on a small generated tree."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from mlperf_tiny.datasets import speech_commands
from mlperf_tiny.datasets.bad_files import DataWarning
from mlperf_tiny.datasets.speech_commands import (
    assign_splits,
    find_layout,
    load,
    speaker_of,
    split_by_hash,
)
from mlperf_tiny.features import MfccParams, clip_features
from tests.support.speech_tree import SPEAKERS, WORDS, speech_tree, write_wav
from trecx.errors import DataError, InputError

SPLITS = ("train", "calibration", "test")


@pytest.fixture(scope="module")
def shared_tree(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    return speech_tree(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def tree(shared_tree, tmp_path) -> Path:
    return Path(shutil.copytree(shared_tree, tmp_path / "tree"))


def files(samples) -> list[str]:
    return [clip.file for clip in samples.clips if clip.start is None]


def spans(samples, length=16000) -> set[tuple[str, int]]:
    """Every sample of background noise that silence clips cover."""
    return {
        (clip.file, place)
        for clip in samples.clips
        if clip.start is not None
        for place in range(clip.start, clip.start + length)
    }


def test_the_published_folder_is_found_inside(tree):
    inside = tree.with_name("speech_commands_v0.02")
    tree.rename(inside)
    shutil.copytree(inside / "_background_noise_", inside.parent / "other" / "deeper")
    assert find_layout(inside.parent) == find_layout(inside)


def test_splits_follow_the_official_lists(shared_tree):
    data = load(shared_tree, cache=None)
    assert {file[-5] for file in files(data.train)} == {"0", "1"}
    assert {file[-5] for file in files(data.calibration)} == {"2"}
    assert {file[-5] for file in files(data.test)} == {"3"}
    assert sum(len(files(getattr(data, split))) for split in SPLITS) == 80


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"words": ("up", "yes")},
        {"words": ("up", "yes"), "silence": 1.0, "unknown": 1.0},
        {"test_speakers": ("ann", "bob")},
        {"test_speakers": "ann", "calibration_speakers": "bob, cyd", "words": "bed,cat"},
    ],
)
def test_splits_share_neither_recordings_nor_background_noise(shared_tree, options):
    data = load(shared_tree, cache=None, **options)
    for first, second in (("train", "calibration"), ("train", "test"), ("calibration", "test")):
        a, b = getattr(data, first), getattr(data, second)
        assert not set(files(a)) & set(files(b))
        assert not spans(a) & spans(b)
    for split in SPLITS:
        assert len(set(files(getattr(data, split)))) == len(files(getattr(data, split)))


def test_noise_of_augmentation_is_never_in_a_calibration_or_test_clip(shared_tree):
    data = load(shared_tree, cache=None)
    heard = data.train._noise
    whole = speech_commands._read_noise(find_layout(shared_tree), MfccParams())[0]
    for part, recording in zip(heard, whole.values(), strict=True):
        np.testing.assert_array_equal(part, recording[: len(part)] / np.float32(2**15))
        held_out = [
            clip.start
            for samples in (data.calibration, data.test)
            for clip in samples.clips
            if clip.start is not None
        ]
        assert held_out
        assert len(part) <= min(held_out)


def test_labels_are_words_then_silence_then_unknown(shared_tree):
    data = load(shared_tree, words=("yes", "up"), cache=None)
    assert data.labels == ("yes", "up", "silence", "unknown")
    for split in SPLITS:
        samples = getattr(data, split)
        for clip, label in zip(samples.clips, samples.labels, strict=True):
            word = data.labels[label]
            if word == "silence":
                assert clip.start is not None
            elif word == "unknown":
                assert clip.file.split("/")[0] in ("bed", "cat")
            else:
                assert clip.file.split("/")[0] == word


def test_silence_and_unknown_are_a_tenth_of_the_words(shared_tree):
    data = load(shared_tree, words=("yes", "up"), cache=None)
    assert np.bincount(data.train.labels).tolist() == [10, 10, 2, 2]
    assert np.bincount(data.test.labels).tolist() == [5, 5, 1, 1]
    more = load(shared_tree, words=("yes", "up"), silence=0.3, unknown=0.5, cache=None)
    assert np.bincount(more.train.labels).tolist() == [10, 10, 6, 10]


def test_standard_words_are_the_default_where_all_are_there(tree):
    assert load(tree, cache=None).labels == (*WORDS, "silence")
    for word in speech_commands.WORDS:
        if not (tree / word).exists():
            shutil.copytree(tree / "bed", tree / word)
    lists = [tree / name for name in ("validation_list.txt", "testing_list.txt")]
    for path in lists:
        old = path.read_text()
        copies = [old.replace("bed/", f"{word}/") for word in speech_commands.WORDS]
        path.write_text("\n".join([old, *copies]))
    data = load(tree, cache=None)
    assert data.labels == (*speech_commands.WORDS, "silence", "unknown")
    assert {clip.file.split("/")[0] for clip in data.train.clips} >= {"bed", "cat", "down"}
    assert data.name == "Speech Commands"


def test_classes_without_sounds_can_be_left_out(shared_tree):
    assert load(shared_tree, words="up,yes", silence=0, unknown=0, cache=None).labels == (
        "up",
        "yes",
    )


def test_only_the_training_draws_depend_on_the_seed(shared_tree):
    first, second = (
        load(shared_tree, words="up,yes", silence=0.5, unknown=0.5, seed=seed, cache=None)
        for seed in (1, 2)
    )
    assert first.train.clips != second.train.clips
    assert first.calibration.clips == second.calibration.clips
    assert first.test.clips == second.test.clips
    again = load(shared_tree, words="up,yes", silence=0.5, unknown=0.5, seed=1, cache=None)
    assert first.train.clips == again.train.clips
    np.testing.assert_array_equal(first.train.inputs(slice(None)), again.train.inputs(slice(None)))


def test_held_out_speakers_are_the_whole_test_split(shared_tree):
    data = load(shared_tree, test_speakers=("ann", "dan"), cache=None)
    assert {speaker_of(file) for file in files(data.test)} == {"ann", "dan"}
    assert len(files(data.test)) == 2 * 16
    others = files(data.train) + files(data.calibration)
    assert not {speaker_of(file) for file in others} & {"ann", "dan"}
    assert {file[-5] for file in files(data.calibration)} == {"2"}
    assert len(others) == 3 * 16
    assert data.name == "4 spoken words, speakers held out for test ann+dan"


def test_held_out_speakers_for_calibration_and_test(shared_tree):
    data = load(shared_tree, test_speakers="ann", calibration_speakers="bob", cache=None)
    assert {speaker_of(file) for file in files(data.calibration)} == {"bob"}
    assert {speaker_of(file) for file in files(data.train)} == {"cyd", "dan", "eve"}


def test_without_lists_the_hash_of_the_speaker_decides(tmp_path):
    tree = speech_tree(tmp_path / "tree", lists=False)
    for split, members in assign_splits(find_layout(tree)).items():
        assert {split_by_hash(speaker_of(file)) for file in members} <= {split}


def test_hash_rule_is_the_published_one():
    """It gives the speakers at the head of the official lists of v0.02 their splits."""
    testing = "bb05582b 97f4c236 f2e59fea fdb5155e dc75148d 3f170018 18f8afd5 e1469561 5c8af87a"
    assert {split_by_hash(speaker) for speaker in testing.split()} == {"test"}
    assert split_by_hash("a69b9b3e") == "calibration"
    shares = [split_by_hash(f"{number:08x}") for number in range(4000)]
    assert shares.count("calibration") / 4000 == pytest.approx(0.1, abs=0.02)
    assert shares.count("test") / 4000 == pytest.approx(0.1, abs=0.02)


def test_inputs_are_the_features_of_the_recordings(shared_tree):
    data = load(shared_tree, words="up,yes", cache=None)
    indices = np.array([0, 7, 21, 23])
    recordings = data.train.recordings(indices)
    assert recordings.shape == (4, 16000)
    assert recordings.dtype == np.int16
    inputs = data.train.inputs(indices)
    assert inputs.shape == (4, 49, 10, 1)
    np.testing.assert_allclose(inputs, clip_features(recordings), atol=1e-5)
    np.testing.assert_array_equal(data.train.inputs(slice(0, 24))[indices], inputs)


def test_streaming_gives_the_same_as_memory(shared_tree):
    kept = load(shared_tree, cache=None).train
    streamed = load(shared_tree, cache=None, memory_limit=0).train
    for indices in (np.array([3, 1, 40]), slice(10, 20)):
        np.testing.assert_array_equal(streamed.recordings(indices), kept.recordings(indices))
    a, b = (s.augmented(np.arange(9), np.random.default_rng(3), "noise-shift")
            for s in (kept, streamed))  # fmt: skip
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["noise", "noise-shift", "noise-shift-speed"])
def test_augmented_differs_by_draw_and_repeats_by_seed(shared_tree, name):
    samples = load(shared_tree, cache=None).train
    indices = np.arange(8)
    one, same, other = (
        samples.augmented(indices, np.random.default_rng(seed), name) for seed in (0, 0, 1)
    )
    assert one.shape == (8, 49, 10, 1)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, same)
    assert (one != other).any(axis=(1, 2, 3)).all()


def test_augmentation_none_and_unknown(shared_tree):
    samples = load(shared_tree, cache=None).train
    plain = samples.augmented(np.arange(4), np.random.default_rng(0), "none")
    np.testing.assert_array_equal(plain, samples.inputs(np.arange(4)))
    with pytest.raises(InputError, match=r"unknown augmentation 'louder'.*noise-shift"):
        samples.augmented(np.arange(4), np.random.default_rng(0), "louder")


def test_cache_is_used_and_sees_changes(tree, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = load(tree, cache=cache)
    entries = sorted(cache.iterdir())
    assert len(entries) == 3
    calls = []
    compute = speech_commands.usable_features.__globals__["clip_features"]
    monkeypatch.setitem(
        speech_commands.usable_features.__globals__,
        "clip_features",
        lambda *a: calls.append(a) or compute(*a),
    )
    second = load(tree, cache=cache)
    assert not calls
    np.testing.assert_array_equal(first.train.inputs(slice(None)), second.train.inputs(slice(None)))

    write_wav(tree / "up/ann_nohash_0.wav", np.full(4000, 5000))
    third = load(tree, cache=cache)
    assert len(calls) == 1  # only the training split has changed
    position = files(third.train).index("up/ann_nohash_0.wav")
    assert (third.train.inputs([position]) != first.train.inputs([position])).any()

    load(tree, cache=cache, params=MfccParams(coefficients=9))
    assert len(calls) == 4


def test_cache_auto_is_in_the_users_cache_folder(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load(tree)
    assert len(list((tmp_path / "xdg/trecx").glob("*.npz"))) == 3
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    load(tree)  # a cache that nobody asked for is no reason to stop
    with pytest.raises(DataError, match="feature cache"):
        load(tree, cache=tmp_path / "file")


@pytest.mark.parametrize("cached", [False, True])
def test_one_bad_file_is_skipped_counted_and_named(tree, tmp_path, cached):
    (tree / "up/bob_nohash_1.wav").write_bytes(b"RIFF")
    cache = tmp_path / "cache" if cached else None
    for _ in range(2):  # the second time from the cache
        with pytest.warns(DataWarning, match=r"skipped 1 of 82 files: .*bob_nohash_1\.wav"):
            data = load(tree, cache=cache)
        assert "up/bob_nohash_1.wav" not in files(data.train)
        assert len(data.train) == len(data.train.labels) == len(data.train.inputs(slice(None)))
        assert np.bincount(data.train.labels).tolist() == [10, 10, 9, 10, 4]
        with pytest.raises(DataError, match="1 of 82 files cannot be used"):
            load(tree, cache=cache, strict=True)


def test_labels_stay_with_their_clips_when_some_are_skipped(tree):
    for file in ("bed/ann_nohash_0.wav", "cat/cyd_nohash_1.wav", "yes/eve_nohash_3.wav"):
        (tree / file).write_bytes(b"")
    with pytest.warns(DataWarning, match="skipped 3 of 82"):
        data = load(tree, cache=None)
    for split in SPLITS:
        samples = getattr(data, split)
        for clip, label in zip(samples.clips, samples.labels, strict=True):
            assert clip.start is not None or clip.file.split("/")[0] == data.labels[label]
        everything = samples.inputs(slice(None))
        recomputed = clip_features(samples.recordings(slice(None)))
        np.testing.assert_allclose(everything, recomputed, atol=1e-5)


def test_many_bad_files_are_an_error_even_when_not_strict(tree):
    for speaker in SPEAKERS:
        for take in (0, 1):
            write_wav(tree / f"up/{speaker}_nohash_{take}.wav", np.ones(8000), rate=8000)
    with pytest.raises(DataError, match=r"at most 10%.*10 of 82.*sample rate must be 16000"):
        load(tree, cache=None)


def test_a_bad_background_recording_is_skipped(tree):
    write_wav(tree / "_background_noise_/hum.wav", np.ones(160000), channels=2)
    with pytest.warns(DataWarning, match=r"hum\.wav: channels must be 1, got 2"):
        data = load(tree, cache=None)
    assert data.labels[-1] == "silence"
    assert {c.file for c in data.test.clips if c.start is not None} == {
        "_background_noise_/hiss.wav"
    }


def test_listed_recordings_that_are_not_there(tree):
    (tree / "up/ann_nohash_2.wav").unlink()
    shutil.rmtree(tree / "bed")  # without a word's folder its lines mean nothing
    with pytest.warns(DataWarning, match=r"lists but not in .*: 1, such as up/ann_nohash_2\.wav"):
        load(tree, cache=None)
    with pytest.raises(DataError, match=r"such as up/ann_nohash_2\.wav"):
        load(tree, cache=None, strict=True)


def test_links_that_lead_nowhere_are_bad_files(tree, tmp_path):
    (tree / "up/zoe_nohash_0.wav").symlink_to("nowhere.wav")
    (tree / "up/zoe_nohash_1.wav").symlink_to("zoe_nohash_1.wav")
    for _ in range(2):
        with pytest.warns(
            DataWarning, match=r"skipped 2 of 84 .*zoe_nohash_0\.wav: cannot be read"
        ):
            load(tree, cache=tmp_path / "cache")


def test_capitals_in_the_suffix(tree):
    expected = load(tree, cache=None)
    for path in [*tree.glob("yes/*_nohash_[01].wav"), *tree.glob("_*/*.wav")]:
        path.rename(path.with_suffix(".WAV"))
    data = load(tree, cache=None)
    np.testing.assert_array_equal(data.train.labels, expected.train.labels)
    assert sorted(data.train.inputs(slice(None)).sum((1, 2, 3))) == sorted(
        expected.train.inputs(slice(None)).sum((1, 2, 3))
    )


def test_names_that_are_no_utf8(tmp_path):
    tree = speech_tree(tmp_path / "tree", lists=False)
    name = os.fsdecode(b"up/\xff\xfe_nohash_0.wav")
    shutil.copy(tree / "up/ann_nohash_0.wav", tree / name)
    data = load(tree, cache=tmp_path / "cache", silence=0, calibration_speakers="ann")
    assert name in files(data.train) + files(data.test)


def test_a_word_may_be_called_silence(tree):
    (tree / "bed").rename(tree / "silence")
    for name in ("validation_list.txt", "testing_list.txt"):
        (tree / name).write_text((tree / name).read_text().replace("bed/", "silence/"))
    assert load(tree, cache=None).labels == ("cat", "silence", "up", "yes")
    with pytest.raises(DataError, match=r"'silence' is among the words.*use silence=0"):
        load(tree, cache=None, silence=0.1)


def test_good_data_gives_no_warning(shared_tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(shared_tree, cache=None)


def break_nothing(tree):
    pass


def remove_all_wavs(tree):
    for path in tree.glob("*/*.wav"):
        path.unlink()


def empty_one_word(tree):
    for path in (tree / "cat").iterdir():
        path.unlink()


def no_validation_list(tree):
    (tree / "validation_list.txt").unlink()


def lists_overlap(tree):
    with open(tree / "validation_list.txt", "a") as file:
        file.write("up/ann_nohash_3.wav\n")


def list_is_binary(tree):
    (tree / "testing_list.txt").write_bytes(b"\xff\xfe\x00")


def list_has(line):
    def damage(tree):
        with open(tree / "testing_list.txt", "a") as file:
            file.write(f"{line}\n")

    return damage


def empty_lists(tree):
    for name in ("validation_list.txt", "testing_list.txt"):
        (tree / name).write_text("")


def short_noise(tree):
    for name in ("hiss", "hum"):
        write_wav(tree / f"_background_noise_/{name}.wav", np.ones(5 * 16000))


@pytest.mark.parametrize(
    ("damage", "options", "rule"),
    [
        (shutil.rmtree, {}, "must be a folder of word folders"),
        (remove_all_wavs, {}, "must be a folder of word folders with WAV files"),
        (empty_one_word, {}, "train has none of cat"),
        (no_validation_list, {}, "validation_list.txt is missing"),
        (lists_overlap, {}, "must share no file, got 1 in both, such as up/ann_nohash_3.wav"),
        (list_is_binary, {}, "testing_list.txt must be a text file"),
        (list_has("/yes/eve_nohash_0.wav"), {}, "must be <word>/<recording>.wav, got '/yes/eve"),
        (list_has("../yes/eve_nohash_0.wav"), {}, "must be <word>/<recording>.wav, got '../yes"),
        (list_has("./yes/eve_nohash_0.wav"), {}, "must be <word>/<recording>.wav, got './yes"),
        (list_has("yes\\eve_nohash_0.wav"), {}, "must be <word>/<recording>.wav, got 'yes"),
        (empty_lists, {}, "calibration has none of"),
        (short_noise, {}, "silence for calibration comes from 10% of each background recording"),
        (break_nothing, {"words": "up,yess"}, "no folder for the word 'yess'; did you mean 'yes'"),
        (break_nothing, {"words": "up,up"}, "words must differ"),
        (break_nothing, {"unknown": 0.1}, "class 'unknown' needs words other"),
        (break_nothing, {"silence": 1.5}, "must be 0..1, got 1.5"),
        (break_nothing, {"test_speakers": "anna"}, "speaker 'anna'; did you mean 'ann'"),
        (
            break_nothing,
            {"test_speakers": "ann", "calibration_speakers": "ann"},
            "'ann' must be held out for one split",
        ),
        (break_nothing, {"test_speakers": SPEAKERS}, "train has none of"),
    ],
)
def test_bad_input_is_refused_in_one_line(tree, damage, options, rule):
    damage(tree)
    with pytest.raises(DataError, match=rule) as raised:
        load(tree, cache=None, **options)
    assert "\n" not in str(raised.value)


def test_silence_without_background_recordings_is_refused_only_when_asked_for(tmp_path):
    tree = speech_tree(tmp_path / "tree", noise_seconds=0)
    data = load(tree, cache=None)
    assert data.labels == WORDS
    assert data.train.augmented(np.arange(4), np.random.default_rng(0), "noise-shift").shape
    with pytest.raises(DataError, match=r"'silence' needs usable WAV files.*silence=0"):
        load(tree, cache=None, silence=0.1)
