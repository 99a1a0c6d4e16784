"""Random crops, colours and mixtures."""

import numpy as np
import pytest
from PIL import Image

from mlperf_tiny.augment import IMAGE_AUGMENTATIONS, augmentations_to
from mlperf_tiny.crops import LEAST_AREA, alter_colours, mix, random_crops, resize

SIZE = (24, 24)


@pytest.fixture
def places() -> np.ndarray:
    """Images whose red is the column and whose green is the row, of 100 each."""
    y, x = np.mgrid[0:100, 0:100].astype(np.uint8)
    return np.repeat(np.stack([x, y, np.zeros_like(x)], axis=-1)[None], 64, axis=0)


def test_crops_are_parts_of_the_image_of_allowed_sizes(places):
    crops = random_crops(places, np.random.default_rng(0), SIZE)
    assert crops.shape == (64, *SIZE, 3) and crops.dtype == np.uint8
    flat = crops.reshape(64, -1, 3).astype(int)
    spans = np.ptp(flat, axis=1)[:, :2] / 99
    shares = spans.prod(axis=1)
    assert LEAST_AREA * 0.85 < shares.min() < 0.45 and 0.8 < shares.max() <= 1
    assert len(np.unique(flat[:, 0, 0])) > 10  # in different places
    # Rows stay rows: green does not depend on the column.
    assert np.ptp(crops[..., 1].astype(int), axis=2).max() <= 1


def test_resizing_is_pillows_and_nothing_at_the_same_size(places):
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 40, 3), dtype=np.uint8)
    expected = Image.fromarray(images[1]).resize((24, 30), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(resize(images, (30, 24))[1], np.asarray(expected))
    assert resize(places, (100, 100)) is places


def test_colours_change_within_bounds():
    images = np.full((200, 4, 4, 3), 100, np.uint8)
    out = alter_colours(images, np.random.default_rng(0)).astype(int)
    assert (np.ptp(out, axis=(1, 2, 3)) == 0).all()  # grey stays grey
    assert 75 <= out.min() < 80 and 120 < out.max() <= 125
    extremes = np.stack([np.zeros((4, 4, 3)), np.full((4, 4, 3), 255)]).astype(np.uint8)
    assert alter_colours(extremes, np.random.default_rng(1)).dtype == np.uint8


def test_half_of_the_images_are_mixed():
    images = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    out = mix(images, np.random.default_rng(0))
    unchanged = np.mean((out == images).all(axis=(1, 2, 3)))
    assert 0.4 < unchanged < 0.62
    assert out.min() >= 0 and out.max() <= 199


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
def test_larger_images_come_out_as_the_network_reads_them(name):
    images = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    alter = augmentations_to(SIZE)[name]
    out = alter(images, np.random.default_rng(3))
    assert out.shape == (8, *SIZE, 3) and out.dtype == np.uint8
    np.testing.assert_array_equal(out, alter(images, np.random.default_rng(3)))
