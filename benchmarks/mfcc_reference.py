"""The features against MLPerf Tiny's reference pipeline in TensorFlow, on recordings of a user.

    python -m benchmarks.mfcc_reference DATA [--clips 200]

DATA is a tree of word folders. Prints the largest difference of the coefficients and of the int8
inputs; exits 1 when they exceed 1e-3 and one step.
"""

from __future__ import annotations

import sys

import click
import numpy as np

from mlperf_tiny.datasets.speech_commands import find_layout
from mlperf_tiny.datasets.wav import fit_length, read_wav
from mlperf_tiny.features import (
    REFERENCE_SCALE,
    REFERENCE_ZERO_POINT,
    MfccParams,
    clip_features,
    quantize_features,
)

TOLERANCE = 1e-3


def reference_normalize(clips: np.ndarray) -> np.ndarray:
    """int16 clips as the reference scales them: float32, by each one's maximum."""
    import tensorflow as tf

    audio = tf.cast(clips, tf.float32)
    return (audio / tf.reduce_max(audio, axis=1, keepdims=True)).numpy()


def reference_mfcc(audio: np.ndarray, params: MfccParams) -> np.ndarray:
    """The reference's chain in tf.signal. audio: float32 (n, samples) to (n, frames, k, 1)."""
    import tensorflow as tf

    spectrum = tf.abs(tf.signal.stft(audio, params.window, params.stride, params.fft_length))
    weights = tf.signal.linear_to_mel_weight_matrix(
        params.mel_bins,
        params.fft_length // 2 + 1,
        params.sample_rate,
        params.low_hz,
        params.high_hz,
    )
    log_mel = tf.math.log(tf.tensordot(spectrum, weights, 1) + params.log_offset)
    coefficients = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)
    return coefficients[..., : params.coefficients, np.newaxis].numpy()


def reference_int8(features: np.ndarray) -> np.ndarray:
    """The reference's int8 input, truncated as it does; saturated where its cast would wrap."""
    steps = features / REFERENCE_SCALE + REFERENCE_ZERO_POINT
    return np.clip(steps, -128, 127).astype(np.int8)


@click.command()
@click.argument("data")
@click.option("--clips", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(data: str, clips: int, seed: int) -> None:
    layout = find_layout(data)
    files = [file for members in layout.words.values() for file in members]
    chosen = np.random.default_rng(seed).permutation(len(files))[:clips]
    length = MfccParams().clip_samples
    recordings = np.stack([fit_length(read_wav(layout.folder / files[i]), length) for i in chosen])
    features = clip_features(recordings)
    expected = reference_mfcc(reference_normalize(recordings), MfccParams())
    difference = np.abs(features - expected)
    ours = quantize_features(features, REFERENCE_SCALE, REFERENCE_ZERO_POINT)
    steps = np.abs(ours.astype(int) - reference_int8(expected))
    click.echo(f"{len(recordings)} clips of {layout.folder}")
    click.echo(f"coefficients  largest difference {difference.max():.2g}")
    click.echo(f"int8 inputs   largest difference {steps.max()}, equal {np.mean(steps == 0):.2%}")
    if difference.max() > TOLERANCE or steps.max() > 1:
        click.echo(f"must be at most {TOLERANCE:g} and 1", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
