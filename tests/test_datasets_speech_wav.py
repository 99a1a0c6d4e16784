"""WAV files, good and bad."""

import contextlib

import numpy as np
import pytest

from mlperf_tiny.datasets.wav import fit_length, read_wav
from tests.support.speech_tree import write_wav
from trecx.errors import DataError

SAMPLES = np.array([0, 1, -1, 32767, -32768, 1234], np.int16)


def test_reads_back_what_was_written(tmp_path):
    write_wav(tmp_path / "a.wav", SAMPLES)
    samples = read_wav(tmp_path / "a.wav")
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, SAMPLES)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"rate": 8000}, "sample rate must be 16000 Hz, got 8000"),
        ({"channels": 2}, "channels must be 1, got 2"),
        ({"width": 1}, "sample width must be 2 bytes, got 1"),
        ({"width": 4}, "sample width must be 2 bytes, got 4"),
    ],
)
def test_other_formats_are_refused_with_the_rule_and_a_remedy(tmp_path, options, rule):
    write_wav(tmp_path / "a.wav", SAMPLES, **options)
    with pytest.raises(DataError, match=rf"a\.wav: {rule}: convert it"):
        read_wav(tmp_path / "a.wav")


def test_another_sample_rate_can_be_asked_for(tmp_path):
    write_wav(tmp_path / "a.wav", SAMPLES, rate=8000)
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav", 8000), SAMPLES)


def test_no_frames_are_refused(tmp_path):
    write_wav(tmp_path / "a.wav", SAMPLES[:0])
    with pytest.raises(DataError, match="cut off or empty"):
        read_wav(tmp_path / "a.wav")


def test_every_truncation_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, SAMPLES)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError) as raised:
            read_wav(path)
        assert "\n" not in str(raised.value)
        assert str(path) in str(raised.value)


@pytest.mark.parametrize("content", [b"not audio at all" * 10, b"RIFF\x00\x00\x00\x00WAVE" * 4])
def test_other_contents_are_refused(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match="PCM WAV"):
        read_wav(tmp_path / "a.wav")


def test_float_encoding_is_refused(tmp_path):
    write_wav(tmp_path / "a.wav", SAMPLES)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[20] = 3  # WAVE_FORMAT_IEEE_FLOAT
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(DataError, match="unknown format: 3"):
        read_wav(tmp_path / "a.wav")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_wav(tmp_path / "a.wav")
    with pytest.raises(DataError, match="directory"):
        read_wav(tmp_path)


def test_fit_length_pads_at_the_end_and_cuts_the_end():
    assert fit_length(SAMPLES, 8).tolist() == [*SAMPLES.tolist(), 0, 0]
    assert fit_length(SAMPLES, 8).dtype == np.int16
    assert fit_length(SAMPLES, 2).tolist() == [0, 1]


def test_no_damage_to_a_header_is_more_than_a_data_error(tmp_path):
    path, rng = tmp_path / "a.wav", np.random.default_rng(0)
    write_wav(path, SAMPLES)
    whole = path.read_bytes()
    for _ in range(1000):
        damaged = bytearray(whole)
        for place in rng.integers(0, 48, 3):
            damaged[place] = rng.choice([0, 1, 2, 16, 255, rng.integers(256)])
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            read_wav(path)
