"""Smooth random patterns of different contrast: inputs that make networks' outputs differ."""

from __future__ import annotations

import numpy as np


def patterns(random: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """float32 (count, *shape), values 0..1: coarse random blocks, mixed with noise."""
    samples = []
    for _ in range(count):
        coarse = random.uniform(0, 1, tuple(min(d, 4) for d in shape))
        for axis, size in enumerate(shape):
            coarse = coarse.take(np.arange(size) * coarse.shape[axis] // size, axis)
        noise = random.uniform(0, 1, shape)
        samples.append(0.5 + random.uniform(0.1, 1) * (0.8 * coarse + 0.2 * noise - 0.5))
    return np.clip(samples, 0, 1).astype(np.float32)


def int8_patterns(random: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """As `patterns`, int8 over the whole range; shape without the batch."""
    return np.round(patterns(random, count, shape) * 255 - 128).astype(np.int8)
