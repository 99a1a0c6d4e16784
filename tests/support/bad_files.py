"""Files that trecx must refuse: damaged models, altered bundles, folders of something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import read_model, write_model

MODEL = Path(__file__).parent.parent / "data" / "resnet_plain.tflite"


def write_bad_files(folder: Path, kws: Path, ic: Path) -> None:
    """Fill `folder`; kws and ic are sound bundles, which are copied beside."""
    shutil.copytree(kws, folder / "kws.bundle")
    shutil.copytree(ic, folder / "ic.bundle")
    _models(folder)
    _bundles(folder, kws)
    _arrays(folder)
    (folder / "holiday" / "pictures").mkdir(parents=True)
    (folder / "holiday" / "notes.txt").write_text("a user's own file\n")
    (folder / "damaged-run").mkdir()
    (folder / "damaged-run" / "run.json").write_text("{")


def _models(folder: Path) -> None:
    content = MODEL.read_bytes()
    files = {
        "good": content,
        "truncated": content[:1000],
        "empty": b"",
        "text": b"This is no model at all.",
        "other-format": content[:4] + b"TFL9" + content[8:],
        # The root offset claims a table at the end of four gigabytes.
        "far-offset": b"\xf0\xff\xff\xff" + content[4:],
        "float": _changed(content, _make_float),
        "dynamic": _changed(content, _make_dynamic),
        "unsupported": _changed(content, _make_unsupported),
        "unknown-operator": _changed(content, _make_unknown_operator),
        "negative": _changed(content, _make_negative),
        "huge": _changed(content, _make_huge),
        "cycle": _changed(content, _make_cycle),
        "dangling": _changed(content, _make_dangling),
        "unknown-type": _changed(content, _make_unknown_type),
    }
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)


def _changed(content: bytes, change) -> bytes:
    model = read_model(content)
    change(model)
    return write_model(model)


def _input(model: Record) -> Record:
    graph = model.subgraphs[0]
    return graph.tensors[graph.inputs[0]]


def _make_float(model: Record) -> None:
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is None:
            tensor.type = schema.TENSOR_TYPES.index("FLOAT32")


def _make_dynamic(model: Record) -> None:
    _input(model).shape_signature = np.array([1, -1, -1, 3], np.int32)


def _make_unsupported(model: Record) -> None:
    for code in model.operator_codes:
        if code.builtin_code == schema.OPERATOR_CODE["SOFTMAX"]:
            code.builtin_code = code.deprecated_builtin_code = schema.OPERATOR_CODE["COS"]


def _make_unknown_operator(model: Record) -> None:
    model.operator_codes[0].builtin_code = 30_000


def _make_negative(model: Record) -> None:
    _input(model).shape = np.array([1, -16, 16, 3], np.int32)


def _make_huge(model: Record) -> None:
    _input(model).shape = np.array([1, 2**30, 2**30, 3], np.int32)


def _make_cycle(model: Record) -> None:
    first = model.subgraphs[0].operators[0]
    first.inputs = np.array([first.outputs[0], *first.inputs[1:]], np.int32)


def _make_dangling(model: Record) -> None:
    first = model.subgraphs[0].operators[0]
    first.inputs = np.array([9999, *first.inputs[1:]], np.int32)


def _make_unknown_type(model: Record) -> None:
    _input(model).type = 77


def _bundles(folder: Path, good: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(good, folder / f"{name}.bundle"))

    altered = copy("altered") / "tail.tflite"
    content = bytearray(altered.read_bytes())
    content[-5] ^= 1
    altered.write_bytes(content)
    (copy("incomplete") / "tail.tflite").unlink()
    (copy("unreadable") / "manifest.json").write_text("{")
    _edit(copy("newer"), lambda manifest: manifest.update(schema_version=99))
    _edit(copy("escaping"), lambda manifest: manifest["full"].update(file="../good.tflite"))
    _edit(copy("symbolic"), lambda manifest: None)
    (folder / "symbolic.bundle" / "full.tflite").unlink()
    (folder / "symbolic.bundle" / "full.tflite").symlink_to("../good.tflite")
    _edit(copy("odd-field"), lambda manifest: manifest.update(colour="green"))
    _edit(copy("odd-policy"), lambda manifest: manifest["policies"][0].update(kind="astrology"))


def _edit(bundle: Path, change) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _arrays(folder: Path) -> None:
    samples = np.random.default_rng(0).integers(-128, 128, (3, 49, 10, 1))
    np.save(folder / "samples.npy", samples.astype(np.int8))
    np.save(folder / "int32.npy", samples.astype(np.int32))
    np.save(folder / "nan.npy", np.full(samples.shape, np.nan, np.float32))
    np.save(folder / "float.npy", samples.astype(np.float32))
    np.save(folder / "shape.npy", np.zeros((3, 5), np.int8))
    np.save(folder / "none.npy", np.zeros((0, 49, 10, 1), np.int8))
    np.save(folder / "two-labels.npy", np.zeros(2, np.int64))
    np.save(folder / "pickled.npy", np.array([{"a": 1}], object), allow_pickle=True)
    (folder / "text.npy").write_text("no array")
