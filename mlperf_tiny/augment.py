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
    """Rotate, move (by a share of the side) and zoom at random; bilinear, borders repeated.

    At most 4 channels.
    """
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
    """Pixels at the fractional places (y, x), each of shape (n, h, w), in steps of 1/16.

    A pixel's channels (up to 4) are handled as one 32-bit word, which makes it a few times faster
    than channel by channel: the four weights are integers that sum to 256, so that a weighted
    sum of bytes fits in 16 bits and two channels share a word without touching.
    """
    n, height, width, channels = images.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = y.astype(np.int32), x.astype(np.int32)
    wy = ((y - top) * 16 + np.float32(0.5)).astype(np.uint32)
    wx = ((x - left) * 16 + np.float32(0.5)).astype(np.uint32)
    down = np.where(top < height - 1, np.int32(width), np.int32(0))
    right = np.where(left < width - 1, np.int32(1), np.int32(0))
    corner = top * width + left + (np.arange(n, dtype=np.int32) * height * width)[:, None, None]

    words = np.zeros((n * height * width, 4), np.uint8)
    words[:, :channels] = images.reshape(-1, channels)
    words = words.view(np.uint32).ravel()
    even = np.full(y.shape, 0x00800080, np.uint32)  # Half of the last place, to round.
    odd = even.copy()
    for place, weight in (
        (corner, (16 - wy) * (16 - wx)),
        (corner + right, (16 - wy) * wx),
        (corner + down, wy * (16 - wx)),
        (corner + down + right, wy * wx),
    ):
        pixel = words.take(place)
        even += (pixel & 0x00FF00FF) * weight
        odd += ((pixel >> 8) & 0x00FF00FF) * weight
    blended = ((even >> 8) & 0x00FF00FF) | (odd & 0xFF00FF00)
    return np.ascontiguousarray(blended.view(np.uint8).reshape(n, height, width, 4)[..., :channels])


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
