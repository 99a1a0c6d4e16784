"""Made-up data for every task: seeded, no download, learnable, always labelled synthetic.

Every sample has a difficulty drawn from 0..1. Easy samples can be told apart by local features
(colour, a clear tone), so an early exit gets them right; hard ones are small, faint and cluttered.
The figures that networks reach here say nothing about real data.
"""

from collections.abc import Callable

import numpy as np

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS
from mlperf_tiny.datasets import LABELS, WORDS
from mlperf_tiny.features import clip_features
from trecx.errors import DataError
from trecx.task import ArraySamples, DataSplits

SHAPES = (
    "disc",
    "ring",
    "square",
    "triangle",
    "plus",
    "cross",
    "rows",
    "columns",
    "checks",
    "crescent",
)
Generator = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def images(
    *, seed: int = 0, train: int = 4000, calibration: int = 1000, test: int = 1000
) -> DataSplits:
    """Ten shapes on cluttered grounds, uint8 32x32x3. Easy shapes have their class's colour."""
    return _splits(
        "synthetic shapes",
        SHAPES,
        _draw_shapes,
        (train, calibration, test),
        seed,
        IMAGE_AUGMENTATIONS,
    )


def words(
    *, seed: int = 0, train: int = 2400, calibration: int = 600, test: int = 600
) -> DataSplits:
    """Twelve classes of gliding tones in noise, one second each, as MFCCs 49x10x1 (float32).

    Ten "words", silence (noise only), and "unknown" (glides of no class).
    """

    def features(classes, rng):
        parts = np.array_split(classes, max(1, len(classes) // 250))  # 250 clips: 16 MB of sound
        return np.concatenate([clip_features(_speak(part, rng)) for part in parts])

    augmentations = {name: _move_frames for name in ("noise", "noise-shift", "noise-shift-speed")}
    return _splits(
        "synthetic words", LABELS["kws"], features, (train, calibration, test), seed, augmentations
    )


def people(
    *, seed: int = 0, train: int = 1500, calibration: int = 500, test: int = 500
) -> DataSplits:
    """Scenes of blobs with or without an upright figure, 96x96x3, scaled to 0..1."""
    return _splits(
        "synthetic figures",
        LABELS["vww"],
        _draw_scenes,
        (train, calibration, test),
        seed,
        IMAGE_AUGMENTATIONS,
        scale=1 / 255,
    )


def machines(
    *, seed: int = 0, train: int = 4000, calibration: int = 500, test: int = 1000
) -> DataSplits:
    """Five frames of 128 log-mel energies of a humming machine, float32 (n, 640).

    The training split is all normal; half of the others are anomalies (label 1): a shifted hum or
    an added rattle.
    """
    _check_counts((train, calibration, test))
    rng = np.random.default_rng([seed, 4])
    parts = []
    for count, share in ((train, 0.0), (calibration, 0.5), (test, 0.5)):
        labels = (np.arange(count) < share * count).astype(np.int64)[rng.permutation(count)]
        parts.append(ArraySamples(_hum(labels, rng), labels))
    return DataSplits("synthetic machines", *parts, labels=LABELS["ad"], synthetic=True)


def _splits(name, labels, generate: Generator, counts, seed: int, augmentations, scale=1.0):
    """Independent draws for each split, the classes in equal shares."""
    _check_counts(counts)
    parts = []
    for number, count in enumerate(counts):
        rng = np.random.default_rng([seed, number])
        classes = rng.permutation(np.arange(count) % len(labels)).astype(np.int64)
        parts.append(ArraySamples(generate(classes, rng), classes, scale, augmentations))
    return DataSplits(name, *parts, labels=tuple(labels), synthetic=True)


def _check_counts(counts) -> None:
    for count in counts:
        if not isinstance(count, int) or count < 1:
            raise DataError(f"a split of synthetic data has 1 sample or more, got {count!r}")


# Images of shapes


def _draw_shapes(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, size = len(classes), 32
    difficulty = rng.random(n)[:, None, None]
    radius = 13 - 7 * difficulty * rng.random((n, 1, 1))
    reach = size / 2 - radius
    centre_y = size / 2 + reach * rng.uniform(-1, 1, (n, 1, 1))
    centre_x = size / 2 + reach * rng.uniform(-1, 1, (n, 1, 1))
    angle = rng.uniform(-0.3, 0.3, (n, 1, 1))
    y = (np.arange(size)[:, None] - centre_y) / radius
    x = (np.arange(size)[None, :] - centre_x) / radius
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    mask = np.zeros((n, size, size), bool)
    for label in range(len(SHAPES)):
        chosen = classes == label
        mask[chosen] = _shape(label, u[chosen], v[chosen])

    ground = _clutter(n, size, rng, 40 + 60 * difficulty[..., None])
    typical = _hues(classes / len(SHAPES))
    own = rng.random((n, 1)) < 1 - 1.2 * difficulty[:, 0]
    colour = np.where(own, typical, _hues(rng.random(n)))
    contrast = 1 - 0.6 * difficulty[..., None]
    ink = colour[:, None, None, :] * contrast + ground.mean((1, 2), keepdims=True) * (1 - contrast)
    picture = np.where(mask[..., None], ink, ground)
    picture += rng.normal(0, 1, picture.shape) * (5 + 20 * difficulty[..., None])
    return np.clip(picture, 0, 255).astype(np.uint8)


def _shape(label: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Pixels of a shape, in coordinates where it fills the unit disc."""
    r = np.hypot(u, v)
    inside = r < 1
    stripe_u, stripe_v = np.sin(7 * u) > 0, np.sin(7 * v) > 0
    return [
        lambda: r < 0.85,
        lambda: inside & (r > 0.55),
        lambda: np.maximum(abs(u), abs(v)) < 0.75,
        lambda: (v < 0.6) & (v > 1.9 * abs(u) - 1),
        lambda: inside & (np.minimum(abs(u), abs(v)) < 0.25),
        lambda: inside & (np.minimum(abs(u + v), abs(u - v)) < 0.35),
        lambda: inside & stripe_v,
        lambda: inside & stripe_u,
        lambda: inside & (stripe_u ^ stripe_v),
        lambda: inside & (np.hypot(u - 0.45, v) > 0.75),
    ][label]()


def _clutter(n: int, size: int, rng: np.random.Generator, strength) -> np.ndarray:
    """Smooth coloured grounds, float (n, size, size, 3)."""
    cells = 4
    reach = size // cells // 2 - 1
    coarse = rng.uniform(-1, 1, (n, cells, cells, 3))
    fine = coarse.repeat(size // cells, 1).repeat(size // cells, 2)
    for axis in (1, 2):
        fine = sum(np.roll(fine, step, axis) for step in range(-reach, reach + 1)) / (2 * reach + 1)
    return rng.uniform(60, 180, (n, 1, 1, 3)) + fine * strength


def _hues(turn: np.ndarray) -> np.ndarray:
    """Saturated colours, float (n, 3) in 0..255, from hues in turns."""
    phase = turn[:, None] + np.array([0.0, 1 / 3, 2 / 3])
    return 127.5 + 110 * np.cos(2 * np.pi * phase)


# Scenes with figures


def _draw_scenes(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([_draw_scene(label, rng)[None] for label in classes])


def _draw_scene(label: int, rng: np.random.Generator, size: int = 96) -> np.ndarray:
    difficulty = rng.random()
    scene = _clutter(1, size, rng, 30 + 50 * difficulty)[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    for _ in range(int(1 + 6 * difficulty)):
        _blob(scene, y, x, rng.uniform(0, size, 2), rng.uniform(4, 16, 2), rng)
    height = rng.uniform(70, 90) - 45 * difficulty
    foot = rng.uniform(height + 2, size - 2)
    middle = rng.uniform(height / 4, size - height / 4)
    head = height * 0.13
    parts = [  # centre (down, across) and radii, as shares of the height, from the feet up
        (0.90, 0.0, head / height, head / height),
        (0.58, 0.0, 0.22, 0.13),
        (0.18, -0.07, 0.20, 0.05),
        (0.18, 0.07, 0.20, 0.05),
    ]
    if label == 0:  # The same parts, thrown about: only their arrangement makes a figure.
        parts = [
            (rng.uniform(0.1, 0.9), rng.uniform(-0.4, 0.4), down, across)
            for _, _, down, across in parts
        ]
    for up, across, down_radius, across_radius in parts:
        centre = (foot - up * height, middle + across * height)
        _blob(scene, y, x, centre, (down_radius * height, across_radius * height), rng, difficulty)
    scene += rng.normal(0, 4 + 12 * difficulty, scene.shape)
    return np.clip(scene, 0, 255).astype(np.uint8)


def _blob(scene, y, x, centre, radii, rng: np.random.Generator, faint: float = 0.5) -> None:
    """Paint an ellipse onto `scene`."""
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    ink = rng.uniform(0, 255, 3)
    scene[inside] = ink * (1 - 0.5 * faint) + scene[inside] * 0.5 * faint


# Words


def _speak(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clips, float32 (n, 16000) in -1..1: two gliding tones with overtones, in noise."""
    n, rate, length = len(classes), 16000, 16000
    difficulty = rng.random(n)
    table = np.random.default_rng(11).uniform(0, 1, (len(WORDS), 4))  # the language: not seeded
    silence, unknown = LABELS["kws"].index("silence"), LABELS["kws"].index("unknown")
    glides = table[np.minimum(classes, len(WORDS) - 1)]
    strange = classes == unknown
    glides[strange] = rng.uniform(0, 1, (int(strange.sum()), 4))
    glides = glides + rng.normal(0, 0.05, (n, 4)) * (1 + difficulty[:, None])
    voice = np.exp(rng.normal(0, 0.08, (n, 1)))
    low = voice * (300 + 700 * glides[:, :2])
    high = voice * (1200 + 2200 * glides[:, 2:])

    duration = rng.uniform(0.35, 0.6, (n, 1))
    start = rng.uniform(0.1, 0.9 - duration)
    time = np.arange(length, dtype=np.float32) / rate
    within = np.clip((time - start) / duration, 0, 1).astype(np.float32)
    envelope = np.sqrt(np.maximum(np.sin(np.pi * within), 0))
    sound = _glide(low, within, rate) + 0.6 * _glide(high, within, rate)
    loud = np.where(classes == silence, 0.0, 1.0)[:, None]
    noise = rng.standard_normal((n, length), dtype=np.float32)
    level = (0.02 + 0.5 * difficulty[:, None] ** 2).astype(np.float32)
    clips = loud * envelope * sound + level * noise
    return (0.2 * clips / np.abs(clips).max(1, keepdims=True)).astype(np.float32)


def _glide(ends: np.ndarray, within: np.ndarray, rate: int) -> np.ndarray:
    """A tone gliding between the hertz of `ends` as `within` goes from 0 to 1, with its octave."""
    frequency = (ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * within).astype(np.float32)
    phase = np.cumsum(2 * np.pi / rate * frequency, axis=1, dtype=np.float64).astype(np.float32)
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


def _move_frames(features: np.ndarray, rng: np.random.Generator, reach: int = 4) -> np.ndarray:
    """Shift MFCCs by up to `reach` frames, repeating the edge: what a time shift does to them."""
    frames = features.shape[1]
    moves = rng.integers(-reach, reach + 1, (len(features), 1))
    source = np.clip(np.arange(frames)[None, :] - moves, 0, frames - 1)
    return features[np.arange(len(features))[:, None], source]


# Machines


def _hum(anomalous: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, bins, frames = len(anomalous), 128, 5
    difficulty = rng.random(n)
    bin_number = np.arange(bins)
    pitch = 9 + rng.normal(0, 0.1, n) + 0.5 * anomalous * (1 - difficulty)
    comb = np.cos(2 * np.pi * bin_number / pitch[:, None]) * np.exp(-bin_number / 60)
    rattle = np.exp(-(((bin_number - rng.uniform(60, 120, (n, 1))) / 4) ** 2))
    spectrum = 6 * comb - 0.05 * bin_number + 2.5 * (anomalous * (1 - difficulty))[:, None] * rattle
    level = rng.normal(0, 1, (n, 1, 1))
    noise = rng.normal(0, 0.7, (n, frames, bins))
    return (spectrum[:, None, :] + level + noise).reshape(n, frames * bins).astype(np.float32)
