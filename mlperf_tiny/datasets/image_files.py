"""Image files as arrays, by Pillow (optional: the `train` extra installs it)."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS
from trecx.errors import DataError, InputError, ToolMissingError

_CHUNK = 256


def read_image(path: Path | str, side: int) -> np.ndarray:
    """An image of any size and mode as uint8 (side, side, 3).

    Another size is resized by a Lanczos filter, which does not keep the proportions: so the
    benchmark's own 96x96 images were made.

    Raises:
        DataError: the file cannot be read or decoded.
        ToolMissingError: Pillow is not installed.
    """
    with _opened(path) as image:
        rgb = image.convert("RGB")
    if rgb.size != (side, side):
        rgb = rgb.resize((side, side), _pillow().Resampling.LANCZOS)
    return np.asarray(rgb, np.uint8)


def image_size(path: Path | str) -> tuple[int, int]:
    """(width, height) in pixels from the file's header; raises as `read_image`."""
    with _opened(path) as image:
        return image.size


@contextmanager
def _opened(path: Path | str):
    """The image file, with every way in which Pillow reports damage turned into `DataError`."""
    image_module = _pillow()
    try:
        with image_module.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: must be an image that can be decoded ({reason})") from None
    except image_module.DecompressionBombError as error:
        raise DataError(f"{path}: must be an image of reasonable size ({error})") from None


def read_images(
    paths: Sequence[Path], side: int, *, keep: bool = True
) -> tuple[np.ndarray, dict[int, str]]:
    """Decode many images, on all cores.

    Returns:
        (uint8 (n, side, side, 3), all zeros where an image is bad; position -> reason of the bad
        ones). With keep=False only the check is made and the array is empty.
    """
    images = np.zeros((len(paths) if keep else 0, side, side, 3), np.uint8)
    bad: dict[int, str] = {}

    def read(position: int) -> None:
        try:
            image = read_image(paths[position], side)
        except DataError as error:
            bad[position] = str(error)
        else:
            if keep:
                images[position] = image

    _pillow()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(paths), _CHUNK):
            list(pool.map(read, range(start, min(start + _CHUNK, len(paths)))))
    return images, dict(sorted(bad.items()))


@dataclass(frozen=True)
class StreamedImages:
    """Samples (see `trecx.task.Samples`) that are decoded whenever they are asked for.

    paths: n files. labels: int64 (n,). An input is the pixels times `scale`.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    side: int
    scale: float = 1 / 255
    augmentations: dict = field(default_factory=lambda: dict(IMAGE_AUGMENTATIONS))

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._to_input(self._pixels(indices))

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        if name == "none":
            return self.inputs(indices)
        if name not in self.augmentations:
            known = ", ".join(["none", *self.augmentations])
            raise InputError(f"unknown augmentation {name!r}; this data set has: {known}")
        return self._to_input(self.augmentations[name](self._pixels(indices), rng))

    def _pixels(self, indices: np.ndarray | slice) -> np.ndarray:
        chosen = [self.paths[i] for i in np.arange(len(self))[indices]]
        images, bad = read_images(chosen, self.side)
        if bad:
            raise DataError(next(iter(bad.values())))
        return images

    def _to_input(self, batch: np.ndarray) -> np.ndarray:
        return batch.astype(np.float32) * np.float32(self.scale)


def _pillow():
    try:
        from PIL import Image
    except ImportError:
        raise ToolMissingError(
            "reading images needs Pillow, which is not installed: pip install 'trecx[train]'"
        ) from None
    return Image
