"""Synthetic data: right shapes, seeded, labelled, and with easy and hard samples."""

import numpy as np
import pytest

from mlperf_tiny import augment
from mlperf_tiny.datasets import synthetic
from mlperf_tiny.tasks import TASKS
from trecx.errors import InputError

SMALL = {"train": 120, "calibration": 60, "test": 60}
GENERATORS = {
    "ic": synthetic.images,
    "kws": synthetic.words,
    "vww": synthetic.people,
    "ad": synthetic.machines,
}


@pytest.mark.parametrize("name", TASKS)
def test_shapes_and_labels_are_those_of_the_task(name):
    task = TASKS[name]
    data = task.load_data(**SMALL)
    assert data.synthetic
    assert "synthetic" in data.name
    for part, count in SMALL.items():
        samples = getattr(data, part)
        inputs = samples.inputs(np.arange(count))
        assert inputs.shape == (count, *task.input_shape)
        assert inputs.dtype == np.float32
        assert np.all(np.isfinite(inputs))
        low, high = task.input_range
        assert low <= inputs.min() < inputs.max() <= high
        assert set(np.unique(samples.labels)) <= set(range(len(data.labels)))
    assert len(data.labels) == len(task.labels)


@pytest.mark.parametrize("generate", GENERATORS.values())
def test_seeded(generate):
    one, again, other = generate(seed=1, **SMALL), generate(seed=1, **SMALL), generate(**SMALL)
    np.testing.assert_array_equal(one.test.x, again.test.x)
    assert not np.array_equal(one.test.x, other.test.x)
    assert not np.array_equal(one.calibration.x, one.test.x)


@pytest.mark.parametrize("name", ["ic", "kws", "vww"])
def test_every_class_is_present_equally(name):
    counts = np.bincount(GENERATORS[name](**SMALL).train.labels)
    assert counts.max() - counts.min() <= 1


def test_anomalies_are_never_trained_on():
    data = synthetic.machines(**SMALL)
    assert not data.train.labels.any()
    assert data.test.labels.mean() == 0.5


def test_colour_alone_solves_some_shapes_but_not_all():
    """Nearest class mean of a local feature: well above chance, well below a network."""
    data = synthetic.images(train=1500, calibration=10, test=500)

    def colour(samples):
        # Mean of the pixels that differ most from the picture's mean: the shape's ink.
        x = samples.x.reshape(len(samples), -1, 3).astype(float)
        far = np.abs(x - x.mean(1, keepdims=True)).sum(2)
        chosen = far >= np.quantile(far, 0.85, axis=1, keepdims=True)
        return (x * chosen[..., None]).sum(1) / chosen.sum(1, keepdims=True)

    features, labels = colour(data.train), data.train.labels
    means = np.stack([features[labels == c].mean(0) for c in range(10)])
    distance = ((colour(data.test)[:, None] - means) ** 2).sum(-1)
    accuracy = np.mean(distance.argmin(1) == data.test.labels)
    assert 0.25 < accuracy < 0.75


@pytest.mark.parametrize("name", augment.IMAGE_AUGMENTATIONS)
def test_image_augmentations_keep_kind_and_are_seeded(name):
    images = np.random.default_rng(0).integers(0, 256, (16, 24, 20, 3), dtype=np.uint8)
    original = images.copy()
    alter = augment.IMAGE_AUGMENTATIONS[name]
    out = alter(images, np.random.default_rng(5))
    assert out.shape == images.shape
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, alter(images, np.random.default_rng(5)))
    np.testing.assert_array_equal(images, original)
    assert not np.array_equal(out, images)


def test_affine_without_movement_is_the_identity():
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    out = augment.affine(images, np.random.default_rng(0), degrees=0, move=0)
    np.testing.assert_array_equal(out, images)


def test_affine_moves_whole_pixels_exactly():
    images = np.random.default_rng(0).integers(0, 256, (1, 10, 10, 1), dtype=np.uint8)

    class OneDown:
        """Draws the largest value of every range: 1 pixel down and right, no rotation."""

        def uniform(self, low, high, size):
            return np.full(size, high)

    out = augment.affine(images, OneDown(), degrees=0, move=0.1)
    np.testing.assert_array_equal(out[:, :9, :9], images[:, 1:, 1:])


def test_a_quarter_turn_is_numpy_rot90():
    images = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)

    class Quarter:
        def uniform(self, low, high, size):
            return np.full(size, high)

    out = augment.affine(images, Quarter(), degrees=90, move=0)
    turned = [np.rot90(images, k, axes=(1, 2)) for k in (1, 3)]
    # The centre is (n - 1) / 2, so that a quarter turn maps pixels onto pixels up to rounding.
    assert any(np.abs(out.astype(int) - t).max() <= 17 for t in turned)


def test_unknown_augmentation_names_the_known():
    data = synthetic.images(**SMALL)
    with pytest.raises(InputError, match=r"'blur'.*none, flip"):
        data.train.augmented(np.arange(2), np.random.default_rng(0), "blur")
