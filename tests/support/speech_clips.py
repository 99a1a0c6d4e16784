"""Speech-like clips, made from a seed: voiced bursts over a noise floor, as int16."""

import numpy as np

SAMPLE_RATE = 16000


def speech_like(count: int, seed: int, samples: int = SAMPLE_RATE) -> np.ndarray:
    """int16 array (count, samples): harmonics of a gliding pitch under a smooth envelope.

    Levels span 60 dB; some clips begin or end with digital silence, as padded recordings do.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / SAMPLE_RATE
    clips = np.empty((count, samples), np.int16)
    for number in range(count):
        pitch = rng.uniform(80, 300) * np.exp(rng.uniform(-0.5, 0.5) * time)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voice = sum(rng.uniform() / order * np.sin(order * phase) for order in range(1, 12))
        centre, width = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.2)
        voice *= np.exp(-(((time - centre) / width) ** 2))
        floor = 10 ** rng.uniform(-4, -1.5) * rng.standard_normal(samples)
        clip = (voice + floor) * 10 ** rng.uniform(-2.5, 0) * 10000
        if rng.uniform() < 0.3:
            edge = int(rng.integers(1, samples // 3))
            clip[slice(None, edge) if rng.uniform() < 0.5 else slice(-edge, None)] = 0
        clips[number] = np.clip(np.rint(clip), -32768, 32767)
    return clips
