"""Mutated files: refused with an error of our own, never a crash, a hang or a flood of memory.

A longer run: python -m tests.fuzz_tflite --cases 100000
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz_tflite import fuzz, read_corpus, run_case, seeds
from tests.support.mutate import mutate
from trecx.bundle.manifest import require_valid, require_version
from trecx.bundle.read import _parse
from trecx.errors import InputError, ModelFormatError, UnsupportedModelError
from trecx.tflite import schema
from trecx.tflite.flatbuffer import read
from trecx.tflite.link import unlink
from trecx.tflite.model import read_model, write_model


def test_mutated_files():
    failures = []
    outcomes = fuzz(400, 20, lambda name, data, why: failures.append((name, why)))
    assert not failures, failures[0]
    assert outcomes["read"] > 50  # most byte mutations are refused by the reader,
    assert outcomes.total() - outcomes["read"] > 100  # and the other stages have work, too


def test_reader_alone():
    """The reader is fast enough for many more cases."""
    files = seeds()
    refused = 0
    for case in range(3000):
        random = np.random.default_rng([77, case])
        data = mutate(files[case % len(files)][1], random)
        try:
            read(data, schema.SCHEMA, "Model", schema.IDENTIFIER)
        except ModelFormatError:
            refused += 1
    assert 1000 < refused < 3000


def test_random_bytes():
    random = np.random.default_rng(0)
    for size in [*range(0, 64), *random.integers(64, 4000, 500)]:
        data = bytearray(random.bytes(int(size)))
        data[4:8] = b"TFL3"[: max(0, len(data) - 4)]
        if len(data) >= 4:
            data[:4] = int(random.integers(0, max(1, len(data)))).to_bytes(4, "little")
        with pytest.raises(ModelFormatError):
            read(bytes(data), schema.SCHEMA, "Model", schema.IDENTIFIER)


def test_corpus():
    """Files that once broke something, and one for each way in which a stage refuses its input."""
    named = dict(seeds())
    files = read_corpus()
    assert len(files) >= 100
    for data in files.values():
        assert run_case(data, (named["stem"], named["tail"]))


def test_memory_is_bounded_by_the_file():
    """Damaged files do not make the reader allocate more than a small multiple of their size."""
    named = dict(seeds())
    data = named["ds_cnn_two_exits"]
    tracemalloc.start()
    try:
        for case in range(300):
            random = np.random.default_rng([5, case])
            try:
                read(mutate(data, random), schema.SCHEMA, "Model", schema.IDENTIFIER)
            except ModelFormatError:
                continue
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * len(data)


def test_mutated_manifests():
    original = (Path(__file__).parent / "data/golden_bundle_v1/manifest.json").read_bytes()
    accepted = 0
    for case in range(1000):
        data = mutate(original, np.random.default_rng([6, case]))
        try:
            manifest = _parse(Path("bundle"), data)
            require_version(manifest)
            require_valid(manifest)
            accepted += 1
        except InputError:
            continue
    assert accepted < 500


def test_cascades_with_other_policies_inside():
    """The policies in a cascade's metadata are data of the file, too: any JSON may stand there."""
    cascade = read_model(dict(seeds())["cascade"])
    entry = next(e for e in cascade.metadata if e.name == "trecx_cascade")
    junk = [None, 0, -1, 129, 1.5, 2**70, "x", [], [1, 2], {}, {"kind": "margin"}, True]
    policies = [{"kind": "margin", "limit": value} for value in junk]
    policies += [{"kind": "top_class_thresholds", "thresholds": value} for value in junk]
    policies += [{"kind": "confidence", "unit": value, "limit": value} for value in junk]
    policies += [{"kind": value} for value in junk]
    texts = [json.dumps({"policies": [p]}) for p in policies] + [
        json.dumps(value) for value in [*junk, {"policies": junk}, {"policies": [{}] * 9}]
    ]
    for text in texts:
        cascade.buffers[entry.buffer].data = np.frombuffer(text.encode(), np.uint8)
        with pytest.raises(UnsupportedModelError):
            unlink(write_model(cascade))
