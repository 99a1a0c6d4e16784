"""Image files as arrays, by Pillow."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS, augmentations_to
from mlperf_tiny.crops import resize
from mlperf_tiny.datasets.pillow import pillow, upright
from trecx.errors import DataError, InputError
from trecx.task import ArraySamples, Samples

_CHUNK = 256


def read_image(path: Path | str, side: int) -> np.ndarray:
    """An image of any size and mode as uint8 (side, side, 3), turned as its EXIF data say.

    Another size is resized by a Lanczos filter, which does not keep the proportions: so the
    benchmark's own 96x96 images were made.

    Raises:
        DataError: the file cannot be read or decoded.
        ToolMissingError: Pillow is not installed.
    """
    with _opened(path) as stored:
        image = upright(stored)
        # Pillow cuts 16-bit greys off at 255 instead of scaling them.
        grey16 = image.mode.startswith("I")
        eight_bits = pillow().fromarray(np.uint8(np.asarray(image) >> 8)) if grey16 else image
        rgb = eight_bits.convert("RGB")
    if rgb.size != (side, side):
        rgb = rgb.resize((side, side), pillow().Resampling.LANCZOS)
    return np.asarray(rgb, np.uint8)


def image_size(path: Path | str) -> tuple[int, int]:
    """(width, height) in pixels from the file's header; raises as `read_image`."""
    with _opened(path) as image:
        return image.size


@contextmanager
def _opened(path: Path | str):
    """The image file, with every way in which Pillow reports damage turned into `DataError`."""
    image_module = pillow()
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

    pillow()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(paths), _CHUNK):
            list(pool.map(read, range(start, min(start + _CHUNK, len(paths)))))
    return images, dict(sorted(bad.items()))


@dataclass(frozen=True)
class LargeImages(ArraySamples):
    """Images in memory that are larger than `side`, at which the network reads them.

    Its augmentations get them as they are, and return images of `side`.
    """

    side: int = 96

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._to_input(resize(self.x[indices], (self.side, self.side)))


@dataclass(frozen=True)
class StreamedImages:
    """Samples (see `trecx.task.Samples`) that are decoded whenever they are asked for.

    paths: n files. labels: int64 (n,). An input is the pixels times `scale`. large_side: at which
    augmentations get the images; they return images of `side`.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    side: int
    scale: float = 1 / 255
    large_side: int | None = None
    augmentations: dict = field(default_factory=lambda: dict(IMAGE_AUGMENTATIONS))

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._to_input(self._pixels(indices, self.side))

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        if name == "none":
            return self.inputs(indices)
        if name not in self.augmentations:
            known = ", ".join(["none", *self.augmentations])
            raise InputError(f"unknown augmentation {name!r}; this data set has: {known}")
        pixels = self._pixels(indices, self.large_side or self.side)
        return self._to_input(self.augmentations[name](pixels, rng))

    def _pixels(self, indices: np.ndarray | slice, side: int) -> np.ndarray:
        chosen = [self.paths[i] for i in np.arange(len(self))[indices]]
        images, bad = read_images(chosen, side)
        if bad:
            raise DataError(next(iter(bad.values())))
        return images

    def _to_input(self, batch: np.ndarray) -> np.ndarray:
        return batch.astype(np.float32) * np.float32(self.scale)


def image_samples(
    paths: Sequence[Path],
    labels: np.ndarray,
    side: int,
    *,
    large_side: int | None = None,
    memory_limit: int = 2**30,
) -> tuple[Samples, dict[str, str]]:
    """Samples of image files, without those that cannot be decoded; path -> reason of these.

    side: at which the network reads them. large_side: at which augmentations get them, if they
    are to see more than the network does. memory_limit: bytes of pixels to keep in memory; more
    are decoded whenever they are needed.
    """
    stored = large_side or side
    in_memory = len(paths) * stored * stored * 3 <= memory_limit
    images, unusable = read_images(paths, stored, keep=in_memory)
    bad = {str(paths[position]): reason for position, reason in unusable.items()}
    good = np.delete(np.arange(len(paths)), list(unusable))
    labels = labels[good]
    augmentations = augmentations_to((side, side)) if large_side else IMAGE_AUGMENTATIONS
    if not in_memory:
        kept = [paths[i] for i in good]
        return StreamedImages(kept, labels, side, 1 / 255, large_side, augmentations), bad
    images = images[good] if unusable else images
    if large_side:
        return LargeImages(images, labels, 1 / 255, augmentations, side), bad
    return ArraySamples(images, labels, 1 / 255, augmentations), bad
