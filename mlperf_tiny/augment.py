"""Random alterations of training images, cheap beside a training step.

Each takes a batch of images, uint8 of shape (n, h, w, c), and returns one of the same kind.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from mlperf_tiny.crops import Size, alter_colours, mix, random_crops, resize


def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror every image left to right with probability 1/2."""
    mirrored = rng.random(len(images)) < 0.5
    images = images.copy()
    images[mirrored] = images[mirrored, :, ::-1]
    return images


def shift(images: np.ndarray, rng: np.random.Generator, reach: int = 4) -> np.ndarray:
    """Move every image by up to `reach` pixels along each axis, mirroring at the borders."""
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    dy, dx = rng.integers(0, 2 * reach + 1, (2, n))
    moved = np.empty_like(images)
    for image in range(n):
        y, x = dy[image], dx[image]
        moved[image] = padded[image, y : y + height, x : x + width]
    return moved


def flip_shift(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`flip`, then `shift`."""
    return shift(flip(images, rng), rng)


def affine(
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    degrees: float,
    move: float,
    zoom: float = 0.0,
) -> np.ndarray:
    """Rotate, move (by a share of the side) and zoom at random; bilinear, borders repeated.

    At most 4 channels.
    """
    n, height, width, _ = images.shape
    angle = np.deg2rad(rng.uniform(-degrees, degrees, n)).astype(np.float32)
    scale = rng.uniform(1 - zoom, 1 + zoom, n).astype(np.float32)
    dy = (rng.uniform(-move, move, n) * height).astype(np.float32)[:, None]
    dx = (rng.uniform(-move, move, n) * width).astype(np.float32)[:, None]
    cos, sin = ((f(angle) * scale)[:, None] for f in (np.cos, np.sin))
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    grid_y = np.arange(height, dtype=np.float32) - centre_y
    grid_x = np.arange(width, dtype=np.float32) - centre_x
    # Each place is the sum of a term for its row and one for its column.
    y = (cos * grid_y + (centre_y + dy))[:, :, None], (sin * grid_x)[:, None, :]
    x = (-sin * grid_y + (centre_x + dx))[:, :, None], (cos * grid_x)[:, None, :]
    return _bilinear(images, _sixteenths(*y, height), _sixteenths(*x, width))


def _sixteenths(rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """rows + columns, kept within an image's side, in sixteenths of a pixel."""
    places = (rows * 16 + np.float32(0.5)) + columns * 16
    np.clip(places, 0, (size - 1) * 16 + 0.5, out=places)
    return places.astype(np.int32)


def _bilinear(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Pixels at the places (y, x), int32 of shape (n, h, w), in sixteenths of a pixel.

    A pixel's channels (up to 4) are handled as one 32-bit word, which makes it several times
    faster than channel by channel: the four weights are integers that sum to 256, so that a
    weighted sum of bytes fits in 16 bits and two channels share a word without touching.
    """
    n, height, width, channels = images.shape
    # One more row and column, so that the neighbours of every pixel exist.
    words = np.zeros((n, height + 1, width + 1, 4), np.uint8)
    words[:, :height, :width, :channels] = images
    words[:, height], words[:, :, width] = words[:, height - 1], words[:, :, width - 1]
    words = words.view(np.uint32).ravel()
    stride = width + 1
    first = (np.arange(n, dtype=np.int32) * ((height + 1) * stride))[:, None, None]
    corner = (y >> 4) * stride
    corner += x >> 4
    corner += first
    wy, wx = ((place & 15).astype(np.uint32) for place in (y, x))
    rest_y, rest_x = 16 - wy, 16 - wx

    lanes = np.uint32(0x00FF00FF)
    even = np.full(y.shape, 0x00800080, np.uint32)  # Half of the last place, to round.
    odd = even.copy()
    for offset, weight in (
        (0, rest_y * rest_x),
        (1, rest_y * wx),
        (stride, wy * rest_x),
        (stride + 1, wy * wx),
    ):
        pixel = words[offset:].take(corner)
        part = pixel & lanes
        part *= weight
        even += part
        pixel >>= 8
        pixel &= lanes
        pixel *= weight
        odd += pixel
    even >>= 8
    even &= lanes
    odd &= np.uint32(0xFF00FF00)
    even |= odd
    return np.ascontiguousarray(even.view(np.uint8).reshape(n, height, width, 4)[..., :channels])


def rotate_shift_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T-RecX's augmentation for CIFAR-10: 15 degrees, 10 % of the side, mirrored."""
    return affine(flip(images, rng), rng, degrees=15, move=0.1)


def rotate_shift_zoom_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T-RecX's augmentation for visual wake words: 10 degrees, 5 %, zoom 10 %, mirrored."""
    return affine(flip(images, rng), rng, degrees=10, move=0.05, zoom=0.1)


def crop_flip_colour(
    images: np.ndarray, rng: np.random.Generator, size: Size | None = None
) -> np.ndarray:
    """A random part of each image (at `size`, or its own), mirrored, in altered colours."""
    crops = random_crops(images, rng, size or images.shape[1:3])
    return alter_colours(flip(crops, rng), rng)


def crop_flip_colour_mix(
    images: np.ndarray, rng: np.random.Generator, size: Size | None = None
) -> np.ndarray:
    """As `crop_flip_colour`; half of the images are then blended with another one."""
    return mix(crop_flip_colour(images, rng, size), rng)


_CROPS = {"crop-flip-colour": crop_flip_colour, "crop-flip-colour-mix": crop_flip_colour_mix}
IMAGE_AUGMENTATIONS = {
    "flip": flip,
    "flip-shift": flip_shift,
    "rotate-shift-flip": rotate_shift_flip,
    "rotate-shift-zoom-flip": rotate_shift_zoom_flip,
    **_CROPS,
}


def augmentations_to(size: Size) -> dict[str, Callable]:
    """`IMAGE_AUGMENTATIONS` for larger images, whose results are of `size`.

    Crops are taken from the images as they are; for all others these are resized first.
    """

    def resized_first(alter: Callable) -> Callable:
        return lambda images, rng: alter(resize(images, size), rng)

    return {
        name: partial(alter, size=size) if name in _CROPS else resized_first(alter)
        for name, alter in IMAGE_AUGMENTATIONS.items()
    }
