"""What a folder of data holds: which set, in which layout, how many samples of which classes.

Recordings are read and checked; of images only the headers are, so that it stays quick.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlperf_tiny.datasets import cifar10, speech_commands, visual_wake_words
from mlperf_tiny.datasets.image_files import image_size
from mlperf_tiny.datasets.wav import read_wav
from mlperf_tiny.features import SAMPLE_RATE, MfccParams
from trecx.errors import DataError

SPLITS = ("train", "calibration", "test")
_NAMED = 3


@dataclass(frozen=True)
class DataInfo:
    """One data set found.

    source: name of the task's data source that reads it. layout: in words. counts: class -> split
    -> samples. raw: what the files hold, for instance "480 x 320 pixels" -> number of files.
    input_shape: of one sample as a model sees it. unusable: number of files that a loader would
    refuse; notes: lines for the reader, with the names of some of those.
    """

    source: str
    title: str
    folder: str
    layout: str
    counts: dict[str, dict[str, int]]
    raw: dict[str, int]
    input_shape: tuple[int, ...]
    unusable: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, int]:
        """split -> samples of all classes."""
        return {s: sum(by_split[s] for by_split in self.counts.values()) for s in SPLITS}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        fields = dataclasses.asdict(self)
        return {**fields, "input_shape": list(self.input_shape), "totals": self.totals}

    def lines(self) -> list[str]:
        """For a terminal: a head, a table of the classes, notes."""
        width = max(len(name) for name in (*self.counts, "class", "total"))
        rows = [("class", SPLITS), *((n, c.values()) for n, c in self.counts.items())]
        rows.append(("total", self.totals.values()))
        return [
            f"{self.title} in {self.folder}",
            f"layout   {self.layout}",
            f"holds    {_most(self.raw)}",
            f"input    {' x '.join(map(str, self.input_shape))}",
            "",
            *(
                f"{name:{width}}  " + "".join(f"{value!s:>12}" for value in values)
                for name, values in rows
            ),
            *([""] if self.notes else []),
            *self.notes,
        ]


def _most(raw: dict[str, int], shown: int = 5) -> str:
    """The most frequent kinds of files with their numbers; photographs may be of any size."""
    rest = sum(list(raw.values())[shown:])
    kinds = [f"{count} of {what}" for what, count in list(raw.items())[:shown]]
    return ", ".join(kinds + [f"{rest} of other kinds"] * bool(rest))


def inspect(path: str | Path) -> list[DataInfo]:
    """Every known data set in `path` itself or in a folder directly inside.

    Raises `DataError` when there is none, or when one is there but damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"data must be a folder; {path} is none")
    found = _inspect_folder(path)
    if not found:
        inside = sorted(entry for entry in path.iterdir() if entry.is_dir())
        # A test set is shown with the training set that it lies beside.
        own = [folder for folder in inside if not _is_test_set_of(folder, inside)]
        found = [info for folder in own for info in _inspect_folder(folder)]
    if not found:
        raise DataError(
            f"no known data set in {path}: looked for CIFAR-10 (data_batch_1 or data_batch_1.bin), "
            "Visual Wake Words (person/ and non_person/) and words (<word>/*.wav)"
        )
    return found


def _inspect_folder(folder: Path) -> list[DataInfo]:
    """The set whose files lie in this very folder, if it is one; a list of none or one."""
    if any((folder / f"data_batch_1{suffix}").is_file() for suffix in ("", ".bin")):
        return [_cifar10(folder)]
    if any((folder / label).is_dir() for label in visual_wake_words.LABELS):
        return [_visual_wake_words(folder)]
    if speech_commands.has_word_folders(folder):
        return [_speech(folder)]
    return []


def _is_test_set_of(folder: Path, others: list[Path]) -> bool:
    return folder.name in {other.name + visual_wake_words.TEST_SUFFIX for other in others}


def _cifar10(folder: Path) -> DataInfo:
    data = cifar10.load(folder)
    counts = {
        split: np.bincount(getattr(data, split).labels, minlength=len(data.labels))
        for split in SPLITS
    }
    binary = (folder / "data_batch_1.bin").is_file()
    return DataInfo(
        source="cifar10",
        title=data.name,
        folder=str(folder),
        layout="binary version (*.bin)" if binary else "python version (pickled batches)",
        counts={
            label: {split: int(counts[split][number]) for split in SPLITS}
            for number, label in enumerate(data.labels)
        },
        raw={"32 x 32 pixels, RGB": sum(int(c.sum()) for c in counts.values())},
        input_shape=(32, 32, 3),
    )


def _visual_wake_words(folder: Path) -> DataInfo:
    folder = visual_wake_words.find_folder(folder)
    test_folder = visual_wake_words.find_test_folder(folder)
    plans = visual_wake_words.assign_splits(folder, test_folder)
    files = [path for classes in plans.values() for paths in classes for path in paths]
    raw, bad = _survey(files, lambda path: "{} x {} pixels".format(*image_size(path)))
    held_out = f"test set in {test_folder.name}/" if test_folder else "test set split off"
    return DataInfo(
        source="vww",
        title="Visual Wake Words",
        folder=str(folder),
        layout=f"person/ and non_person/, {held_out}",
        counts={
            label: {split: len(plans[split][number]) for split in SPLITS}
            for number, label in enumerate(visual_wake_words.LABELS)
        },
        raw=raw,
        input_shape=(visual_wake_words.SIDE, visual_wake_words.SIDE, 3),
        unusable=len(bad),
        notes=_notes(bad),
    )


def _speech(folder: Path) -> DataInfo:
    layout = speech_commands.find_layout(folder)
    splits = speech_commands.assign_splits(layout)
    counts = {word: dict.fromkeys(SPLITS, 0) for word in layout.words}
    for split, files in splits.items():
        for file in files:
            counts[file.split("/")[0]][split] += 1
    recordings = [folder / file for files in splits.values() for file in files]
    raw, bad = _survey(recordings, _length)
    speakers = {speech_commands.speaker_of(path.name) for path in recordings}
    noise, bad_noise = _survey([folder / file for file in layout.noise], _seconds)
    absent = speech_commands.absent_recordings(layout)
    lists = "official lists" if layout.listed else "no lists: split by a hash of the speaker"
    return DataInfo(
        source="speech",
        title="Spoken words",
        folder=str(folder),
        layout=f"<word>/<speaker>_nohash_<take>.wav, {lists}",
        counts=counts,
        raw=raw,
        input_shape=MfccParams().shape,
        unusable=len(bad) + len(bad_noise),
        notes=[
            f"{len(speakers)} speakers",
            f"{sum(noise.values())} background recordings"
            + (f" of {', '.join(noise)}" if noise else ": no silence class, no added noise"),
            *([absent] if absent else []),
            *_notes(bad | bad_noise),
        ],
    )


def _survey(
    files: list[Path], describe: Callable[[Path], str]
) -> tuple[dict[str, int], dict[Path, str]]:
    """How many files there are of each description, the most frequent first, and the bad ones."""
    raw: Counter[str] = Counter()
    bad = {}
    for path in files:
        try:
            raw[describe(path)] += 1
        except DataError as error:
            bad[path] = " ".join(str(error).split())  # also where a name has line breaks
    return dict(raw.most_common()), bad


def _length(path: Path) -> str:
    samples = len(read_wav(path))
    if samples == SAMPLE_RATE:
        return "1 s at 16 kHz"
    return "less than 1 s" if samples < SAMPLE_RATE else "more than 1 s (the rest is cut off)"


def _seconds(path: Path) -> str:
    return f"{len(read_wav(path)) / SAMPLE_RATE:.0f} s"


def _notes(bad: dict[Path, str]) -> list[str]:
    reasons = list(bad.values())
    more = [f"and {len(reasons) - _NAMED} more unusable files"] if len(reasons) > _NAMED else []
    return [f"unusable: {reason}" for reason in reasons[:_NAMED]] + more
