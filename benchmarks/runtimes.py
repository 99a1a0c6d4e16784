"""A bundle on every runtime: differing bytes against the integer interpreter, sizes, arenas, times.

    python -m benchmarks.runtimes ic.bundle --data cifar-10-batches-bin --samples 2000

The segments one after the other and the one-file cascade run on TensorFlow Lite Micro, and on
tflite-runtime and LiteRT with their reference and their default kernels, on the task's test
split. Needs the packages of all three runtimes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from trecx.bundle import Bundle, read_bundle, verify_bundle
from trecx.stages.data import DataChoice
from trecx.stages.outputs import spread
from trecx.task import find_task
from trecx.tflite.cut import cut
from trecx.tflite.link import link
from trecx.tflite.model import read_model
from trecx.tflite.runtime import find_runtime
from trecx.tflite.tflm import measure_arena

Model = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
Answer = tuple[np.ndarray, int]


@dataclass(frozen=True)
class Row:
    """A runtime on all samples. differing_bytes: scores of the exit taken and its number, against
    the integer interpreter; cascade_differs: samples on which the cascade differs from the
    segments on the same runtime."""

    runtime: str
    differing_bytes: int
    differing_samples: int
    cascade_differs: int
    samples_per_second: float


def tflm(model: bytes) -> Model:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    count = len(read_model(model).subgraphs[0].outputs)

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        for i, array in enumerate(arrays):
            interpreter.set_input(array, i)
        interpreter.invoke()
        return [interpreter.get_output(i).copy() for i in range(count)]

    return run


def default_kernels(package: str) -> Callable[[bytes], Model]:
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


def loaders() -> dict[str, Callable[[bytes], Model]]:
    found = {"TFLM": tflm}
    for package in ("tflite-runtime", "ai-edge-litert"):
        found[f"{package}, reference"] = find_runtime(package).load
        found[f"{package}, default"] = default_kernels(package)
    return found


def segments_answer(bundle: Bundle, parts: list[Model], x: np.ndarray) -> Answer:
    policies = bundle.exit_policies()
    classes = bundle.manifest["output"]["units"]
    tensors = [x[None]]
    for k, part in enumerate(parts):
        first, *tensors = part(tensors)
        scores = first.reshape(1, -1)
        if k == len(policies) or policies[k].decide(scores)[0]:
            return scores[0, :classes], k
    raise AssertionError("a chain has a last segment")


def expected_answers(bundle: Bundle, x: np.ndarray) -> list[Answer]:
    """The integer interpreter's answers, in one batch."""
    from trecx.stages.outputs import run_chain

    outputs = run_chain(bundle.graphs(), x)
    stops = np.full(len(x), len(outputs) - 1)
    for k, policy in reversed(list(enumerate(bundle.exit_policies()))):
        stops[policy.decide(outputs[k])] = k
    classes = bundle.manifest["output"]["units"]
    return [(outputs[k][n, :classes], int(k)) for n, k in enumerate(stops)]


def differing_bytes(a: Answer, b: Answer) -> int:
    return int((a[0] != b[0]).sum()) + (a[1] != b[1])


def measure(name: str, load, bundle: Bundle, x: np.ndarray, expected: list[Answer]) -> Row:
    parts = [load(data) for data in bundle.segment_bytes()]
    cascade = bundle.cascade_bytes()
    whole = None if cascade is None else load(cascade)
    wrong = wrong_samples = apart = 0
    seconds = 0.0
    for sample, wanted in zip(x, expected, strict=True):
        start = time.perf_counter()
        found = segments_answer(bundle, parts, sample)
        seconds += time.perf_counter() - start
        wrong += differing_bytes(found, wanted)
        wrong_samples += differing_bytes(found, wanted) > 0
        if whole is not None:
            scores, index = whole([sample[None]])
            linked = (scores.reshape(-1), int(index.reshape(-1)[0]))
            apart += differing_bytes(linked, found) > 0
    return Row(name, wrong, wrong_samples, apart, len(x) / seconds)


def files(bundle: Bundle) -> dict[str, dict]:
    """Bytes and TFLM arena of every file."""
    found = {}
    for path in sorted(bundle.path.glob("*.tflite")):
        data = path.read_bytes()
        found[path.name] = {"bytes": len(data), "arena": asdict(measure_arena(data))}
    return found


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


@click.command(help=__doc__.splitlines()[0])
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="folder of the data set")
@click.option("--source", help="data source of the task")
@click.option("--split", type=click.Choice(["test", "calibration", "train"]), default="test")
@click.option("--samples", type=int, default=2000)
@click.option("--out", type=click.Path(path_type=Path), help="write the figures as JSON")
def main(path, data, source, split, samples, out):
    bundle = read_bundle(path)
    splits = DataChoice(data, source).load(find_task(bundle.task))
    part = getattr(splits, split)
    x = bundle.quantise_input(part.inputs(spread(len(part), samples)))
    expected = expected_answers(bundle, x)
    taken = np.bincount([k for _, k in expected], minlength=len(bundle.segments)).tolist()
    click.echo(f"{bundle.task}: {len(x)} samples of {splits.name}, stopped at segment: {taken}")
    rows = []
    for name, load in loaders().items():
        rows.append(measure(name, load, bundle, x, expected))
        row = rows[-1]
        click.echo(
            f"{row.runtime:27} {row.differing_bytes:6} bytes, {row.differing_samples:5} samples "
            f"differ; cascade from segments {row.cascade_differs}; "
            f"{row.samples_per_second:.0f} samples/s"
        )
    sizes = files(bundle)
    for name, facts in sizes.items():
        click.echo(f"{name:15} {facts['bytes']:8} bytes, TFLM arena {facts['arena']}")
    times = stage_times(bundle)
    click.echo(", ".join(f"{k} {v:.3g}" for k, v in times.items()))
    if out is not None:
        figures = {"rows": [asdict(r) for r in rows], "files": sizes, "times": times}
        out.write_text(json.dumps(figures | {"samples": len(x), "exits": taken}, indent=2) + "\n")


if __name__ == "__main__":
    main()
