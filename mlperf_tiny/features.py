"""MFCC features of MLPerf Tiny's keyword spotting, without TensorFlow.

The chain of the benchmark's reference pipeline, with its constants:

    int16 clip -> float32 / maximum -> Hann windows -> |FFT| -> mel bins -> log -> DCT-II

The formulas are those of tf.signal (`stft`, `linear_to_mel_weight_matrix`,
`mfccs_from_log_mel_spectrograms`), which follow the HTK book. The windowed samples are float32 and
equal to tf.signal's; from there to the float32 coefficients all is in double precision.
"""

import dataclasses
import hashlib
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from trecx.errors import DataError, InputError
from trecx.files import read_arrays, write_atomic

SAMPLE_RATE = 16000

# Input quantisation of the benchmark's own int8 keyword model (kws_ref_model.tflite).
REFERENCE_SCALE = 0.5847029089927673
REFERENCE_ZERO_POINT = 83

# Raise when the same clips and parameters would give other features.
_VERSION = 1

# Clips transformed at once: their spectra (200 kB each) should stay in the second-level cache.
_CHUNK = 8


@dataclass(frozen=True)
class MfccParams:
    """Parameters of the features; the defaults are the benchmark's.

    window, stride, fft_length, clip_samples: in samples. low_hz, high_hz: the edges of the mel
    filter bank. log_offset: added before the logarithm.
    """

    sample_rate: int = SAMPLE_RATE
    clip_samples: int = 16000
    window: int = 480
    stride: int = 320
    fft_length: int = 512
    mel_bins: int = 40
    low_hz: float = 20.0
    high_hz: float = 4000.0
    log_offset: float = 1e-6
    coefficients: int = 10

    def __post_init__(self):
        checks = [
            (0 < self.window <= self.clip_samples, "window must be 1..clip_samples", self.window),
            (self.stride >= 1, "stride must be at least 1", self.stride),
            (
                self.fft_length >= self.window,
                "fft_length must not be below window",
                self.fft_length,
            ),
            (
                1 <= self.coefficients <= self.mel_bins,
                "coefficients must be 1..mel_bins",
                self.coefficients,
            ),
            (
                0 <= self.low_hz < self.high_hz <= self.sample_rate / 2,
                "the filter bank must lie in 0..sample_rate/2",
                (self.low_hz, self.high_hz),
            ),
            (self.log_offset > 0, "log_offset must be positive", self.log_offset),
        ]
        for good, rule, value in checks:
            if not good:
                raise InputError(f"MFCC parameters: {rule}, got {value}")

    @property
    def frames(self) -> int:
        """Windows that fit into a clip; the last partial one is dropped."""
        return 1 + (self.clip_samples - self.window) // self.stride

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one clip's features: (frames, coefficients, 1)."""
        return self.frames, self.coefficients, 1


def normalize(clips: np.ndarray) -> np.ndarray:
    """Divide each clip by its largest sample, as the reference does.

    The maximum is of the signed samples, so that negative peaks may go below -1. A clip without a
    positive sample, on which the reference divides by zero or flips the sign, is divided by its
    largest magnitude; an all-zero clip stays zero.

    Args:
        clips: (n, samples), any numeric dtype.

    Returns:
        float32, same shape.
    """
    clips = np.asarray(clips, np.float32)
    peak = clips.max(axis=1, keepdims=True)
    if (peak <= 0).any():
        magnitude = -clips.min(axis=1, keepdims=True)
        peak = np.where(peak > 0, peak, np.where(magnitude > 0, magnitude, 1))
    return clips / peak


def mfcc(
    audio: np.ndarray, params: MfccParams | None = None, *, threads: int | None = None
) -> np.ndarray:
    """MFCCs of normalised clips.

    Args:
        audio: float32, shape (n, params.clip_samples).
        threads: clips are shared among as many; None: one a core. The result does not depend
            on it.

    Returns:
        float32, shape (n, frames, coefficients, 1): (n, 49, 10, 1) by default.

    Raises:
        InputError: `audio` is not of this shape.
    """
    params = params or MfccParams()
    if audio.ndim != 2 or audio.shape[1] != params.clip_samples:
        raise InputError(
            f"clips must have the shape (n, {params.clip_samples}), got {tuple(audio.shape)}: "
            "pad or cut them first"
        )
    out = np.empty((len(audio), params.frames, params.coefficients), np.float32)

    def transform(start: int) -> None:
        chunk = slice(start, start + _CHUNK)
        out[chunk] = _mfcc_chunk(audio[chunk], params)

    starts = range(0, len(audio), _CHUNK)
    threads = min(threads or os.cpu_count() or 1, len(starts))
    if threads <= 1:
        for start in starts:
            transform(start)
    else:
        # NumPy releases the interpreter's lock in the FFT and in the other large operations.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(transform, starts))
    return out[..., np.newaxis]


def clip_features(clips: np.ndarray, params: MfccParams | None = None) -> np.ndarray:
    """Features of raw clips: `mfcc(normalize(clips))`. clips: int16, (n, clip_samples)."""
    return mfcc(normalize(clips), params)


def quantize_features(features: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Features as a model's int8 input: round(x / scale) + zero_point, saturated. Any shape.

    The benchmark's own script truncates towards zero where this rounds to nearest, so that the
    two may differ by one step (and it wraps around where this saturates).
    """
    steps = np.rint(np.asarray(features, np.float32) / np.float32(scale)) + zero_point
    return np.clip(steps, -128, 127).astype(np.int8)


def _mfcc_chunk(audio: np.ndarray, params: MfccParams) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(audio, params.window, axis=1)
    windowed = frames[:, :: params.stride] * hann_window(params.window)
    filters = mel_matrix(params)
    used = _used_bins(params)  # about half: the filters end at high_hz
    spectrum = np.fft.rfft(windowed, params.fft_length)[..., :used]
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    log_mel = np.log(magnitude @ filters[:used] + params.log_offset)
    return log_mel @ dct_matrix(params.mel_bins, params.coefficients)


@cache
def hann_window(length: int) -> np.ndarray:
    """Periodic Hann window, float32: 0.5 - 0.5 cos(2 pi n / length).

    Rounded to float32 where tf.signal rounds: the first weights are small differences of numbers
    near one, and a frame whose only sound lies there (a clip that begins or ends in it) is
    otherwise scaled differently by up to 2e-4.
    """
    angle = np.float32(2 * np.pi) * np.arange(length, dtype=np.float32) / np.float32(length)
    # Cosine in double: its float32 version is not equally exact on every processor.
    cosine = np.cos(angle.astype(np.float64)).astype(np.float32)
    return _constant(np.float32(0.5) - np.float32(0.5) * cosine)


@cache
def mel_matrix(params: MfccParams) -> np.ndarray:
    """Triangular filters, equally spaced in mel: float64, (fft_length // 2 + 1, mel_bins).

    mel(f) = 1127 ln(1 + f / 700). The triangles are straight lines in mel, not in hertz. The bin
    at 0 Hz has no weight.
    """

    def mel(hertz):
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    bins = params.fft_length // 2 + 1
    bin_mel = mel(np.linspace(0.0, params.sample_rate / 2, bins))[:, np.newaxis]
    edges = np.linspace(mel(params.low_hz), mel(params.high_hz), params.mel_bins + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bin_mel - low) / (centre - low)
    falling = (high - bin_mel) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return _constant(weights)


@cache
def _used_bins(params: MfccParams) -> int:
    """Number of FFT bins up to the last one that a filter weighs."""
    return int(np.flatnonzero(mel_matrix(params).any(axis=1))[-1]) + 1


@cache
def dct_matrix(mel_bins: int, coefficients: int) -> np.ndarray:
    """DCT-II with HTK's scale: float64, (mel_bins, coefficients).

    Element (n, k) is sqrt(2 / N) cos(pi k (2n + 1) / (2N)); k = 0 has no scale of its own.
    """
    n, k = np.arange(mel_bins)[:, np.newaxis], np.arange(coefficients)
    angles = np.pi * k * (2 * n + 1) / (2 * mel_bins)
    return _constant(np.sqrt(2.0 / mel_bins) * np.cos(angles))


def _constant(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


class FeatureCache:
    """Arrays kept on disk under a key of everything that they depend on.

    One .npz file an entry, written under a temporary name and renamed, so that a killed process
    leaves none half-written; an unreadable entry counts as absent.

    required: `store` raises when the folder cannot be written; otherwise it then does nothing.
    """

    def __init__(self, folder: Path | str, *, required: bool = True):
        self.folder = Path(folder)
        self.required = required

    @classmethod
    def at(cls, place: Path | str | None) -> "FeatureCache | None":
        """A cache in the folder `place`; in the user's own cache for "auto"; None for None."""
        if place is None:
            return None
        if place == "auto":
            user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            return cls(Path(user) / "trecx", required=False)
        return cls(place)

    @staticmethod
    def key(params: MfccParams, inputs) -> str:
        """Key of features with `params` of `inputs`, any JSON value that identifies the clips."""
        identity = [_VERSION, dataclasses.asdict(params), inputs]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays stored under `key`, or None."""
        try:
            return read_arrays(self._path(key))
        except InputError:
            return None

    def store(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep `arrays`. Raises `DataError` when a required folder cannot be written."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        try:
            write_atomic(self._path(key), buffer.getvalue())
        except (OSError, InputError) as error:
            if not self.required:
                return
            raise DataError(
                f"the feature cache must be a folder that can be written, got {self.folder} "
                f"({error}): choose another folder, or none"
            ) from None

    def _path(self, key: str) -> Path:
        return self.folder / f"mfcc-{key[:32]}.npz"
