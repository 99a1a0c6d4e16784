"""Visual Wake Words (Chowdhery et al., 2019) in MLPerf Tiny's layout.

    vw_coco2014_96/person/*.jpg, vw_coco2014_96/non_person/*.jpg           96x96, from COCO 2014
    vw_coco2014_96_minival/person/*.jpg, ...                               optional: the test set

An image counts as person when a person covers more than 2.5 % of it. As in the reference, the
first tenth of each class by file name is held out of training.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS
from mlperf_tiny.datasets import LABELS as BENCHMARK_LABELS
from mlperf_tiny.datasets.bad_files import report_bad_files
from mlperf_tiny.datasets.image_files import StreamedImages, read_images
from trecx.errors import DataError
from trecx.task import ArraySamples, DataSplits, Samples

# In the reference's order, that of the folders' names.
LABELS = BENCHMARK_LABELS["vww"]
FOLDER = "vw_coco2014_96"
TEST_SUFFIX = "_minival"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
SIDE = 96
HELD_OUT = 0.1


def load(
    path: str | Path,
    *,
    seed: int = 0,
    test_path: str | Path | None = None,
    side: int = SIDE,
    strict: bool = False,
    memory_limit: int = 2**30,
    name: str = "Visual Wake Words",
) -> DataSplits:
    """Read person/ and non_person/ from `path`, or from its folder vw_coco2014_96.

    Inputs are float32 0..1, (n, side, side, 3). The first tenth of each class is the calibration
    split if there is a test set of its own; otherwise one half of it is calibration, the other
    test. No image is in two splits.

    Args:
        seed: unused, as the split is fixed.
        test_path: folder with the test set, in the same layout. None: the folder beside the
            training set with "_minival" behind its name, if it is there.
        side: images of another size are resized to it.
        strict: an unusable file is an error; otherwise up to a tenth are skipped, with a warning.
        memory_limit: bytes of pixels of a split to keep in memory; a larger split is decoded
            again whenever it is needed (every file is still checked here).

    Raises:
        DataError: wrong layout, an empty class, too many unusable files.
        ToolMissingError: Pillow is not installed.
    """
    folder = find_folder(path)
    plans = assign_splits(folder, find_test_folder(folder, test_path))
    bad: dict[str, str] = {}
    splits = {split: _samples(files, side, memory_limit, bad) for split, files in plans.items()}
    total = sum(len(files) for classes in plans.values() for files in classes)
    report_bad_files(bad, total, strict=strict)
    _check_usable(splits, folder)
    return DataSplits(name, **splits, labels=LABELS)


def assign_splits(folder: Path, test_folder: Path | None) -> dict[str, list[list[Path]]]:
    """split -> for each class of `LABELS` its files. Raises `DataError` for an empty class."""
    plans: dict[str, list[list[Path]]] = {"train": [], "calibration": [], "test": []}
    for label in LABELS:
        images = _images(folder / label)
        held_out = round(HELD_OUT * len(images))
        calibration = held_out if test_folder else held_out // 2
        plans["calibration"].append(images[:calibration])
        plans["train"].append(images[held_out:])
        plans["test"].append(
            _images(test_folder / label) if test_folder else images[calibration:held_out]
        )
    _check_classes(plans, folder)
    return plans


def find_folder(path: str | Path) -> Path:
    """The folder with the two classes. Raises `DataError` if there is none."""
    path = Path(path)
    for folder in (path, path / FOLDER):
        present = [label for label in LABELS if (folder / label).is_dir()]
        if len(present) == len(LABELS):
            return folder
        if present:
            missing = next(label for label in LABELS if label not in present)
            raise DataError(f"Visual Wake Words in {folder} is incomplete: {missing}/ is missing")
    found = sorted(entry.name for entry in path.iterdir())[:6] if path.is_dir() else "no folder"
    raise DataError(
        f"Visual Wake Words must be a folder with {' and '.join(f'{label}/' for label in LABELS)}; "
        f"{path} has {found or 'nothing'}"
    )


def find_test_folder(folder: Path, test_path: str | Path | None = None) -> Path | None:
    """`test_path` if it is given, else the folder beside `folder` if there is one, else None."""
    if test_path is None:
        beside = folder.resolve().with_name(folder.resolve().name + TEST_SUFFIX)
        return find_folder(beside) if beside.is_dir() else None
    test_folder = find_folder(test_path)
    if test_folder.resolve() == folder.resolve():
        raise DataError(f"the test set must be another folder than the training set, got {folder}")
    return test_folder


def _images(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"every class must have images ({', '.join(SUFFIXES)}); {folder} has none")
    return found


def _check_classes(plans, folder: Path) -> None:
    for split, classes in plans.items():
        for label, files in zip(LABELS, classes, strict=True):
            if not files:
                raise DataError(
                    f"every class must have enough images for each split; in {folder}, {split} "
                    f"gets none of {label}"
                )


def _samples(
    classes: Sequence[Sequence[Path]], side: int, memory_limit: int, bad: dict[str, str]
) -> Samples:
    paths = [path for files in classes for path in files]
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes])
    in_memory = len(paths) * side * side * 3 <= memory_limit
    images, unusable = read_images(paths, side, keep=in_memory)
    bad.update((str(paths[position]), reason) for position, reason in unusable.items())
    good = np.delete(np.arange(len(paths)), list(unusable))
    if not in_memory:
        return StreamedImages([paths[i] for i in good], labels[good], side)
    images = images[good] if unusable else images
    return ArraySamples(images, labels[good], 1 / 255, IMAGE_AUGMENTATIONS)


def _check_usable(splits, folder: Path) -> None:
    for split, samples in splits.items():
        if len(np.unique(samples.labels)) < len(LABELS):
            raise DataError(f"in {folder}, {split} has no usable image of one of the classes")
