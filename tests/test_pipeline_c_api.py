"""Generated C in applications of its users: the two-step API, and two models in one program."""

import os
import re
import struct
import subprocess

import numpy as np
import pytest

from tests.support.bundles import input_patterns
from trecx import pipeline
from trecx.bundle import read_bundle
from trecx.stages.outputs import run_chain
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.qemu import Emulator

SUPPORT = os.path.join(os.path.dirname(__file__), "support")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wpedantic"]
SAMPLES = 8


def answers(bundle, x):
    """Exit outputs, final outputs and stops of every sample."""
    early, late = run_chain(bundle.graphs(), x)
    return early, late, bundle.exit_policies()[0].decide(early)


def records(data, classes):
    """(segment, class, outputs) one after the other, as the test programs write them."""
    layout = np.dtype([("segment", "<i4"), ("class", "<i4"), ("output", "i1", (classes,))])
    return np.frombuffer(data, layout)


def check(record, segment, outputs):
    assert record["segment"] == segment
    assert record["class"] == outputs.argmax()
    assert np.array_equal(record["output"], outputs)


def test_two_step_api(kws_bundle, tmp_path):
    bundle = read_bundle(kws_bundle)
    x = input_patterns(bundle.graphs()[0], SAMPLES, seed=1)
    early, late, stops = answers(bundle, x)
    assert 0 < stops.sum() < SAMPLES
    pipeline.compile(kws_bundle, "host", tmp_path / "c")
    sources = (tmp_path / "c" / "sources.txt").read_text().split()
    compiler = ["gcc", *STRICT, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    files = [*sources, f"{SUPPORT}/two_step.c", "-o", tmp_path / "two_step"]
    subprocess.run([*compiler, "-I.", "-Iinclude", *files], cwd=tmp_path / "c", check=True)
    done = subprocess.run([tmp_path / "two_step"], input=x.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    found = records(done.stdout, len(bundle.labels)).reshape(SAMPLES, 3)
    for i, (stem, full, whole) in enumerate(found):
        check(stem, 0, early[i])
        check(full, 1, late[i])
        check(whole, 0 if stops[i] else 1, early[i] if stops[i] else late[i])


@pytest.fixture(scope="module")
def both(ic_bundle, kws_bundle, tmp_path_factory):
    """Libraries of both models: one for each target."""
    folder = tmp_path_factory.mktemp("both")

    def library(target):
        models = pipeline.compile_together(
            [(None, ic_bundle), (None, kws_bundle)],
            target,
            folder / target,
            shared_arena="common_arena",
        )
        return folder / target, models

    return library


@pytest.mark.parametrize("target", ["host", "mps2-an386"])
def test_two_models_share_kernels_and_arena(both, ic_bundle, kws_bundle, target, tmp_path):
    library, models = both(target)
    names = (library / "sources.txt").read_text().split()
    assert len(names) == len(set(names))
    bundles = [read_bundle(path) for path in (ic_bundle, kws_bundle)]
    inputs = [input_patterns(b.graphs()[0], SAMPLES, seed=2) for b in bundles]
    firmware = build_firmware(
        [library / name for name in names],
        target,
        f"{SUPPORT}/two_models.c",
        tmp_path,
        include_dirs=[library],
        sanitize=target == "host",
    )
    pairs = b"".join(a.tobytes() + b.tobytes() for a, b in zip(*inputs, strict=True))
    (tmp_path / "in").write_bytes(struct.pack("<I", SAMPLES) + pairs)
    assert run(firmware, tmp_path) == 0
    output = (tmp_path / "out").read_bytes()
    sizes = [8 + len(b.labels) for b in bundles]
    chunks = np.frombuffer(output, np.uint8).reshape(SAMPLES, sum(sizes))
    parts = (chunks[:, : sizes[0]], chunks[:, sizes[0] :])
    for chunk, bundle, x in zip(parts, bundles, inputs, strict=True):
        early, late, stops = answers(bundle, x)
        assert 0 < stops.sum() < SAMPLES
        for i, record in enumerate(records(chunk.tobytes(), len(bundle.labels))):
            check(record, 0 if stops[i] else 1, early[i] if stops[i] else late[i])
    largest = max(model.plan.arena_bytes for model in models)
    arenas = {s.name: s.size for s in firmware.image.symbols if "arena" in s.name}
    assert arenas["common_arena"] == largest + 32
    assert not {"ic_arena", "kws_arena"} & set(arenas)


def run(firmware, folder):
    if firmware.board.is_host:
        return subprocess.run([firmware.elf.resolve()], cwd=folder).returncode
    with Emulator(firmware.board, firmware.elf, folder, words=["both"]) as process:
        status = process.wait(120)
        assert process.console() == ""
    return status


def test_library_is_the_same_every_time(kws_bundle, ic_bundle, tmp_path):
    def files(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    for name in ("first", "second"):
        pipeline.compile(kws_bundle, "mps2-an386", tmp_path / name / "one")
        pipeline.compile_together(
            [(None, ic_bundle), ("words", kws_bundle)], "mps3-an547", tmp_path / name / "two"
        )
    assert files(tmp_path / "first") == files(tmp_path / "second")
    header = (tmp_path / "first" / "one" / "kws.h").read_text()
    assert re.search(r"Generated by trecx \S+ with options: --isa dsp --optimize balanced", header)
    assert read_bundle(kws_bundle).digest in header
    assert str(tmp_path) not in header


@pytest.mark.parametrize("target", ["mps2-an386", "mps3-an547"])
def test_library_compiles_strictly_for_its_core(both, target, tmp_path):
    library, _ = both(target)
    compiler = ["arm-none-eabi-gcc", *load_board(target).flags, "-mthumb", *STRICT, "-O2", "-c"]
    sources = (library / "sources.txt").read_text().split()
    subprocess.run([*compiler, "-I.", "-Iinclude", *sources], cwd=library, check=True)
