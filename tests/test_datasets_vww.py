"""The Visual Wake Words loader on a small generated tree."""

import builtins
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mlperf_tiny.datasets.bad_files import DataWarning
from mlperf_tiny.datasets.image_files import LargeImages, StreamedImages, read_image, read_images
from mlperf_tiny.datasets.visual_wake_words import LABELS, load
from trecx.errors import DataError, InputError, ToolMissingError
from trecx.task import ArraySamples

COUNT = 40
# A flat colour survives JPEG nearly unchanged: red tells the class, green and blue the image.
RED = {"non_person": 40, "person": 200}


def write_image(path: Path, colour, size=(96, 96)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, quality=95)


def write_set(folder: Path, count: int = COUNT, blue: int = 0) -> Path:
    for label in LABELS:
        for number in range(count):
            # Written in an order that is not that of the names.
            name = f"COCO_{(number * 7) % count:012d}.jpg"
            write_image(folder / label / name, (RED[label], (number * 7) % count * 6, blue))
    return folder


@pytest.fixture(scope="module")
def shared_set(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    return write_set(tmp_path_factory.mktemp("vww") / "vw_coco2014_96")


@pytest.fixture
def folder(shared_set, tmp_path) -> Path:
    return Path(shutil.copytree(shared_set, tmp_path / "vw_coco2014_96"))


def numbers(samples) -> dict[str, list[int]]:
    """The images of a split by class, told from their colours."""
    pixels = samples.inputs(slice(None))[:, 48, 48] * 255
    out: dict[str, list[int]] = {label: [] for label in LABELS}
    for colour, label in zip(pixels, samples.labels, strict=True):
        assert colour[0] == pytest.approx(RED[LABELS[label]], abs=4)
        out[LABELS[label]].append(round(colour[1] / 6))
    return out


@pytest.mark.parametrize("memory_limit", [2**30, 0])
def test_first_tenth_of_each_class_is_calibration_and_test(shared_set, memory_limit):
    data = load(shared_set, memory_limit=memory_limit)
    assert data.labels == ("non_person", "person")
    for label in LABELS:
        assert numbers(data.calibration)[label] == [0, 1]
        assert numbers(data.test)[label] == [2, 3]
        assert numbers(data.train)[label] == list(range(4, COUNT))
    kind = ArraySamples if memory_limit else StreamedImages
    assert isinstance(data.train, kind)


def test_inputs_are_the_models(shared_set):
    inputs = load(shared_set).train.inputs(np.array([0, 50]))
    assert inputs.shape == (2, 96, 96, 3)
    assert inputs.dtype == np.float32
    assert 0 <= inputs.min() <= inputs.max() <= 1
    np.testing.assert_allclose(inputs[:, 0, 0, 0], [40 / 255, 200 / 255], atol=0.01)


def test_a_test_set_beside_it_is_found(folder):
    write_set(folder.with_name("vw_coco2014_96_minival"), 5, blue=250)
    for path in (folder, folder.parent):
        data = load(path)
        assert len(data.test) == 10
        assert data.test.inputs(slice(None))[:, 0, 0, 2].min() > 0.9
        assert numbers(data.calibration)["person"] == [0, 1, 2, 3]
        assert len(data.train) == 2 * (COUNT - 4)
        assert data.train.inputs(slice(None))[:, 0, 0, 2].max() < 0.1


def test_a_test_set_can_be_named(folder, tmp_path):
    other = write_set(tmp_path / "other", 6)
    assert len(load(folder, test_path=other).test) == 12
    with pytest.raises(DataError, match="must be another folder"):
        load(folder, test_path=folder)


def test_calibration_can_be_a_part_of_the_test_set(folder, tmp_path):
    other = write_set(tmp_path / "other", 6, blue=250)
    data = load(folder, test_path=other, calibration_of_test=0.34)
    assert len(data.train) == 2 * COUNT
    for label in LABELS:
        assert numbers(data.calibration)[label] == [0, 1]
        assert numbers(data.test)[label] == [2, 3, 4, 5]
    for split in (data.calibration, data.test):
        assert split.inputs(slice(None))[:, 0, 0, 2].min() > 0.9
    with pytest.raises(InputError, match="needs a test set of its own"):
        load(folder, calibration_of_test=0.5)
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        load(folder, test_path=other, calibration_of_test=1)
    with pytest.raises(DataError, match="calibration gets none of non_person"):
        load(folder, test_path=other, calibration_of_test=0.01)


def test_training_images_can_be_kept_larger(folder):
    draw = np.zeros((200, 200, 3), np.uint8)
    draw[:, 100:] = 255
    Image.fromarray(draw).save(folder / "person/COCO_000000000039.jpg", quality=95)
    data = load(folder, large_side=192)
    assert isinstance(data.train, LargeImages)
    assert isinstance(data.test, ArraySamples) and not isinstance(data.test, LargeImages)
    assert data.train.x.shape[1:] == (192, 192, 3)
    last = np.array([len(data.train) - 1])
    plain = load(folder).train
    np.testing.assert_allclose(data.train.inputs(last), plain.inputs(last), atol=0.1)
    crops = data.train.augmented(np.repeat(last, 8), np.random.default_rng(0), "crop-flip-colour")
    assert crops.shape == (8, 96, 96, 3) and crops.dtype == np.float32
    assert crops[:, 0, :, 0].std(axis=0).max() > 0.1  # the edge is in different places
    with pytest.raises(InputError, match=r"large_side must be at least side \(96\), got 64"):
        load(folder, large_side=64)


def test_an_epoch_can_show_every_image_several_times(shared_set):
    once, thrice = load(shared_set).train, load(shared_set, views=3).train
    assert len(thrice) == 3 * len(once)
    n = len(once)
    np.testing.assert_array_equal(thrice.labels, np.tile(once.labels, 3))
    np.testing.assert_array_equal(
        thrice.inputs(np.array([1, n + 1, 2 * n + 5])), once.inputs(np.array([1, 1, 5]))
    )
    np.testing.assert_array_equal(thrice.inputs(slice(n, n + 2)), once.inputs(slice(0, 2)))
    rng = [np.random.default_rng(0) for _ in range(2)]
    np.testing.assert_array_equal(
        thrice.augmented(np.array([n + 3]), rng[0], "flip"),
        once.augmented(np.array([3]), rng[1], "flip"),
    )
    with pytest.raises(InputError, match="at least once, got 0"):
        load(shared_set, views=0)


@pytest.mark.parametrize("large_side", [None, 128])
def test_streaming_gives_the_same_as_memory(shared_set, large_side):
    kept, streamed = (
        load(shared_set, memory_limit=limit, large_side=large_side) for limit in (2**30, 0)
    )
    for indices in (np.array([5, 1, 60]), slice(3, 9)):
        np.testing.assert_array_equal(streamed.train.inputs(indices), kept.train.inputs(indices))
    for name in ("rotate-shift-zoom-flip", "crop-flip-colour-mix"):
        a, b = (
            data.train.augmented(np.arange(6), np.random.default_rng(0), name)
            for data in (kept, streamed)
        )
        assert a.shape == (6, 96, 96, 3)
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match=r"unknown augmentation 'spin'.*flip-shift"):
        streamed.train.augmented(np.arange(2), np.random.default_rng(0), "spin")


def test_other_sizes_are_resized(folder):
    write_image(folder / "person/COCO_000000000001.jpg", (200, 6, 0), size=(640, 201))
    data = load(folder)
    assert numbers(data.calibration)["person"] == [0, 1]
    assert load(folder, side=48).train.inputs([0]).shape == (1, 48, 48, 3)


def test_resizing_smooths_and_keeps_the_place(tmp_path):
    stripes = np.zeros((192, 192, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the result can show: must become grey
    stripes[:96] = 0
    Image.fromarray(stripes).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", 96)
    assert (image[:45] == 0).all()
    assert np.abs(image[50:, 5:-5].astype(int) - 128).max() < 8


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "jpg" if mode in ("L", "CMYK") else "png"
    Image.new(mode, (96, 96)).save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}", 96).shape == (96, 96, 3)


def test_photographs_are_turned_upright(tmp_path):
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 96), np.rot90(pixels, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 96), expected)


@pytest.mark.parametrize("exif", [b"Exif\x00\x00no", b"MM\x00*\x00\x00\x00\x08\xff"])
@pytest.mark.filterwarnings("ignore:.*EXIF", "ignore:Truncated")
def test_damaged_exif_data_make_no_image_unusable(tmp_path, exif):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 96), pixels)


def test_sixteen_bits_of_grey_are_scaled(tmp_path):
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = np.repeat(grey[..., None] // 256, 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 64), expected)


@pytest.mark.parametrize("memory_limit", [2**30, 0])
def test_one_bad_image_is_skipped_counted_and_named(folder, memory_limit):
    bad = folder / "person/COCO_000000000010.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.warns(DataWarning, match=r"skipped 1 of 80 files: .*000010\.jpg"):
        data = load(folder, memory_limit=memory_limit)
    assert numbers(data.train)["person"] == [n for n in range(4, COUNT) if n != 10]
    assert numbers(data.train)["non_person"] == list(range(4, COUNT))
    with pytest.raises(DataError, match="1 of 80 files cannot be used"):
        load(folder, strict=True, memory_limit=memory_limit)


def test_many_bad_images_are_an_error(folder):
    for number in range(20, 30):
        (folder / f"person/COCO_{number:012d}.jpg").write_bytes(b"nothing like a picture")
    with pytest.raises(DataError, match=r"at most 10%.*10 of 80.*and 7 more"):
        load(folder)


def test_every_truncation_is_reported_in_one_line(shared_set, tmp_path):
    whole = (shared_set / "person/COCO_000000000001.jpg").read_bytes()
    paths = []
    for length in range(0, len(whole) - 40, 25):
        paths.append(tmp_path / f"{length}.jpg")
        paths[-1].write_bytes(whole[:length])
    _, bad = read_images(paths, 96, keep=False)
    assert list(bad) == list(range(len(paths)))
    for position, reason in bad.items():
        assert str(paths[position]) in reason
        assert "\n" not in reason


def test_other_files_among_the_images_are_ignored(folder):
    (folder / "person/.DS_Store").write_bytes(b"x")
    (folder / "person/readme.txt").write_text("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load(folder).train) == 2 * (COUNT - 4)


def remove_class(folder):
    shutil.rmtree(folder / "person")


def empty_class(folder):
    for path in (folder / "person").iterdir():
        path.unlink()


def few_images(folder):
    for path in sorted((folder / "person").iterdir())[4:]:
        path.unlink()


def wrong_names(folder):
    for label in LABELS:
        (folder / label).rename(folder / f"{label}s")


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (shutil.rmtree, "must be a folder with non_person/ and person/; .* has no folder"),
        (wrong_names, r"must be a folder with .* has \['non_persons', 'persons'\]"),
        (remove_class, "is incomplete: person/ is missing"),
        (empty_class, "every class must have images"),
        (few_images, "calibration gets none of person"),
    ],
)
def test_wrong_layouts_are_refused_in_one_line(folder, damage, rule):
    damage(folder)
    with pytest.raises(DataError, match=rule) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_without_pillow_the_message_names_the_remedy(shared_set, monkeypatch):
    original = builtins.__import__

    def without_pillow(name, *args, **kwargs):
        if name == "PIL" or name.startswith("PIL."):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ToolMissingError, match=r"pip install 'trecx\[train\]'"):
        load(shared_set)
