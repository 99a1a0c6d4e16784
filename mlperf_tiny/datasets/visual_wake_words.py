"""Visual Wake Words (Chowdhery et al., 2019) in MLPerf Tiny's layout.

    vw_coco2014_96/person/*.jpg, vw_coco2014_96/non_person/*.jpg           96x96, from COCO 2014
    vw_coco2014_96_minival/person/*.jpg, ...                               optional: the test set

An image counts as person when a person covers more than 2.5 % of it. As in the reference, the
first tenth of each class by file name is held out of training.
"""

from pathlib import Path

import numpy as np

from mlperf_tiny.datasets import LABELS as BENCHMARK_LABELS
from mlperf_tiny.datasets.bad_files import report_bad_files
from mlperf_tiny.datasets.image_files import image_samples
from trecx.errors import DataError, InputError
from trecx.task import DataSplits, Repeated

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
    large_side: int | None = None,
    calibration_of_test: float | None = None,
    views: int = 1,
    strict: bool = False,
    memory_limit: int = 2**30,
    name: str = "Visual Wake Words",
) -> DataSplits:
    """Read person/ and non_person/ from `path`, or from its folder vw_coco2014_96.

    Inputs are float32 0..1, (n, side, side, 3). The first tenth of each class is the calibration
    split if there is a test set of its own; otherwise one half of it is calibration, the other
    test. No image is in two splits. Where images are few, `calibration_of_test` gives calibration
    more of them.

    Args:
        seed: unused, as the split is fixed.
        test_path: folder with the test set, in the same layout. None: the folder beside the
            training set with "_minival" behind its name, if it is there.
        side: images of another size are resized to it.
        large_side: keep the training images at this side, larger than `side`, for augmentations
            that take random crops.
        calibration_of_test: this share of each class of the test set is the calibration split
            (the first by file name), and nothing is held out of the training set.
        views: how often an epoch shows each training image, every time altered anew.
        strict: an unusable file is an error; otherwise up to a tenth are skipped, with a warning.
        memory_limit: bytes of pixels of a split to keep in memory; a larger split is decoded
            again whenever it is needed (every file is still checked here).

    Raises:
        DataError: wrong layout, an empty class, too many unusable files.
        ToolMissingError: Pillow is not installed.
    """
    folder = find_folder(path)
    _check_options(side, large_side, calibration_of_test)
    test_folder = find_test_folder(folder, test_path)
    plans = assign_splits(folder, test_folder, calibration_of_test)
    bad: dict[str, str] = {}
    splits = {}
    for split, classes in plans.items():
        labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes])
        splits[split], unusable = image_samples(
            [path for files in classes for path in files],
            labels,
            side,
            large_side=large_side if split == "train" else None,
            memory_limit=memory_limit,
        )
        bad |= unusable
    total = sum(len(files) for classes in plans.values() for files in classes)
    report_bad_files(bad, total, strict=strict)
    _check_usable(splits, folder)
    if views != 1:
        splits["train"] = Repeated(splits["train"], views)
    return DataSplits(name, **splits, labels=LABELS)


def assign_splits(
    folder: Path, test_folder: Path | None, calibration_of_test: float | None = None
) -> dict[str, list[list[Path]]]:
    """split -> for each class of `LABELS` its files. See `load`; raises as it does."""
    if calibration_of_test is not None and test_folder is None:
        raise InputError("calibration_of_test needs a test set of its own: give test_path")
    plans: dict[str, list[list[Path]]] = {"train": [], "calibration": [], "test": []}
    for label in LABELS:
        images = _images(folder / label)
        if test_folder is None:
            held_out = round(HELD_OUT * len(images))
            parts = images[held_out:], images[: held_out // 2], images[held_out // 2 : held_out]
        elif calibration_of_test is None:
            held_out = round(HELD_OUT * len(images))
            parts = images[held_out:], images[:held_out], _images(test_folder / label)
        else:
            test = _images(test_folder / label)
            first = round(calibration_of_test * len(test))
            parts = images, test[:first], test[first:]
        for split, files in zip(plans, parts, strict=True):
            plans[split].append(files)
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


def _check_options(side: int, large_side: int | None, calibration_of_test: float | None) -> None:
    if side < 1:
        raise InputError(f"side must be at least 1 pixel, got {side}")
    if large_side is not None and large_side < side:
        raise InputError(f"large_side must be at least side ({side}), got {large_side}")
    if calibration_of_test is not None and not 0 < calibration_of_test < 1:
        raise InputError(f"calibration_of_test must be between 0 and 1, got {calibration_of_test}")


def _check_usable(splits, folder: Path) -> None:
    for split, samples in splits.items():
        if len(np.unique(samples.labels)) < len(LABELS):
            raise DataError(f"in {folder}, {split} has no usable image of one of the classes")
