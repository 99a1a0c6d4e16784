"""Clips of speech as labelled samples: features of all of them, recordings when they are needed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mlperf_tiny.audio_augment import AUDIO_AUGMENTATIONS
from mlperf_tiny.datasets.wav import fit_length, read_wav
from mlperf_tiny.features import FeatureCache, MfccParams, clip_features, mfcc, normalize
from trecx.errors import DataError, InputError

# Recordings decoded at once while features are computed: 16 MB of samples.
_CHUNK = 512


@dataclass(frozen=True)
class Clip:
    """One sample's sound: a whole recording, or (start given) a piece of a background one."""

    file: str
    start: int | None = None


class ClipReader:
    """Reads clips below one folder, padded or cut to `params.clip_samples`.

    noise: the background recordings by file name, int16, kept in memory.
    """

    def __init__(self, folder: Path, noise: Mapping[str, np.ndarray], params: MfccParams):
        self.folder = folder
        self.noise = noise
        self.params = params

    def read(self, clip: Clip) -> np.ndarray:
        """int16, shape (clip_samples,). Raises `DataError` when the file cannot be used."""
        length = self.params.clip_samples
        if clip.start is None:
            return fit_length(read_wav(self.folder / clip.file, self.params.sample_rate), length)
        return fit_length(self.noise[clip.file][clip.start :], length)

    def read_all(self, clips: Sequence[Clip]) -> np.ndarray:
        """int16, shape (len(clips), clip_samples)."""
        out = np.empty((len(clips), self.params.clip_samples), np.int16)
        for row, clip in zip(out, clips, strict=True):
            row[:] = self.read(clip)
        return out

    def identity(self, clips: Sequence[Clip]) -> list:
        """What tells these clips from others without reading them: name, size, time, start."""
        stats = {file: _size_and_time(self.folder / file) for file in {c.file for c in clips}}
        return [[clip.file, *stats[clip.file], clip.start] for clip in clips]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:  # reading it will say why
        return 0, 0
    return found.st_size, found.st_mtime_ns


class SpeechSamples:
    """Samples (see `trecx.task.Samples`) whose inputs are MFCCs, float32 (n, frames, k, 1).

    Without augmentation they are `features`; augmentation alters the recordings and computes
    their features anew. Recordings stay in memory once read, if all fit in `memory_limit` bytes.

    clips, labels, features: of the same length. noise: background recordings that augmentation
    may use, float32 in -1..1.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: np.ndarray,
        features: np.ndarray,
        reader: ClipReader,
        *,
        noise: Sequence[np.ndarray] = (),
        memory_limit: int = 2**30,
    ):
        self.clips = tuple(clips)
        self.labels = labels
        self._features = features
        self._reader = reader
        self._noise = noise
        self._in_memory = len(self.clips) * reader.params.clip_samples * 2 <= memory_limit

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def augmentations(self) -> tuple[str, ...]:
        """Names that `augmented` knows."""
        return ("none", *AUDIO_AUGMENTATIONS)

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._features[indices]

    def recordings(self, indices: np.ndarray | slice) -> np.ndarray:
        """int16 samples, shape (k, clip_samples)."""
        if self._in_memory:
            return self._all_recordings[indices]
        chosen = np.arange(len(self))[indices]
        return self._reader.read_all([self.clips[i] for i in chosen])

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        if name == "none":
            return self.inputs(indices)
        if name not in AUDIO_AUGMENTATIONS:
            known = ", ".join(self.augmentations)
            raise InputError(f"unknown augmentation {name!r}; this data set has: {known}")
        audio = normalize(self.recordings(indices))
        altered = AUDIO_AUGMENTATIONS[name](audio, self._noise, rng)
        return mfcc(altered, self._reader.params)

    @cached_property
    def _all_recordings(self) -> np.ndarray:
        return self._reader.read_all(self.clips)


def usable_features(
    clips: Sequence[Clip], reader: ClipReader, cache: FeatureCache | None
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Features of those clips that can be read, from the cache if it has them.

    Returns:
        (positions in `clips` of the usable ones; float32 features of these; file -> reason for
        the others).
    """
    key = FeatureCache.key(reader.params, reader.identity(clips)) if cache else ""
    found = cache.load(key) if cache else None
    if found is None:
        found = _compute(clips, reader)
        if cache:
            cache.store(key, found)
    bad = {clips[i].file: str(why) for i, why in zip(found["bad"], found["why"], strict=True)}
    return np.delete(np.arange(len(clips)), found["bad"]), found["features"], bad


def _compute(clips: Sequence[Clip], reader: ClipReader) -> dict[str, np.ndarray]:
    features, bad = [np.empty((0, *reader.params.shape), np.float32)], {}
    for start in range(0, len(clips), _CHUNK):
        good = []
        for position in range(start, min(start + _CHUNK, len(clips))):
            try:
                good.append(reader.read(clips[position]))
            except DataError as error:
                bad[position] = str(error)
        if good:
            features.append(clip_features(np.stack(good), reader.params))
    return {
        "features": np.concatenate(features),
        "bad": np.array(list(bad), np.int64),
        "why": np.array(list(bad.values()), np.str_),
    }
