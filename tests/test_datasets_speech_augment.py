"""Noise, time shift and change of speed."""

import numpy as np
import pytest

from mlperf_tiny.audio_augment import AUDIO_AUGMENTATIONS, AudioAugmentation, change_speed

LENGTH = 400


def click(place: int) -> np.ndarray:
    audio = np.zeros((1, LENGTH), np.float32)
    audio[0, place] = 0.5
    return audio


def test_noise_goes_into_the_given_share_at_up_to_the_given_volume():
    noise = [np.ones(LENGTH, np.float32), -np.ones(3 * LENGTH, np.float32)]
    augment = AudioAugmentation(noise_share=0.8, noise_volume=0.1, shift=0)
    out = augment(np.zeros((4000, LENGTH), np.float32), noise, np.random.default_rng(0))
    volume = np.abs(out[:, 0])
    assert (np.abs(out) == volume[:, np.newaxis]).all()
    assert np.mean(volume > 0) == pytest.approx(0.8, abs=0.03)
    assert volume.max() <= 0.1
    heard = volume[volume > 0]
    assert heard.mean() == pytest.approx(0.05, abs=0.003)
    assert np.mean(out[:, 0] > 0) == pytest.approx(0.4, abs=0.03)  # both recordings are used


def test_noise_comes_from_all_of_a_recording():
    ramp = np.linspace(0, 1, 10 * LENGTH).astype(np.float32)
    augment = AudioAugmentation(noise_share=1.0, shift=0)
    out = augment(np.zeros((2000, LENGTH), np.float32), [ramp], np.random.default_rng(0))
    starts = out[:, 0] / (out[:, -1] - out[:, 0]) * (LENGTH - 1)
    assert starts.min() < 0.02 * 9 * LENGTH
    assert starts.max() > 0.98 * 9 * LENGTH
    assert starts.max() < 9 * LENGTH + 5


def test_shift_reaches_both_ends_and_fills_with_zeros():
    augment = AudioAugmentation(noise_share=0, shift=50)
    audio = np.repeat(click(200), 2000, axis=0)
    out = augment(audio, [], np.random.default_rng(0))
    assert (out.sum(axis=1) == 0.5).all()
    moves = out.argmax(axis=1) - 200
    assert (moves.min(), moves.max()) == (-50, 50)
    ones = augment(np.ones((100, LENGTH), np.float32), [], np.random.default_rng(1))
    assert {LENGTH - int(row.sum()) for row in ones} <= set(range(51))
    assert (ones[:, 50:-50] == 1).all()


def test_a_shift_beyond_the_clip_leaves_silence():
    augment = AudioAugmentation(noise_share=0, shift=10 * LENGTH)
    out = augment(np.ones((200, LENGTH), np.float32), [], np.random.default_rng(0))
    assert (out.sum(axis=1) == 0).any()


def test_result_stays_in_full_scale():
    audio = np.full((50, LENGTH), -3.0, np.float32)
    audio[::2] = 0.99
    noise = [np.ones(LENGTH, np.float32)]
    out = AudioAugmentation(noise_share=1.0, shift=0)(audio, noise, np.random.default_rng(0))
    assert out.max() == 1.0
    assert out.min() == -1.0


def test_without_alteration_nothing_changes():
    audio = np.random.default_rng(0).uniform(-1, 1, (5, LENGTH)).astype(np.float32)
    same = AudioAugmentation(noise_share=0, shift=0)(audio, [], np.random.default_rng(0))
    np.testing.assert_array_equal(same, audio)
    assert same.dtype == np.float32


@pytest.mark.parametrize("name", AUDIO_AUGMENTATIONS)
def test_same_seed_same_result_and_input_untouched(name):
    audio = np.random.default_rng(0).uniform(-1, 1, (20, 16000)).astype(np.float32)
    before = audio.copy()
    noise = [np.random.default_rng(1).uniform(-1, 1, 20000).astype(np.float32)]
    first, second = (
        AUDIO_AUGMENTATIONS[name](audio, noise, np.random.default_rng(5)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(audio, before)
    assert (first != audio).any(axis=1).sum() >= 10


def test_speed_moves_pitch_by_its_factor_and_keeps_the_middle():
    time = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(change_speed(tone, 0.9)))
    assert spectrum.argmax() == 900
    assert change_speed(click(200)[0], 1.2).argmax() in (200, 199, 201)
    np.testing.assert_allclose(change_speed(tone, 1.0), tone, atol=1e-6)
    faster = change_speed(np.ones(LENGTH, np.float32), 1.25)
    assert faster.sum() == pytest.approx(LENGTH / 1.25, abs=2)  # the gaps are silent
