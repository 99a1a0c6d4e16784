"""Random alterations of training clips, in NumPy.

The benchmark's reference adds background noise to 80 % of the clips, at a volume of up to 0.1 of
a normalised clip; the Speech Commands recipe also moves a clip by up to 100 ms. The speed change
is ours: it alters pitch and formants as other speakers would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AudioAugmentation:
    """How clips are altered; each value is drawn for each clip anew.

    noise_share: share of the clips that get background noise.
    noise_volume: largest factor of the noise (full scale is 1), drawn uniformly from 0.
    shift: largest move in either direction, in samples; the gap is filled with zeros.
    speed: largest relative change of speed, for instance 0.1 for 0.9 to 1.1.
    """

    noise_share: float = 0.8
    noise_volume: float = 0.1
    shift: int = 1600
    speed: float = 0.0

    def __call__(
        self, audio: np.ndarray, noise: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Alter clips.

        Args:
            audio: float32 (n, samples), normalised.
            noise: recordings, float32 in -1..1, each of at least `samples`; none: no noise.

        Returns:
            float32 (n, samples), within -1..1.
        """
        n, samples = audio.shape
        # All draws first, and always equally many: one clip's fate does not hang on another's.
        rate = rng.uniform(1 - self.speed, 1 + self.speed, n)
        move = rng.integers(-self.shift, self.shift + 1, n)
        volume = rng.uniform(0, self.noise_volume, n) * (rng.random(n) < self.noise_share)
        recording, place = rng.random((2, n))
        out = np.zeros_like(audio)
        for i in range(n):
            clip = change_speed(audio[i], rate[i]) if self.speed else audio[i]
            _paste(clip, out[i], move[i])
            if noise and volume[i]:
                source = noise[int(recording[i] * len(noise))]
                start = int(place[i] * (len(source) - samples + 1))
                out[i] += np.float32(volume[i]) * source[start : start + samples]
        return np.clip(out, -1.0, 1.0, out=out)


AUDIO_AUGMENTATIONS = {
    "noise": AudioAugmentation(shift=0),
    "noise-shift": AudioAugmentation(),
    "noise-shift-speed": AudioAugmentation(speed=0.15),
}


def change_speed(clip: np.ndarray, rate: float) -> np.ndarray:
    """Play `clip` `rate` times as fast, about its middle; linear interpolation, zeros outside."""
    middle = (len(clip) - 1) / 2
    places = middle + (np.arange(len(clip)) - middle) * rate
    return np.interp(places, np.arange(len(clip)), clip, left=0, right=0).astype(clip.dtype)


def _paste(clip: np.ndarray, out: np.ndarray, move: int) -> None:
    """Write `clip`, moved later by `move` samples (earlier if negative), into zeros."""
    length = len(clip) - abs(move)
    if length > 0:
        out[max(move, 0) :][:length] = clip[max(-move, 0) :][:length]
