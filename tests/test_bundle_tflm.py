"""The sources for TFLM applications: compiled, and what is in them run on TFLM itself."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.data.make_golden import FOLDER, GOLDEN, answers
from tests.support import tflm
from trecx.bundle import export_tflm, read_bundle
from trecx.errors import BundleError, InputError, ToolMissingError, UnsupportedModelError
from trecx.tflite.model import read_model
from trecx.tflite.tflm import c_array, measure_arena, operator_kinds, resolver_calls

DEPLOY = Path(__file__).parent.parent / "deploy"
STUBS = Path(__file__).parent / "support" / "tflm_stubs"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("export") / "tflm"
    export_tflm(read_bundle(GOLDEN), out, DEPLOY, "words")
    return out


@pytest.fixture(scope="module")
def library(exported, tmp_path_factory) -> ctypes.CDLL:
    """The C files, compiled strictly and loaded."""
    target = tmp_path_factory.mktemp("build") / "models.so"
    sources = [str(p) for p in sorted(exported.glob("*.c"))]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-I", exported, *sources, "-o", target], check=True)
    return ctypes.CDLL(str(target))


def model_in(library: ctypes.CDLL, name: str) -> bytes:
    size = ctypes.c_uint.in_dll(library, f"words_{name}_model_len").value
    array = (ctypes.c_ubyte * size).in_dll(library, f"words_{name}_model")
    assert ctypes.addressof(array) % 16 == 0
    return bytes(array)


def defined(exported: Path) -> dict[str, int]:
    text = (exported / "words_models.h").read_text()
    return {k: int(v) for k, v in re.findall(r"#define WORDS_(\w+)_ARENA_BYTES (\d+)u", text)}


def test_arrays_are_the_files(library):
    bundle = read_bundle(GOLDEN)
    for name in ("stem", "mid1", "tail", "cascade"):
        assert model_in(library, name) == bundle.read(f"{name}.tflite")


def test_two_step_use_on_tflm(exported, library):
    """As example_segments.cc does it: the arrays, the given arenas, the C decisions."""
    arenas = defined(exported)
    parts = [
        tflm.load(model_in(library, name), arenas[name.upper()])
        for name in ("stem", "mid1", "tail")
    ]
    thresholds = (ctypes.c_int16 * 12)(*read_bundle(GOLDEN).exit_policies()[0].thresholds)
    expected = np.load(FOLDER / "golden_answers_v1.npz")
    for x, scores, stop in zip(*(expected[k] for k in ("x", "scores", "stops")), strict=True):
        tensors = [x[None]]
        for k, part in enumerate(parts):
            first, *tensors = part(tensors)
            q = (ctypes.c_int8 * 12)(*first.reshape(-1).tolist())
            if k == 0 and library.trecx_exit_top_class(q, 12, thresholds):
                break
            if k == 1 and library.trecx_exit_margin(q, 12, 60):
                break
        assert k == stop
        assert np.array_equal(first.reshape(-1), scores)


def test_cascade_on_tflm(exported, library):
    cascade = tflm.load(model_in(library, "cascade"), defined(exported)["CASCADE"])
    expected = np.load(FOLDER / "golden_answers_v1.npz")
    for x, scores, stop in zip(*(expected[k] for k in ("x", "scores", "stops")), strict=True):
        answer, index = cascade([x[None]])
        assert np.array_equal(answer.reshape(-1), scores)
        assert index.reshape(-1)[0] == stop


def test_examples_are_cpp(exported):
    """The examples compile against the declarations of TFLM's interface that they use."""
    for example in ("example_segments.cc", "example_cascade.cc"):
        command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        subprocess.run([*command, "-I", STUBS, "-I", exported, exported / example], check=True)
        body = (exported / example).read_text().splitlines()
        assert len(body) <= 65


def test_resolver_has_exactly_the_operators(exported):
    text = (exported / "words_ops.h").read_text()
    calls = re.findall(r"resolver\.(Add\w+)\(\)", text)
    assert f"MicroMutableOpResolver<{len(calls)}>" in text
    kinds = set()
    for path in GOLDEN.glob("*.tflite"):
        if path.stem != "full":
            kinds.update(operator_kinds(path.read_bytes()))
    assert sorted(resolver_calls(sorted(kinds))) == sorted(calls)


def test_files_name_the_bundle(exported):
    for name in ("words_models.h", "words_models.c", "words_ops.h", "example_cascade.cc"):
        assert read_bundle(GOLDEN).digest in (exported / name).read_text()


def test_arena_is_enough_and_not_far_too_much():
    data = (GOLDEN / "stem.tflite").read_bytes()
    arena = measure_arena(data)
    tflm.load(data, arena.total)
    assert arena.activations + arena.persistent <= arena.total
    with pytest.raises(RuntimeError):
        tflm.load(data, arena.total - 32)


def test_arena_without_tflite_micro(exported, tmp_path, monkeypatch):
    """Without the package the header says that the size is missing."""

    def missing(model):
        raise ToolMissingError("tflite-micro is not installed")

    monkeypatch.setattr("trecx.bundle.tflm_export.measure_arena", missing)
    export_tflm(read_bundle(GOLDEN), tmp_path / "out", DEPLOY, "words")
    text = (tmp_path / "out" / "words_models.h").read_text()
    assert "#error WORDS_STEM_ARENA_BYTES was not measured" in text


def test_tool_missing_is_said(monkeypatch, tmp_path):
    """An interpreter without the package: the error says what to install."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho \"No module named 'tflite_micro'\" >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(fake))
    with pytest.raises(ToolMissingError, match="pip install tflite-micro"):
        measure_arena((GOLDEN / "stem.tflite").read_bytes())


def test_refusals(tmp_path):
    bundle = read_bundle(GOLDEN)
    with pytest.raises(BundleError, match="no C identifier"):
        export_tflm(bundle, tmp_path / "out", DEPLOY, "two words")
    (tmp_path / "novel.txt").write_text("")
    with pytest.raises(InputError, match="was not written by trecx"):
        export_tflm(bundle, tmp_path, DEPLOY, "words")
    with pytest.raises(UnsupportedModelError, match="CUMSUM"):
        resolver_calls(["ADD", "CUMSUM"])


def test_model_that_tflm_does_not_run():
    from trecx.tflite.model import new_operator_code, write_model

    model = read_model(GOLDEN / "stem.tflite")
    model.operator_codes[0] = new_operator_code("COMPLEX_ABS", 1)
    with pytest.raises(UnsupportedModelError, match="does not run"):
        measure_arena(write_model(model))


def test_c_array():
    text = c_array("data", bytes(range(14)))
    assert text.count("0x") == 14
    assert "data_len = 14u" in text


def test_golden_answers_are_the_interpreters():
    expected = np.load(FOLDER / "golden_answers_v1.npz")
    scores, _ = answers(read_bundle(GOLDEN), expected["x"])
    assert np.array_equal(scores, expected["scores"])
