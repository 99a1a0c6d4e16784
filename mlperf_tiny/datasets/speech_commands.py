"""Speech Commands v2 (Warden, 2018), or any tree of word folders in its layout.

    <word>/<speaker>_nohash_<take>.wav     16-bit PCM, mono, 16 kHz, about one second
    _background_noise_/*.wav               long recordings without speech
    validation_list.txt, testing_list.txt  lines such as yes/0132a06d_nohash_0.wav

Classes: the words to tell apart, then "silence" (pieces of the background recordings) and
"unknown" (all other words of the tree). Recordings that neither list names are for training;
without lists a hash of the speaker decides, by the rule that made the official ones.
"""

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlperf_tiny.datasets import WORDS
from mlperf_tiny.datasets.bad_files import DataWarning, report_bad_files
from mlperf_tiny.datasets.speech_samples import Clip, ClipReader, SpeechSamples, usable_features
from mlperf_tiny.datasets.wav import read_wav
from mlperf_tiny.features import FeatureCache, MfccParams
from trecx.errors import DataError
from trecx.task import DataSplits
from trecx.typed import nearest

SILENCE, UNKNOWN = "silence", "unknown"
DEFAULT_SHARE = 0.1

FOLDERS = ("speech_commands_v0.02", "speech_commands")
NOISE_FOLDER = "_background_noise_"
LISTS = {"calibration": "validation_list.txt", "test": "testing_list.txt"}
SPLITS = ("train", "calibration", "test")

# Each background recording is cut in three, so that no split hears another's silence; the noise
# of augmentation is the training part.
NOISE_PARTS = {"train": (0.0, 0.8), "calibration": (0.8, 0.9), "test": (0.9, 1.0)}

# The silence and unknown clips of calibration and test are the same for every training seed.
_FIXED_SEED = 0


@dataclass(frozen=True)
class Layout:
    """What a folder holds. Files are relative to `folder`, with forward slashes, sorted.

    words: word -> its files. noise: background recordings. listed: split -> the files that the
    official lists give to it; empty when there are no lists.
    """

    folder: Path
    words: Mapping[str, tuple[str, ...]]
    noise: tuple[str, ...]
    listed: Mapping[str, frozenset[str]]


def find_layout(path: str | Path) -> Layout:
    """Look at a folder, or at the one that the published archive unpacks to inside it.

    No recording is opened.

    Raises `DataError` when it is not of this layout: no folder, no word folders, or one list
    without the other, or lists that share a file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"Speech Commands must be a folder of word folders; {folder} is none")
    if not has_word_folders(folder):
        folder = next((folder / name for name in FOLDERS if (folder / name).is_dir()), folder)
    words = {
        entry.name: _wav_files(folder, entry.name)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(("_", "."))
    }
    if not any(words.values()):
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
        raise DataError(
            "Speech Commands must be a folder of word folders with WAV files "
            f"(<word>/<speaker>_nohash_<take>.wav); {folder} has {found}"
        )
    return Layout(folder, words, _wav_files(folder, NOISE_FOLDER), _read_lists(folder))


def has_word_folders(folder: Path) -> bool:
    """Whether there are WAV files in the folders of `folder`."""
    return any(map(_is_wav, folder.glob("*/*")))


def load(
    path: str | Path,
    *,
    seed: int = 0,
    words: Sequence[str] | str | None = None,
    silence: float | None = None,
    unknown: float | None = None,
    test_speakers: Sequence[str] | str = (),
    calibration_speakers: Sequence[str] | str = (),
    params: MfccParams | None = None,
    cache: str | Path | None = "auto",
    strict: bool = False,
    memory_limit: int = 2**30,
    name: str | None = None,
) -> DataSplits:
    """Read a tree of spoken words as MFCCs, by default of shape (n, 49, 10, 1).

    No two splits share a recording. Calibration is the official validation split.

    Args:
        seed: draws the silence and unknown clips of the training split; those of the other two
            do not depend on it.
        words: to tell apart, in this order (a sequence, or one string with commas). None: the
            benchmark's ten if the tree has them all, else every word of the tree.
        silence, unknown: clips of these classes as a share of the word clips of a split; 0
            leaves the class out. None: 0.1 if the tree has background recordings or other words.
        test_speakers, calibration_speakers: whole speakers for a split, in place of that split's
            list; all other recordings on the replaced list go to training.
        cache: folder for computed features; "auto" is the user's cache, None keeps none.
        strict: an unusable file is an error; otherwise up to a tenth are skipped, with a warning.
        memory_limit: bytes of recordings that a split keeps in memory for augmentation; a larger
            split reads them again whenever it needs them.
        name: of the data in reports.

    Raises:
        DataError: wrong layout, an empty class, a word or speaker that is not there, too many
            unusable files, or a class that the tree cannot give.
    """
    params = params or MfccParams()
    layout = find_layout(path)
    words = _choose_words(layout, _names(words))
    held_out = {"calibration": _names(calibration_speakers), "test": _names(test_speakers)}
    files = assign_splits(layout, held_out)
    noise, bad = _read_noise(layout, params)
    plan = _Plan(layout, words, noise, params, silence=silence, unknown=unknown)

    reader = ClipReader(layout.folder, noise, params)
    features_cache = FeatureCache.at(cache)
    training_noise = plan.training_noise()
    splits: dict[str, SpeechSamples] = {}
    looked_at = set(layout.noise)
    if absent := absent_recordings(layout):
        if strict:
            raise DataError(absent)
        warnings.warn(absent, DataWarning, stacklevel=2)
    for split in SPLITS:
        clips, numbers = plan.clips(split, files[split], seed if split == "train" else _FIXED_SEED)
        looked_at.update(clip.file for clip in clips)
        kept, features, unusable = usable_features(clips, reader, features_cache)
        bad |= unusable
        splits[split] = SpeechSamples(
            [clips[i] for i in kept],
            numbers[kept],
            features,
            reader,
            noise=training_noise,
            memory_limit=memory_limit,
        )
    report_bad_files(bad, len(looked_at), strict=strict)
    _check_classes(splits, plan.labels, layout.folder)
    return DataSplits(name or _title(words, held_out), **splits, labels=plan.labels)


def assign_splits(
    layout: Layout, held_out: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Every recording of a word folder in exactly one of train, calibration, test.

    held_out: split -> its speakers, in place of that split's list (or hash).

    Raises `DataError` for a speaker that is not there, or in two splits.
    """
    held_out = {split: names for split, names in (held_out or {}).items() if names}
    recordings = [file for files in layout.words.values() for file in files]
    _check_speakers(held_out, {speaker_of(file) for file in recordings}, layout.folder)
    split_of_speaker = {name: split for split, names in held_out.items() for name in names}
    out: dict[str, list[str]] = {split: [] for split in SPLITS}
    for file in recordings:
        split = split_of_speaker.get(speaker_of(file))
        if split is None:
            split = _published_split(layout, file)
            split = "train" if split in held_out else split
        out[split].append(file)
    return out


def speaker_of(file: str) -> str:
    """The speaker of `<word>/<speaker>_nohash_<take>.wav`; the whole stem of another name."""
    return Path(file).stem.split("_nohash_")[0]


def split_by_hash(speaker: str, held_out: float = 0.1) -> str:
    """The split that the data set's own rule gives to a speaker, stable as recordings are added.

    The SHA-1 of the name, modulo 2^27, as a share of 2^27 - 1: the first `held_out` is validation
    (here calibration), the next test (Warden, "Speech Commands", 2018, section 7).
    """
    largest = 2**27 - 1
    place = (
        int(hashlib.sha1(speaker.encode(errors="surrogateescape")).hexdigest(), 16)
        % (largest + 1)
        / largest
    )
    if place < held_out:
        return "calibration"
    return "test" if place < 2 * held_out else "train"


class _Plan:
    """Which clips, with which labels, make up a split."""

    def __init__(
        self,
        layout: Layout,
        words: Sequence[str],
        noise: Mapping[str, np.ndarray],
        params: MfccParams,
        *,
        silence: float | None,
        unknown: float | None,
    ):
        others = [word for word, files in layout.words.items() if files and word not in words]
        self._words, self._others = tuple(words), tuple(others)
        self._noise, self._length = noise, params.clip_samples
        needs = f"usable WAV files in {NOISE_FOLDER}"
        self._silence = _share(SILENCE, silence, bool(noise), needs, self._words)
        needs = "words other than those asked for"
        self._unknown = _share(UNKNOWN, unknown, bool(others), needs, self._words)
        self.labels = (
            *self._words,
            *((SILENCE,) if self._silence else ()),
            *((UNKNOWN,) if self._unknown else ()),
        )

    def clips(self, split: str, files: Sequence[str], seed: int) -> tuple[list[Clip], np.ndarray]:
        """The clips of a split and their class numbers, int64."""
        rng = np.random.default_rng([SPLITS.index(split), seed])
        spoken = [file for file in files if _word(file) in self._words]
        pairs = [(Clip(file), self.labels.index(_word(file))) for file in spoken]
        if self._silence:
            pieces = self._pieces(split, math.ceil(self._silence * len(spoken)), rng)
            pairs += [(clip, self.labels.index(SILENCE)) for clip in pieces]
        if self._unknown:
            pool = [file for file in files if _word(file) in self._others]
            chosen = rng.permutation(len(pool))[: math.ceil(self._unknown * len(spoken))]
            pairs += [(Clip(pool[i]), self.labels.index(UNKNOWN)) for i in np.sort(chosen)]
        return [clip for clip, _ in pairs], np.array([label for _, label in pairs], np.int64)

    def training_noise(self) -> list[np.ndarray]:
        """The parts of the background recordings that training may hear, float32 in -1..1."""
        full_scale = np.float32(2**15)
        return [
            self._noise[file][start:stop].astype(np.float32) / full_scale
            for file, start, stop in self._parts("train")
        ]

    def _pieces(self, split: str, count: int, rng: np.random.Generator) -> list[Clip]:
        parts = self._parts(split)
        if not parts:
            first, last = NOISE_PARTS[split]
            raise DataError(
                f"silence for {split} comes from {last - first:.0%} of each background recording, "
                f"which must hold a clip of {self._length} samples; none does: use longer "
                "recordings, or silence=0"
            )
        out = []
        for number in range(count):
            file, start, stop = parts[number % len(parts)]
            out.append(Clip(file, int(rng.integers(start, stop - self._length + 1))))
        return out

    def _parts(self, split: str) -> list[tuple[str, int, int]]:
        """(file, start, stop) of the split's part of each recording, if it can hold a clip."""
        first, last = NOISE_PARTS[split]
        parts = [
            (file, math.ceil(first * len(samples)), math.floor(last * len(samples)))
            for file, samples in self._noise.items()
        ]
        return [part for part in parts if part[2] - part[1] >= self._length]


def _share(
    label: str, asked: float | None, possible: bool, needs: str, words: Sequence[str]
) -> float:
    if asked is None:
        return DEFAULT_SHARE if possible and label not in words else 0.0
    if asked and label in words:
        raise DataError(
            f"class {label!r} is among the words, with recordings of its own: use {label}=0"
        )
    if not 0 <= asked <= 1:
        raise DataError(f"the share of {label!r} clips must be 0..1, got {asked}")
    if asked and not possible:
        raise DataError(f"class {label!r} needs {needs}, and there are none: use {label}=0")
    return asked


def _choose_words(layout: Layout, asked: tuple[str, ...]) -> tuple[str, ...]:
    if not asked:
        standard = all(layout.words.get(word) for word in WORDS)
        return WORDS if standard else tuple(layout.words)
    if len(set(asked)) != len(asked):
        raise DataError(f"words must differ from each other, got {', '.join(asked)}")
    for word in asked:
        if word not in layout.words:
            hint = nearest(word, layout.words)
            raise DataError(f"{layout.folder} has no folder for the word {word!r}; {hint}")
    return asked


def _check_speakers(held_out: Mapping[str, Sequence[str]], known: set[str], folder: Path) -> None:
    names = [name for speakers in held_out.values() for name in speakers]
    for name in names:
        if name not in known:
            hint = nearest(name, sorted(known))
            raise DataError(f"{folder} has no recording of a speaker {name!r}; {hint}")
        if names.count(name) > 1:
            raise DataError(f"speaker {name!r} must be held out for one split, got it twice")


def _published_split(layout: Layout, file: str) -> str:
    if not layout.listed:
        return split_by_hash(speaker_of(file))
    return next((split for split, files in layout.listed.items() if file in files), "train")


def _read_lists(folder: Path) -> dict[str, frozenset[str]]:
    present = {split: folder / name for split, name in LISTS.items() if (folder / name).is_file()}
    if not present:
        return {}
    if len(present) < len(LISTS):
        missing = next(name for split, name in LISTS.items() if split not in present)
        raise DataError(f"{folder} must have both official lists or neither; {missing} is missing")
    listed = {split: frozenset(_read_list(path)) for split, path in present.items()}
    both = frozenset.intersection(*listed.values())
    if both:
        raise DataError(
            f"{' and '.join(LISTS.values())} in {folder} must share no file, "
            f"got {len(both)} in both, such as {min(both)}"
        )
    return listed


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a text file with a recording a line ({error})") from None
    files = [line.strip() for line in lines if line.strip()]
    for file in files:
        word, *rest = file.split("/")
        # In another form it would name none, and its recording would be trained on.
        if len(rest) != 1 or word in ("", ".", "..") or not _is_wav(Path(file)):
            raise DataError(f"{path}: every line must be <word>/<recording>.wav, got {file!r}")
    return files


def absent_recordings(layout: Layout) -> str:
    """A line on recordings that are listed but not there, though others of their word are; empty
    when there are none."""
    there = {file for files in layout.words.values() for file in files}
    named = frozenset().union(*layout.listed.values())
    absent = sorted(file for file in named - there if layout.words.get(_word(file)))
    if not absent:
        return ""
    return f"on the official lists but not in {layout.folder}: {len(absent)}, such as {absent[0]}"


def _read_noise(layout: Layout, params: MfccParams) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The usable background recordings, and file -> reason for the others."""
    noise, bad = {}, {}
    for file in layout.noise:
        try:
            noise[file] = read_wav(layout.folder / file, params.sample_rate)
        except DataError as error:
            bad[file] = str(error)
    return noise, bad


def _check_classes(splits: Mapping[str, SpeechSamples], labels: Sequence[str], folder: Path):
    for split, samples in splits.items():
        counts = np.bincount(samples.labels, minlength=len(labels))
        empty = [label for label, count in zip(labels, counts, strict=True) if not count]
        if empty:
            raise DataError(
                f"every class must have a clip in each split; in {folder}, {split} has none of "
                f"{', '.join(empty)}: add recordings, or leave the class out (options words, "
                "silence, unknown)"
            )


def _wav_files(folder: Path, name: str) -> tuple[str, ...]:
    return tuple(
        sorted(f"{name}/{path.name}" for path in (folder / name).glob("*") if _is_wav(path))
    )


def _is_wav(path: Path) -> bool:
    return path.suffix.lower() == ".wav"


def _word(file: str) -> str:
    return file.split("/")[0]


def _names(value: Sequence[str] | str | None) -> tuple[str, ...]:
    """A sequence of names, or one string with commas between them."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(part for part in value or () if part)


def _title(words: Sequence[str], held_out: Mapping[str, Sequence[str]]) -> str:
    """The same wherever the folder lies: a trained model remembers its data by this."""
    title = "Speech Commands" if tuple(words) == WORDS else f"{len(words)} spoken words"
    speakers = [f"{split} {'+'.join(names)}" for split, names in held_out.items() if names]
    return title + (f", speakers held out for {', '.join(speakers)}" if speakers else "")
