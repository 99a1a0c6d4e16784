"""Random alterations of training images, in NumPy; cheap beside a training step.

Each takes a batch of images, uint8 of shape (n, h, w, c), and returns one of the same kind.
"""

import numpy as np


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
    """Rotate, move (by a share of the side) and zoom at random; bilinear, borders repeated."""
    n, height, width, _ = images.shape
    angle = np.deg2rad(rng.uniform(-degrees, degrees, n)).astype(np.float32)
    scale = rng.uniform(1 - zoom, 1 + zoom, n).astype(np.float32)
    dy = (rng.uniform(-move, move, n) * height).astype(np.float32)
    dx = (rng.uniform(-move, move, n) * width).astype(np.float32)
    cos, sin = (f(angle)[:, None, None] * scale[:, None, None] for f in (np.cos, np.sin))
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    grid_y = (np.arange(height, dtype=np.float32) - centre_y)[None, :, None]
    grid_x = (np.arange(width, dtype=np.float32) - centre_x)[None, None, :]
    y = cos * grid_y + sin * grid_x + (centre_y + dy)[:, None, None]
    x = cos * grid_x - sin * grid_y + (centre_x + dx)[:, None, None]
    return _bilinear(images, y, x)


def _bilinear(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Pixels at the fractional places (y, x), each of shape (n, h, w), by fixed-point weights."""
    n, height, width, channels = images.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = y.astype(np.int32), x.astype(np.int32)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    wy = ((y - top) * 16 + 0.5).astype(np.uint16)[..., None]
    wx = ((x - left) * 16 + 0.5).astype(np.uint16)[..., None]
    first = (np.arange(n, dtype=np.int32) * height * width)[:, None, None]
    flat = images.reshape(-1, channels)

    def pixels(row, column):
        return flat.take(first + row * width + column, axis=0).astype(np.uint16)

    upper = pixels(top, left) * (16 - wx) + pixels(top, right) * wx
    lower = pixels(bottom, left) * (16 - wx) + pixels(bottom, right) * wx
    return ((upper * (16 - wy) + lower * wy + 128) >> 8).astype(np.uint8)


def rotate_shift_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T-RecX's augmentation for CIFAR-10: 15 degrees, 10 % of the side, mirrored."""
    return affine(flip(images, rng), rng, degrees=15, move=0.1)


def rotate_shift_zoom_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T-RecX's augmentation for visual wake words: 10 degrees, 5 %, zoom 10 %, mirrored."""
    return affine(flip(images, rng), rng, degrees=10, move=0.05, zoom=0.1)


IMAGE_AUGMENTATIONS = {
    "flip": flip,
    "flip-shift": flip_shift,
    "rotate-shift-flip": rotate_shift_flip,
    "rotate-shift-zoom-flip": rotate_shift_zoom_flip,
}
