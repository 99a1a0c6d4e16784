"""The MFCC against TensorFlow's tf.signal, step by step and as int8 features."""

import numpy as np
import pytest

from benchmarks.mfcc_reference import reference_int8, reference_mfcc, reference_normalize
from mlperf_tiny.features import (
    REFERENCE_SCALE,
    REFERENCE_ZERO_POINT,
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

CLIPS = 200


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return speech_like(CLIPS, seed=11)


def test_normalisation_equals_the_reference(clips):
    np.testing.assert_array_equal(normalize(clips), reference_normalize(clips))


def test_features_equal_tensorflows_on_speech_like_clips(clips):
    expected = reference_mfcc(reference_normalize(clips), MfccParams())
    np.testing.assert_allclose(clip_features(clips), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        MfccParams(window=640, fft_length=1024),
        MfccParams(stride=160, coefficients=13, high_hz=7600.0),
        MfccParams(sample_rate=8000, clip_samples=8000, window=256, stride=128, fft_length=256,
                   mel_bins=26, low_hz=80.0, high_hz=3800.0, log_offset=1e-3),
    ],
)  # fmt: skip
def test_features_equal_tensorflows_with_other_parameters(params):
    audio = normalize(speech_like(8, seed=5, samples=params.clip_samples))
    expected = reference_mfcc(audio, params)
    np.testing.assert_allclose(mfcc(audio, params), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sample", [1, 2, 239, 479, 15999])
def test_a_single_click_equals_tensorflows(sample):
    """All that a frame holds is scaled by one weight of the window: the hardest case for it."""
    audio = np.zeros((1, 16000), np.float32)
    audio[0, sample] = 0.25
    expected = reference_mfcc(audio, MfccParams())
    np.testing.assert_allclose(mfcc(audio), expected, rtol=0, atol=1e-3)


def test_noise_and_digital_silence_equal_tensorflows():
    audio = np.zeros((3, 16000), np.float32)
    audio[1] = np.random.default_rng(0).uniform(-1, 1, 16000)
    audio[2, 4000:8000] = 1e-4 * audio[1, 4000:8000]
    expected = reference_mfcc(audio, MfccParams())
    np.testing.assert_allclose(mfcc(audio), expected, rtol=0, atol=1e-3)


def test_constants_equal_tensorflows():
    import tensorflow as tf

    params = MfccParams()
    window = tf.signal.hann_window(480).numpy()
    np.testing.assert_allclose(hann_window(480), window, rtol=2e-6, atol=0)
    weights = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0).numpy()
    np.testing.assert_allclose(mel_matrix(params), weights, rtol=0, atol=1e-5)
    identity = tf.signal.mfccs_from_log_mel_spectrograms(np.eye(40, dtype=np.float32)).numpy()
    np.testing.assert_allclose(dct_matrix(40, 40), identity, rtol=0, atol=1e-6)


def test_int8_features_are_within_one_step_of_the_references(clips):
    """The reference script truncates; values that it would wrap around saturate in both here."""
    features = reference_mfcc(reference_normalize(clips), MfccParams())
    expected = reference_int8(features).astype(int)
    actual = quantize_features(clip_features(clips), REFERENCE_SCALE, REFERENCE_ZERO_POINT)
    difference = np.abs(actual.astype(int) - expected)
    assert difference.max() <= 1
    # To the reference rounded rather than truncated, it is equal nearly everywhere.
    rounded = np.clip(np.rint(features / REFERENCE_SCALE + REFERENCE_ZERO_POINT), -128, 127)
    assert np.mean(actual == rounded) > 0.999
    assert len(np.unique(actual)) > 50  # the clips span the range, so that this says something
