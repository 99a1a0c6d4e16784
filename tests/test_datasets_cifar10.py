"""CIFAR-10: both published layouts give the same arrays; wrong folders are named."""

import pickle

import numpy as np
import pytest

from mlperf_tiny.datasets import cifar10
from trecx.errors import DataError

ROWS = 20


@pytest.fixture
def images():
    """Rows as published, shape (6, ROWS, 3072), and labels, every class in equal shares."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, ROWS, 3072), dtype=np.uint8)
    return pixels, np.tile(np.arange(10), (6, ROWS // 10))


def write_binary(folder, pixels, labels):
    folder.mkdir()
    for name, x, y in zip([*cifar10.TRAIN_FILES, cifar10.TEST_FILE], pixels, labels, strict=True):
        rows = np.concatenate([y[:, None].astype(np.uint8), x], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())


def write_python(folder, pixels, labels):
    folder.mkdir()
    for name, x, y in zip([*cifar10.TRAIN_FILES, cifar10.TEST_FILE], pixels, labels, strict=True):
        batch = {b"data": x, b"labels": y.tolist(), b"batch_label": name.encode()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize("write", [write_binary, write_python])
def test_pixels_and_labels(tmp_path, images, write):
    pixels, labels = images
    write(tmp_path / "data", pixels, labels)
    data = cifar10.load(tmp_path / "data", calibration=30)
    assert (len(data.train), len(data.calibration), len(data.test)) == (70, 30, ROWS)
    np.testing.assert_array_equal(data.test.labels, labels[5])
    expected = pixels[5].reshape(ROWS, 3, 32, 32)
    inputs = data.test.inputs(np.arange(ROWS))
    assert inputs.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(inputs[..., channel], expected[:, channel])


def test_a_tenth_is_for_calibration(tmp_path, images):
    write_binary(tmp_path / "data", *images)
    data = cifar10.load(tmp_path / "data")
    assert (len(data.train), len(data.calibration)) == (90, 10)


def test_both_layouts_agree(tmp_path, images):
    write_binary(tmp_path / "cifar-10-batches-bin", *images)
    write_python(tmp_path / "python", *images)
    one = cifar10.load(tmp_path, calibration=30)
    two = cifar10.load(tmp_path / "python", calibration=30)
    for part in ("train", "calibration", "test"):
        np.testing.assert_array_equal(getattr(one, part).x, getattr(two, part).x)
        np.testing.assert_array_equal(getattr(one, part).labels, getattr(two, part).labels)


def test_splits_are_disjoint_balanced_and_seeded(tmp_path, images):
    write_binary(tmp_path / "data", *images)
    data = cifar10.load(tmp_path / "data", calibration=30, seed=3)
    train = {image.tobytes() for image in data.train.x}
    held_out = {image.tobytes() for image in data.calibration.x}
    assert len(train | held_out) == 100
    assert np.bincount(data.calibration.labels).tolist() == [3] * 10
    again = cifar10.load(tmp_path / "data", calibration=30, seed=3)
    np.testing.assert_array_equal(again.calibration.x, data.calibration.x)
    other = cifar10.load(tmp_path / "data", calibration=30, seed=4)
    assert held_out != {image.tobytes() for image in other.calibration.x}


def test_a_folder_without_it(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DataError, match=r"python layout.*binary layout.*holiday\.jpg"):
        cifar10.load(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        cifar10.load(tmp_path / "missing")


def test_an_incomplete_folder(tmp_path, images):
    write_binary(tmp_path / "data", *images)
    (tmp_path / "data" / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"incomplete: data_batch_3\.bin missing"):
        cifar10.load(tmp_path / "data")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda raw: raw[:-1], "no multiple of 3073"),
        (lambda raw: b"", "0 bytes"),
        (lambda raw: b"\x0b" + raw[1:], r"labels must be 0\.\.9, got 0\.\.11"),
    ],
)
def test_a_damaged_binary_file(tmp_path, images, damage, message):
    write_binary(tmp_path / "data", *images)
    path = tmp_path / "data" / "data_batch_2.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        cifar10.load(tmp_path / "data")


class Hostile:
    def __reduce__(self):
        return (eval, ("1/0",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02K",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0.5, 1.0]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": ["0", "1"]}),
        pickle.dumps({b"data": np.zeros((0, 3072), np.uint8), b"labels": []}),
        pickle.dumps(Hostile()),
    ],
)
def test_a_damaged_or_hostile_pickle(tmp_path, images, content):
    write_python(tmp_path / "data", *images)
    (tmp_path / "data" / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="data_batch_1"):
        cifar10.load(tmp_path / "data")
