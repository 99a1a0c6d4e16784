"""docs/RUNTIMES.md: bundles on every runtime, compared byte by byte with the integer interpreter.

    python -m benchmarks.runtimes measure ic.bundle --data cifar-10-batches-bin -o ic.json
    python -m benchmarks.runtimes page ic.json kws.json vww.json

`measure` runs the segments one after the other and the one-file cascade on TensorFlow Lite Micro,
and on tflite-runtime and LiteRT with their reference and their default kernels, and the bundle
compiled to C on this machine. Samples are those of the test split; where they do not suffice,
those of calibration and training follow. Needs the packages of all three runtimes and a C compiler.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.comparison import DOCS
from benchmarks.runtimes_page import page
from trecx.bundle import Bundle, read_bundle, verify_bundle
from trecx.files import write_atomic
from trecx.stages.chain import load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.data import DataChoice
from trecx.stages.outputs import run_in_batches, spread
from trecx.stages.running import run_on
from trecx.stages.runtimes import load_on_tflm
from trecx.task import DataSplits, find_task
from trecx.tflite.cut import cut
from trecx.tflite.link import link
from trecx.tflite.runtime import find_runtime
from trecx.tflite.tflm import measure_arena

Model = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
Loader = Callable[[bytes], Model]

SPLITS = ("test", "calibration", "train")
PAGE = DOCS / "RUNTIMES.md"
C_ON_HOST = "trecx, C on this machine"


@dataclass(frozen=True, eq=False)
class Answers:
    """For N samples: scores (N, classes), int8, of the exit taken, and its number (N,)."""

    scores: np.ndarray
    exits: np.ndarray


@dataclass(frozen=True)
class Row:
    """A runtime on all samples, against the integer interpreter.

    bytes, samples: that differ (a byte of the scores, or the exit); exits, classes: samples that
    stop elsewhere, or get another class. cascade: samples on which the one-file cascade differs
    from the segments on the same runtime; None without a cascade.
    """

    runtime: str
    bytes: int
    samples: int
    exits: int
    classes: int
    cascade: int | None


def differing_bytes(a: Answers, b: Answers) -> np.ndarray:
    """For each sample, the differing scores, and one more for another exit."""
    return (a.scores != b.scores).sum(axis=1) + (a.exits != b.exits)


def compared(runtime: str, found: Answers, wanted: Answers, cascade: Answers | None) -> Row:
    differing = differing_bytes(found, wanted)
    top = [a.scores.argmax(axis=1) for a in (found, wanted)]
    return Row(
        runtime,
        bytes=int(differing.sum()),
        samples=int((differing > 0).sum()),
        exits=int((found.exits != wanted.exits).sum()),
        classes=int((top[0] != top[1]).sum()),
        cascade=None if cascade is None else int((differing_bytes(found, cascade) > 0).sum()),
    )


# --- The runtimes ---


def default_kernels(package: str) -> Loader:
    """Loader of a runtime with the kernels and delegates that a user gets without asking."""
    module = find_runtime(package).module

    def load(model: bytes) -> Model:
        interpreter = module.Interpreter(model_content=model)
        interpreter.allocate_tensors()
        inputs = [d["index"] for d in interpreter.get_input_details()]
        outputs = [d["index"] for d in interpreter.get_output_details()]

        def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
            for index, array in zip(inputs, arrays, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            return [interpreter.get_tensor(index).copy() for index in outputs]

        return run

    return load


def loaders() -> dict[str, Loader]:
    from importlib.metadata import version

    found = {f"tflite-micro {version('tflite-micro')}": load_on_tflm}
    for package in ("tflite-runtime", "ai-edge-litert"):
        runtime = find_runtime(package)
        name = f"{package} {runtime.version}"
        found[f"{name}, reference kernels"] = runtime.load
        found[f"{name}, default kernels"] = default_kernels(package)
    return found


def by_segments(bundle: Bundle, load: Loader, x: np.ndarray) -> Answers:
    """The segments one after the other, until an exit policy says stop."""
    parts = [load(data) for data in bundle.segment_bytes()]
    policies = bundle.exit_policies()
    classes = bundle.manifest["output"]["units"]
    scores, exits = [], []
    for sample in x:
        tensors = [sample[None]]
        for k, part in enumerate(parts):
            first, *tensors = part(tensors)
            if k == len(policies) or policies[k].decide(first.reshape(1, -1))[0]:
                break
        scores.append(first.reshape(-1)[:classes])
        exits.append(k)
    return Answers(np.stack(scores), np.array(exits))


def by_cascade(cascade: bytes, load: Loader, x: np.ndarray) -> Answers:
    whole = load(cascade)
    pairs = [whole([sample[None]]) for sample in x]
    scores = np.stack([first.reshape(-1) for first, _ in pairs])
    return Answers(scores, np.array([int(index.reshape(-1)[0]) for _, index in pairs]))


def by_interpreter(bundle: Bundle, x: np.ndarray) -> Answers:
    outputs = run_in_batches(bundle.graphs(), x, lambda done, count: None)
    exits = np.full(len(x), len(outputs) - 1)
    for k, policy in reversed(list(enumerate(bundle.exit_policies()))):
        exits[policy.decide(outputs[k])] = k
    classes = bundle.manifest["output"]["units"]
    stacked = np.stack([q[:, :classes] for q in outputs])
    return Answers(stacked[exits, np.arange(len(x))], exits)


def by_c(bundle: Bundle, x: np.ndarray) -> Answers:
    """The bundle compiled to C for this machine."""
    chain = load_chain(bundle.path)
    result = run_on(chain, compile_for(chain, "host"), "host", x, oracle=None).result
    classes = bundle.manifest["output"]["units"]
    return Answers(result.outputs[:, :classes], result.exit_index)


def measure_rows(bundle: Bundle, x: np.ndarray, wanted: Answers) -> list[Row]:
    cascade = bundle.cascade_bytes()
    rows = [compared(C_ON_HOST, by_c(bundle, x), wanted, None)]
    click.echo(rows[-1])
    for name, load in loaders().items():
        whole = None if cascade is None else by_cascade(cascade, load, x)
        rows.append(compared(name, by_segments(bundle, load, x), wanted, whole))
        click.echo(rows[-1])
    return rows


# --- Samples, sizes and times ---


def samples_of(splits: DataSplits, count: int) -> tuple[np.ndarray, dict[str, int]]:
    """Up to `count` real inputs, and how many are of which split."""
    pieces, counts = [], {}
    for name in SPLITS:
        part = getattr(splits, name)
        wanted = min(count - sum(counts.values()), len(part))
        if wanted > 0:
            pieces.append(part.inputs(spread(len(part), wanted)))
            counts[name] = wanted
    return np.concatenate(pieces), counts


def files(bundle: Bundle) -> dict[str, dict]:
    """Bytes and TFLM arena of every file; of the cascade also without a memory plan."""
    contents = {path.stem: path.read_bytes() for path in sorted(bundle.path.glob("*.tflite"))}
    if "cascade" in contents:
        unplanned = link(bundle.segment_bytes(), bundle.manifest["policies"], memory_plan=False)
        contents["cascade_unplanned"] = unplanned
    return {
        name: {"bytes": len(data), "arena": asdict(measure_arena(data))}
        for name, data in contents.items()
    }


def stage_times(bundle: Bundle) -> dict[str, float]:
    """Processor seconds of cut and link; samples a processor second of verify."""
    full = bundle.read("full.tflite")
    exits = [graph.outputs[0].name for graph in bundle.graphs()[:-1]]
    start = time.process_time()
    parts = cut(full, exits)
    middle = time.process_time()
    if bundle.cascade_bytes() is not None:
        link(parts, bundle.manifest["policies"])
    end = time.process_time()
    verify_bundle(bundle.path, samples=500)
    return {
        "cut_seconds": middle - start,
        "link_seconds": end - middle,
        "verify_samples_per_second": 500 / (time.process_time() - end),
    }


# --- Commands ---


@click.group(help=__doc__.splitlines()[0])
def main() -> None:
    pass


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="folder of the data set")
@click.option("--source", help="data source of the task")
@click.option("--samples", type=int, default=2000)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
def measure(path: Path, data: Path | None, source: str | None, samples: int, out: Path) -> None:
    """Run a bundle everywhere and write the figures as JSON."""
    bundle = read_bundle(path)
    splits = DataChoice(data, source).load(find_task(bundle.task))
    inputs, counts = samples_of(splits, samples)
    x = bundle.quantise_input(inputs)
    wanted = by_interpreter(bundle, x)
    exits = np.bincount(wanted.exits, minlength=len(bundle.segments)).tolist()
    click.echo(f"{bundle.task}: {counts} of {splits.name}, stopped at segment: {exits}")
    figures = {
        "task": bundle.task,
        "data": splits.name,
        "samples": counts,
        "exits": exits,
        "rows": [asdict(row) for row in measure_rows(bundle, x, wanted)],
        "files": files(bundle),
        "handoff_bytes": sum(t.nbytes for t in bundle.graphs()[1].inputs),
        "times": stage_times(bundle),
        "machine": platform.machine(),
    }
    write_atomic(out, json.dumps(figures, indent=2) + "\n")


@main.command(name="page")
@click.argument("measured", type=click.Path(path_type=Path), nargs=-1, required=True)
def write_page(measured: tuple[Path, ...]) -> None:
    """Write docs/RUNTIMES.md from what `measure` has written."""
    write_atomic(PAGE, page([json.loads(path.read_text()) for path in measured]))


if __name__ == "__main__":
    main()
