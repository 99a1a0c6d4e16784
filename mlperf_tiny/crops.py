"""Random views of images, which may be larger than the network reads them.

A crop may lose what the label names, and a mixture shows two images: their labels stay those of
the first image and are not always right any more. Train on them with a teacher.
"""

import numpy as np

from mlperf_tiny.datasets.pillow import pillow

LEAST_AREA = 0.3
ASPECTS = (3 / 4, 4 / 3)
MIXED = 0.5

Size = tuple[int, int]  # Height, width.


def resize(images: np.ndarray, size: Size, boxes: np.ndarray | None = None) -> np.ndarray:
    """Images, uint8 (n, h, w, 3), at another size; without aliasing.

    boxes: (n, 4), the part of each image to take: left, top, right, bottom as shares of its sides.
        None: all of it.
    """
    height, width = images.shape[1:3]
    if boxes is None:
        if (height, width) == size:
            return images
        boxes = np.tile([0.0, 0.0, 1.0, 1.0], (len(images), 1))
    module = pillow()
    out = np.empty((len(images), *size, images.shape[3]), np.uint8)
    for n, box in enumerate(boxes * [width, height, width, height]):
        whole = module.fromarray(images[n])
        out[n] = whole.resize(size[::-1], module.Resampling.LANCZOS, box=tuple(box))
    return out


def random_crops(images: np.ndarray, rng: np.random.Generator, size: Size) -> np.ndarray:
    """A random part of every image, uint8 (n, h, w, 3), at `size`.

    At least `LEAST_AREA` of the image, its ratio of width to height altered within `ASPECTS`.
    """
    n = len(images)
    area = rng.uniform(LEAST_AREA, 1, n)
    aspect = np.exp(rng.uniform(*np.log(ASPECTS), n))
    spans = np.minimum(1, np.sqrt(np.stack([area * aspect, area / aspect], axis=1)))
    starts = rng.uniform(0, 1, (n, 2)) * (1 - spans)
    return resize(images, size, np.concatenate([starts, starts + spans], axis=1))


def alter_colours(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change saturation by up to 40 %, contrast by 30 % and brightness by 25 %; uint8."""
    saturation, contrast, brightness = (
        rng.uniform(1 - reach, 1 + reach, (len(images), 1, 1, 1)).astype(np.float32)
        for reach in (0.4, 0.3, 0.25)
    )
    pixels = images.astype(np.float32)
    grey = pixels.mean(axis=3, keepdims=True)
    pixels = grey + (pixels - grey) * saturation
    mean = grey.mean(axis=(1, 2), keepdims=True)
    pixels = (mean + (pixels - mean) * contrast) * brightness
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def mix(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blend a share `MIXED` of the images with another one each, in a random proportion; uint8."""
    own = np.where(rng.random(len(images)) < MIXED, rng.uniform(0, 1, len(images)), 1)
    own = own.astype(np.float32)[:, None, None, None]
    others = images[rng.permutation(len(images))]
    return np.rint(own * images + (1 - own) * others).astype(np.uint8)
