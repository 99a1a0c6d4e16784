"""CIFAR-10 in its two published layouts (Krizhevsky, 2009), read with NumPy alone.

- python: `data_batch_1` .. `data_batch_5` and `test_batch`, pickled dictionaries
  (`cifar-10-batches-py`);
- binary: `data_batch_1.bin` .. and `test_batch.bin`, rows of one label byte and 3,072 pixel bytes
  (`cifar-10-batches-bin`).

In both, an image is 1,024 red, then 1,024 green, then 1,024 blue bytes, row by row.
"""

import pickle
from pathlib import Path

import numpy as np

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS
from mlperf_tiny.datasets import CIFAR10_CLASSES
from trecx.errors import DataError
from trecx.task import ArraySamples, DataSplits, split_indices

IMAGE_BYTES = 3 * 32 * 32
TRAIN_FILES = tuple(f"data_batch_{n}" for n in range(1, 6))
TEST_FILE = "test_batch"


def load(
    path: str | Path, *, seed: int = 0, calibration: int | None = None, name: str = "CIFAR-10"
) -> DataSplits:
    """Read CIFAR-10 from `path` or from its usual folder inside.

    The published test set is the test split; `calibration` of the training images, drawn by
    `seed` with the classes in equal shares, become the calibration split (None: a tenth, 5,000 of
    the published set). Pixels stay 0..255.

    Raises `DataError` when the folder has neither layout or a file is damaged, `InputError` when
    there are not so many images.
    """
    folder, suffix = _find_layout(Path(path))
    read = _read_binary if suffix else _read_pickled
    parts = [read(folder / (file + suffix)) for file in TRAIN_FILES]
    train = ArraySamples(
        np.concatenate([x for x, _ in parts]),
        np.concatenate([y for _, y in parts]),
        augmentations=IMAGE_AUGMENTATIONS,
    )
    test = ArraySamples(*read(folder / (TEST_FILE + suffix)))
    held_out_count = len(train) // 10 if calibration is None else calibration
    kept, held_out = split_indices(train.labels, held_out_count, seed=seed)
    return DataSplits(name, train.take(kept), train.take(held_out), test, CIFAR10_CLASSES)


def _find_layout(path: Path) -> tuple[Path, str]:
    """The folder with the batches and their suffix ("" for the python layout)."""
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        for suffix in ("", ".bin"):
            files = [folder / (file + suffix) for file in (*TRAIN_FILES, TEST_FILE)]
            missing = [file.name for file in files if not file.is_file()]
            if not missing:
                return folder, suffix
            if len(missing) < len(files):
                raise DataError(f"CIFAR-10 in {folder} is incomplete: {', '.join(missing)} missing")
    found = sorted(entry.name for entry in path.iterdir())[:6] if path.is_dir() else "no folder"
    raise DataError(
        "CIFAR-10 must be a folder with data_batch_1 .. 5 and test_batch (python layout) or the "
        f"same with .bin (binary layout); {path} has {found or 'nothing'}"
    )


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % (1 + IMAGE_BYTES):
        raise DataError(f"{path}: {len(data)} bytes is no multiple of {1 + IMAGE_BYTES}")
    rows = data.reshape(-1, 1 + IMAGE_BYTES)
    return _checked(path, rows[:, 1:], rows[:, 0])


def _read_pickled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with open(path, "rb") as file:
            batch = _ArrayUnpickler(file, encoding="bytes").load()
        return _checked(path, np.asarray(batch[b"data"]), np.asarray(batch[b"labels"]))
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a CIFAR-10 python batch: {error!r}") from None


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and plain types, and refuses to call anything else."""

    ALLOWED = frozenset(
        (package, name)
        for package in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
        for name in ("_reconstruct", "ndarray", "dtype")
    )

    def find_class(self, module, name):
        if (module, name) in self.ALLOWED or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")


def _checked(path: Path, pixels: np.ndarray, labels: np.ndarray):
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), IMAGE_BYTES):
        raise DataError(
            f"{path}: images must be uint8 of shape ({len(labels)}, {IMAGE_BYTES}), "
            f"got {pixels.dtype} {pixels.shape}"
        )
    if not len(labels) or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: labels must be whole numbers, got {len(labels)} {labels.dtype}")
    if labels.min() < 0 or labels.max() >= len(CIFAR10_CLASSES):
        raise DataError(f"{path}: labels must be 0..9, got {labels.min()}..{labels.max()}")
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype(np.int64)
