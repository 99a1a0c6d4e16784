"""A small data set in the layout of Speech Commands v2, made from a seed."""

import wave
from pathlib import Path

import numpy as np

from tests.support.speech_clips import SAMPLE_RATE, speech_like

WORDS = ("bed", "cat", "up", "yes")
SPEAKERS = ("ann", "bob", "cyd", "dan", "eve")
TAKES = 4


def write_wav(path: Path, samples: np.ndarray, *, rate=SAMPLE_RATE, channels=1, width=2) -> None:
    """Write samples as PCM; int16 unless `width` says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, wave.open(file, "wb") as audio:
        audio.setnchannels(channels)
        audio.setsampwidth(width)
        audio.setframerate(rate)
        audio.writeframes(samples.astype({1: np.uint8, 2: "<i2", 4: "<i4"}[width]).tobytes())


def speech_tree(folder: Path, *, lists: bool = True, noise_seconds: float = 12) -> Path:
    """80 recordings of 4 words by 5 speakers; take 2 is for validation, take 3 for test."""
    clips = speech_like(len(WORDS) * len(SPEAKERS) * TAKES, seed=7)
    listed: dict[int, list[str]] = {2: [], 3: []}
    for number, clip in enumerate(clips):
        word = WORDS[number // (len(SPEAKERS) * TAKES)]
        speaker, take = SPEAKERS[number // TAKES % len(SPEAKERS)], number % TAKES
        file = f"{word}/{speaker}_nohash_{take}.wav"
        # Real recordings are not all a second long either.
        write_wav(folder / file, clip[: SAMPLE_RATE - 1000 * (number % 3)])
        if take in listed:
            listed[take].append(file)
    if noise_seconds:
        rng = np.random.default_rng(8)
        for name in ("hiss", "hum"):
            noise = rng.normal(0, 800, int(noise_seconds * SAMPLE_RATE))
            write_wav(folder / "_background_noise_" / f"{name}.wav", noise)
    if lists:
        (folder / "validation_list.txt").write_text("\n".join(listed[2]) + "\n")
        (folder / "testing_list.txt").write_text("\n".join(listed[3]) + "\n")
    return folder
