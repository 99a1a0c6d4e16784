"""Clips of one second that become features in a second, on this machine's cores.

    python -m benchmarks.mfcc_speed [--clips 2048] [--minimum 2000]

Exits 1 when plain features from memory come slower than `--minimum`. Best of five runs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import click
import numpy as np

from mlperf_tiny.audio_augment import AUDIO_AUGMENTATIONS
from mlperf_tiny.features import SAMPLE_RATE, clip_features, mfcc, normalize

RUNS = 5


def clips_per_second(count: int, work: Callable[[], object]) -> float:
    """`count` over the shortest time of RUNS calls."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return count / best


@click.command()
@click.option("--clips", default=2048, show_default=True)
@click.option("--minimum", default=2000, show_default=True, help="Clips a second to reach.")
def main(clips: int, minimum: int) -> None:
    rng = np.random.default_rng(0)
    recordings = rng.integers(-20000, 20000, (clips, SAMPLE_RATE), np.int16)
    noise = [rng.uniform(-1, 1, 60 * SAMPLE_RATE).astype(np.float32)]
    audio = normalize(recordings)

    def augmented(name: str):
        batches = np.array_split(recordings, max(1, clips // 128))
        for batch in batches:
            mfcc(AUDIO_AUGMENTATIONS[name](normalize(batch), noise, np.random.default_rng(1)))

    speed = clips_per_second(clips, lambda: clip_features(recordings))
    rows = {
        "features, int16 clips": speed,
        "features, one thread": clips_per_second(clips, lambda: mfcc(audio, threads=1)),
    }
    for name in AUDIO_AUGMENTATIONS:
        rows[f"{name}, then features"] = clips_per_second(clips, lambda n=name: augmented(n))
    click.echo(f"clips a second, {os.cpu_count()} cores, {clips} clips from memory")
    for what, value in rows.items():
        click.echo(f"{what:<36}{value:>10,.0f}")
    if speed < minimum:
        click.echo(f"features must reach {minimum:,} clips a second, got {speed:,.0f}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
