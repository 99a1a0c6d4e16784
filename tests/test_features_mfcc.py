"""Properties of the MFCC that need no TensorFlow."""

import numpy as np
import pytest

from mlperf_tiny.features import (
    FeatureCache,
    MfccParams,
    clip_features,
    dct_matrix,
    hann_window,
    mel_matrix,
    mfcc,
    normalize,
    quantize_features,
)
from tests.support.speech_clips import speech_like
from trecx.errors import DataError, InputError


def test_shape_and_dtype_are_the_models_input():
    features = clip_features(speech_like(3, seed=0))
    assert features.shape == (3, 49, 10, 1)
    assert features.dtype == np.float32


def test_no_clips_give_no_features():
    assert mfcc(np.zeros((0, 16000), np.float32)).shape == (0, 49, 10, 1)


def test_a_formula_written_out_for_one_frame():
    """The definition as sums, against the vectorised chain."""
    params = MfccParams(clip_samples=64, window=64, stride=64, fft_length=64, mel_bins=6,
                        coefficients=4, low_hz=100.0)  # fmt: skip
    audio = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    n = np.arange(64)
    windowed = audio * (0.5 - 0.5 * np.cos(2 * np.pi * n / 64))
    magnitude = [abs(np.sum(windowed * np.exp(-2j * np.pi * k * n / 64))) for k in range(33)]
    mel = [1127 * np.log(1 + 8000 * k / 32 / 700) for k in range(33)]
    low, high = (1127 * np.log(1 + f / 700) for f in (100.0, 4000.0))
    step = (high - low) / 7
    log_mel = []
    for band in range(6):
        centre = low + (band + 1) * step
        weights = [max(0.0, 1 - abs(m - centre) / step) for m in mel]
        log_mel.append(np.log(np.dot(weights, magnitude) + 1e-6))
    expected = [
        np.sqrt(2 / 6) * sum(log_mel[i] * np.cos(np.pi * k * (2 * i + 1) / 12) for i in range(6))
        for k in range(4)
    ]
    actual = mfcc(audio[np.newaxis], params)[0, 0, :, 0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 40])
def test_result_depends_neither_on_batch_nor_on_threads(count):
    audio = normalize(speech_like(count, seed=2))
    one_by_one = np.concatenate([mfcc(clip[np.newaxis], threads=1) for clip in audio])
    np.testing.assert_allclose(mfcc(audio, threads=1), one_by_one, atol=1e-5)
    np.testing.assert_array_equal(mfcc(audio, threads=3), mfcc(audio, threads=1))


def test_digital_silence_is_the_logarithm_of_the_offset():
    features = clip_features(np.zeros((1, 16000), np.int16))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[0, :, 0, 0], np.log(1e-6) * np.sqrt(2 * 40), rtol=1e-5)
    np.testing.assert_allclose(features[0, :, 1:, 0], 0, atol=1e-4)


def test_normalize_divides_by_the_signed_maximum():
    clips = np.array([[0, 4, -8], [-2, -4, -1], [0, 0, 0]], np.int16)
    np.testing.assert_array_equal(normalize(clips), [[0, 1, -2], [-0.5, -1, -0.25], [0, 0, 0]])


def test_level_does_not_matter_once_normalised():
    clips = speech_like(2, seed=3) // 4
    np.testing.assert_allclose(clip_features(clips), clip_features(clips * 2), atol=1e-5)


def test_filters_are_triangles_that_sum_to_one_between_the_outer_centres():
    weights = mel_matrix(MfccParams())
    assert weights.shape == (257, 40)
    assert (weights >= 0).all()
    assert (weights[0] == 0).all()
    hertz = np.linspace(0, 8000, 257)
    assert not weights[hertz > 4000].any()
    inner = (hertz > 80) & (hertz < 3700)
    np.testing.assert_allclose(weights[inner].sum(axis=1), 1, atol=1e-12)


def test_dct_columns_are_orthogonal():
    matrix = dct_matrix(40, 40)
    gram = matrix.T @ matrix
    np.testing.assert_allclose(gram, np.diag([2.0] + [1.0] * 39), atol=1e-12)


def test_window_is_periodic():
    window = hann_window(480)
    assert window[0] == 0
    assert window[240] == 1
    np.testing.assert_allclose(window[1:], window[:0:-1], atol=1e-6)


def test_quantize_rounds_and_saturates():
    values = np.array([0.0, 0.49, 0.51, -1.6, 1000.0, -1000.0])
    assert quantize_features(values, 1.0, 3).tolist() == [3, 3, 4, 1, 127, -128]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"window": 0}, "window"),
        ({"window": 600}, "fft_length"),
        ({"stride": 0}, "stride"),
        ({"coefficients": 41}, "coefficients"),
        ({"high_hz": 9000.0}, "sample_rate/2"),
        ({"log_offset": 0.0}, "log_offset"),
    ],
)
def test_impossible_parameters_are_refused(change, rule):
    with pytest.raises(InputError, match=rule):
        MfccParams(**change)


def test_wrong_clip_length_is_refused():
    with pytest.raises(InputError, match=r"\(n, 16000\), got \(2, 8000\)"):
        mfcc(np.zeros((2, 8000), np.float32))


def test_cache_returns_what_it_was_given(tmp_path):
    store = FeatureCache(tmp_path / "cache")
    key = store.key(MfccParams(), ["a.wav"])
    assert store.load(key) is None
    arrays = {"features": np.arange(6.0).reshape(2, 3), "bad": np.array(["x"])}
    store.store(key, arrays)
    loaded = store.load(key)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".npz"]


def test_cache_key_depends_on_every_parameter_and_on_the_clips():
    other_value = {"high_hz": 3800.0, "low_hz": 30.0, "log_offset": 1e-5, "sample_rate": 15000,
                   "clip_samples": 15000, "window": 470, "stride": 310, "fft_length": 1024,
                   "mel_bins": 30, "coefficients": 9}  # fmt: skip
    variants = [MfccParams(**{name: value}) for name, value in other_value.items()]
    assert set(other_value) == set(MfccParams.__dataclass_fields__)
    keys = {FeatureCache.key(params, ["a"]) for params in [MfccParams(), *variants]}
    keys.add(FeatureCache.key(MfccParams(), ["b"]))
    assert len(keys) == len(variants) + 2


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_entry_counts_as_absent(tmp_path, damage):
    store = FeatureCache(tmp_path)
    store.store("k", {"features": np.zeros(1000)})
    [entry] = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-100] if damage is None else damage)
    assert store.load("k") is None


def test_no_damage_to_a_cache_entry_is_more_than_an_absence(tmp_path):
    store = FeatureCache(tmp_path)
    store.store("k", {"features": np.zeros(8), "bad": np.array([1])})
    [entry] = tmp_path.iterdir()
    whole = entry.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= rng.integers(1, 256)
        entry.write_bytes(damaged)
        store.load("k")


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="feature cache"):
        FeatureCache(tmp_path / "file").store("k", {})
