"""Fuzz the reader, the importer, cut and link with mutated real files.

    python -m tests.fuzz_tflite --cases 100000 --seed 1 [--save FOLDER] [--corpus FILE]

A case passes when every stage either works or raises an `InputError`, within the limits on time and
memory. The others are printed, and saved in FOLDER. The corpus tests/data/fuzz_corpus.tar.xz, all
of which a test runs, holds the files that once failed and one file for each way in which a stage
refuses its input; --corpus writes a new one.
"""

from __future__ import annotations

import argparse
import collections
import io
import re
import resource
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.support.graph_builder import GraphBuilder, every_operator
from tests.support.mutate import mutate, mutate_records
from trecx.errors import InputError
from trecx.tflite.cut import cut, cut_at_tensor
from trecx.tflite.exporter import write_graph
from trecx.tflite.importer import graph_from_model, read_graph, read_model
from trecx.tflite.inspect import inspect_model
from trecx.tflite.link import link, unlink
from trecx.tflite.model import write_model
from trecx.tflite.tidy import exact_concatenations

DATA = Path(__file__).parent / "data"
CORPUS = DATA / "fuzz_corpus.tar.xz"
LARGEST_IN_CORPUS = 8000
SECONDS_A_CASE = 5.0
MEMORY_LIMIT = 2 << 30

GATE = {"kind": "top_class_thresholds", "thresholds": [-60, 10, 128]}
MARGIN = {"kind": "margin", "limit": 30}


def small_exit_model() -> bytes:
    """A network of six operators with an exit: structure without weight."""
    b = GraphBuilder(5)
    x = b.conv(b.input((1, 4, 4, 2)), 3)
    early = b.softmax(b.dense(b.reduce(x, "MEAN", (1, 2)), 3))
    late = b.softmax(b.dense(b.pool(x, "MAX_POOL_2D"), 3))
    return write_graph(b.graph(early, late))


def seeds() -> list[tuple[str, bytes]]:
    """Whole models, segments and cascades, by TensorFlow's converter and by our own writer."""
    small = small_exit_model()
    stem, tail = cut(small, [read_graph(small).outputs[0].name])
    files = [
        ("small", small),
        ("stem", stem),
        ("tail", tail),
        ("cascade", link([stem, tail], [GATE])),
        ("every_operator", write_graph(every_operator(0))),
    ]
    names = ("autoencoder", "learned_confidence", "ds_cnn_two_exits")
    files += [(name, (DATA / f"{name}.tflite").read_bytes()) for name in names]
    two_exits = cut(files[-1][1], ["output_0", "output_1"])
    return [*files, ("two_exit_cascade", link(two_exits, [MARGIN, MARGIN]))]


def mutated(original: bytes, random: np.random.Generator) -> bytes:
    """Half of the cases change bytes, the other half values of a file that stays well-formed."""
    if random.integers(2):
        return mutate(original, random)
    model = read_model(original)
    mutate_records(model, random)
    return write_model(model)


def run_case(data: bytes, partner: Sequence[bytes]) -> dict[str, str]:
    """Send one file through every stage; the message of each stage that refused it.

    partner: segments with which the file is linked, as the first and as the last one.
    """
    try:
        model = read_model(data)
    except InputError as error:
        return {"read": str(error)}
    stages: list[tuple[str, Callable[[], object]]] = [
        ("write", lambda: read_model(write_model(model))),
        ("import", lambda: graph_from_model(model)),
        ("inspect", lambda: inspect_model(data).to_json()),
        ("tidy", lambda: exact_concatenations(data)),
        ("cut", lambda: _cut_first(data, model)),
        ("unlink", lambda: unlink(data)),
        ("link first", lambda: link([data, partner[1]], [GATE])),
        ("link last", lambda: link([partner[0], data], [GATE])),
    ]
    refused = {}
    for name, stage in stages:
        try:
            stage()
        except InputError as error:
            refused[name] = str(error)
    return refused


def _cut_first(data: bytes, model) -> None:
    outputs = model.subgraphs[0].outputs
    if outputs is not None and len(outputs) > 1:
        for part in cut(data, [int(i) for i in outputs[1:]]):
            read_model(part)
    names = [t.name for t in model.subgraphs[0].tensors if t.name]
    for name in names[len(names) // 2 :][:2]:
        for part in cut_at_tensor(data, name):
            read_model(part)


def fuzz(
    cases: int,
    seed: int,
    failed: Callable[[str, bytes, str], None],
    refused: Callable[[bytes, dict[str, str]], None] = lambda data, messages: None,
) -> collections.Counter[str]:
    """Run `cases` mutated files; `failed(name, data, why)` for each that breaks the rule.

    refused: called with each other file and the stages' messages. Returns how many files were
    refused by which stage first.
    """
    files = seeds()
    named = dict(files)
    partner = (named["stem"], named["tail"])
    outcomes: collections.Counter[str] = collections.Counter()
    for case in range(cases):
        random = np.random.default_rng([seed, case])
        name, original = files[case % len(files)]
        data = mutated(original, random)
        start = time.process_time()
        try:
            messages = run_case(data, partner)
            outcomes[next(iter(messages), "none")] += 1
            refused(data, messages)
        except Exception:
            failed(f"{name}_{seed}_{case}", data, traceback.format_exc())
            outcomes["crash"] += 1
        if time.process_time() - start > SECONDS_A_CASE:
            failed(f"{name}_{seed}_{case}", data, f"over {SECONDS_A_CASE} processor seconds")
            outcomes["slow"] += 1
    return outcomes


def _pattern(message: str) -> str:
    """A message without its names and numbers."""
    return re.sub(r"'[^']*'|\[[^]]*\]|-?\d+(\.\d+)?", "_", message)[:60]


def write_corpus(path: Path, files: Sequence[bytes]) -> None:
    """A tar.xz with the same bytes for the same files; alike files compress well."""
    with tarfile.open(path, "w:xz") as archive:
        for number, data in enumerate(files):
            entry = tarfile.TarInfo(f"{number:03}.tflite")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def read_corpus(path: Path = CORPUS) -> dict[str, bytes]:
    """The files of a corpus by name."""
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, help="folder for the files that fail")
    parser.add_argument("--corpus", type=Path, help="write a corpus of refused files")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    failures = 0

    def failed(name: str, data: bytes, why: str) -> None:
        nonlocal failures
        failures += 1
        print(f"{name}: {why}", flush=True)
        if options.save and failures <= 100:
            options.save.mkdir(parents=True, exist_ok=True)
            (options.save / f"{name}.tflite").write_bytes(data)

    corpus: dict[str, bytes] = {}

    def refused(data: bytes, messages: dict[str, str]) -> None:
        if len(data) <= LARGEST_IN_CORPUS:
            for stage, message in messages.items():
                corpus.setdefault(f"{stage}: {_pattern(message)}", data)

    start = time.perf_counter()
    outcomes = fuzz(options.cases, options.seed, failed, refused)
    if options.corpus:
        write_corpus(options.corpus, sorted(set(corpus.values())))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{options.cases} cases in {time.perf_counter() - start:.0f} s, peak {peak} MiB,")
    print(f"{failures} failures; refused first by: {dict(outcomes)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
