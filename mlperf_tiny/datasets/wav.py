"""Reading of speech recordings: 16-bit PCM, mono, of one sample rate, by the standard library."""

import wave
from pathlib import Path

import numpy as np

from mlperf_tiny.features import SAMPLE_RATE
from trecx.errors import DataError

_HELP = "convert it, for instance with: sox IN -b 16 -c 1 -r {rate} OUT"


def read_wav(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The samples of a WAV file: int16, shape (frames,).

    Raises:
        DataError: the file cannot be read, is no WAV file, is empty or cut off, or has another
            encoding, number of channels or sample rate than 16-bit PCM, 1 and `sample_rate`.
    """
    try:
        # The wave module does not close a file that it rejects, so it gets an open one.
        with open(path, "rb") as file, wave.open(file) as audio:
            _check_format(path, audio, sample_rate)
            frames = audio.getnframes()
            data = audio.readframes(frames)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (wave.Error, EOFError, RuntimeError) as error:
        reason = str(error) or "it ends within its header"
        raise DataError(f"{path}: must be a PCM WAV file ({reason})") from None
    if not data or len(data) != 2 * frames:
        raise DataError(
            f"{path}: must hold the {frames} frames that its header names and at least one, "
            f"got {len(data) // 2}: the file is cut off or empty"
        )
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _check_format(path, audio: wave.Wave_read, sample_rate: int) -> None:
    checks = [
        ("sample width", audio.getsampwidth(), 2, "bytes"),
        ("channels", audio.getnchannels(), 1, ""),
        ("sample rate", audio.getframerate(), sample_rate, "Hz"),
    ]
    for what, value, wanted, unit in checks:
        if value != wanted:
            raise DataError(
                f"{path}: {what} must be {wanted} {unit}".rstrip()
                + f", got {value}: {_HELP.format(rate=sample_rate)}"
            )


def fit_length(samples: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples, with zeros after the end of a shorter recording."""
    if len(samples) >= length:
        return samples[:length]
    return np.concatenate([samples, np.zeros(length - len(samples), samples.dtype)])
