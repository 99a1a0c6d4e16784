"""Re-check a bundle: hashes, and that the segments, the uncut network and the cascade are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import trecx
from trecx.bundle.bundle import Bundle
from trecx.bundle.read import read_bundle
from trecx.errors import InputError, UnsupportedModelError
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.policies import DevicePolicy
from trecx.tflite.link import link, unlink
from trecx.tflite.runtime import Runtime, find_runtime

# The cascade's equality is proved from its contents; this many samples are run beside.
_CASCADE_SAMPLES = 16
_BATCH = 128


@dataclass(frozen=True)
class Check:
    """One thing that was checked; `detail` says what was found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verification:
    """The outcome. exits: how many samples stop at each segment."""

    bundle: str
    digest: str
    samples: int
    exits: tuple[int, ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict:
        """As JSON-able dictionaries and lists."""
        checks = [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks]
        return {
            "bundle": self.bundle,
            "digest": self.digest,
            "samples": self.samples,
            "exits": list(self.exits),
            "passed": self.passed,
            "checks": checks,
        }


def random_inputs(bundle: Bundle, count: int, seed: int = 0) -> np.ndarray:
    """Random int8 inputs (count, *input shape without batch), of widely different contrast."""
    random = np.random.default_rng(seed)
    shape = (count, *bundle.manifest["input"]["shape"][1:])
    ones = (1,) * (len(shape) - 1)
    centre = random.uniform(-100, 100, (count, *ones))
    spread = random.uniform(1, 120, (count, *ones))
    return np.clip(np.rint(random.normal(centre, spread, shape)), -128, 127).astype(np.int8)


def verify_bundle(
    path: Path,
    inputs: np.ndarray | None = None,
    *,
    samples: int = 500,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Check a bundle folder on int8 inputs (N, *input shape without batch), random by default.

    The segments and the uncut network run on the integer interpreter. The cascade is taken apart
    and compared with the segments byte by byte, and run on tflite-runtime or LiteRT where one is
    installed. progress: called with (samples done, all).

    Raises BundleError when the bundle cannot be read and InputError when `inputs` do not fit it;
    what does not agree is in the result.
    """
    bundle = read_bundle(path)
    x = random_inputs(bundle, samples) if inputs is None else _checked_inputs(bundle, inputs)
    graphs, policies = bundle.graphs(), bundle.exit_policies()
    checks = [Check("hashes", True, "the manifest's hashes are those of its files")]
    outputs, differing = _compare_with_full(graphs, bundle.full_graph(), x, progress)
    checks += [
        Check(
            f"{name} equals full",
            not bad,
            f"{bad} of {len(x) * size} bytes differ on {len(x)} samples",
        )
        for name, size, bad in differing
    ]
    stops = _stops(policies, outputs)
    checks += _check_cascade(bundle, x[:_CASCADE_SAMPLES])
    exits = tuple(int((stops == k).sum()) for k in range(len(graphs)))
    return Verification(str(bundle.path), bundle.digest, len(x), exits, tuple(checks))


def _checked_inputs(bundle: Bundle, inputs: np.ndarray) -> np.ndarray:
    shape = tuple(bundle.manifest["input"]["shape"][1:])
    inputs = np.asarray(inputs)
    if inputs.dtype != np.int8 or not inputs.size or inputs[0].size != np.prod(shape):
        expected = ", ".join(["N", *map(str, shape)])
        raise InputError(
            f"int8 inputs of shape ({expected}) expected, {inputs.dtype} of {inputs.shape} given"
        )
    return inputs.reshape(-1, *shape)


def _compare_with_full(
    graphs: list[Graph],
    full: Graph,
    x: np.ndarray,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[np.ndarray], list[tuple[str, int, int]]]:
    """Each segment's first output (N, units), and (segment, units, differing bytes) of each."""
    place = {t.name: i for i, t in enumerate(full.outputs)}
    parts: list[list[np.ndarray]] = [[] for _ in graphs]
    bad = [0] * len(graphs)
    for start in range(0, len(x), _BATCH):
        batch = x[start : start + _BATCH]
        expected = run_graph(full, [batch])
        for k, found in enumerate(_run_chain(graphs, batch)):
            wanted = expected[place.get(graphs[k].outputs[0].name, k)]
            parts[k].append(found.reshape(len(batch), -1))
            bad[k] += int((found.reshape(-1) != wanted.reshape(-1)).sum())
        if progress is not None:
            progress(start + len(batch), len(x))
    outputs = [np.concatenate(part) for part in parts]
    names = [graph.name for graph in graphs]
    return outputs, [(n, o.shape[1], b) for n, o, b in zip(names, outputs, bad, strict=True)]


def _run_chain(graphs: list[Graph], x: np.ndarray) -> Iterator[np.ndarray]:
    tensors = [x]
    for graph in graphs:
        first, *tensors = run_graph(graph, tensors)
        yield first


def _stops(policies: Sequence[DevicePolicy], outputs: list[np.ndarray]) -> np.ndarray:
    """Segment at which each sample stops."""
    stops = np.full(len(outputs[0]), len(policies))
    for k in reversed(range(len(policies))):
        stops[policies[k].decide(outputs[k])] = k
    return stops


# --- The cascade ---


def _check_cascade(bundle: Bundle, x: np.ndarray) -> Iterator[Check]:
    cascade = bundle.cascade_bytes()
    if cascade is None:
        return
    yield _check_parts(bundle, cascade)
    runtime = find_runtime()
    if runtime is None:
        yield Check("cascade runs", True, "not run: neither tflite-runtime nor LiteRT is installed")
        return
    bad = _run_cascade(bundle, cascade, x, runtime)
    yield Check(
        "cascade runs", not bad, f"{bad} of {len(x)} samples differ on {runtime.description}"
    )


def _check_parts(bundle: Bundle, cascade: bytes) -> Check:
    """The cascade consists of exactly the bundle's segments and policies."""
    name = "cascade equals segments"
    try:
        parts, policies = unlink(cascade)
    except UnsupportedModelError as error:
        writer = bundle.manifest["tool"]["version"]
        if writer != trecx.__version__:
            return Check(name, True, f"not compared: linked by trecx {writer}, see the run below")
        return Check(name, False, str(error))
    if policies != bundle.manifest["policies"]:
        return Check(name, False, "other exit policies than in the manifest")
    again, _ = unlink(link(bundle.segment_bytes(), policies))
    if parts != again:
        return Check(name, False, "other operators or constants than in the segments")
    return Check(name, True, f"{len(parts)} segments, the same operators, constants and policies")


def _run_cascade(bundle: Bundle, cascade: bytes, x: np.ndarray, runtime: Runtime) -> int:
    """Samples on which the cascade and the segments one by one differ on one runtime."""
    whole = runtime.load(cascade)
    parts = [runtime.load(data) for data in bundle.segment_bytes()]
    policies = bundle.exit_policies()
    classes = bundle.manifest["output"]["units"]
    bad = 0
    for sample in x:
        tensors = [sample[None]]
        for k, part in enumerate(parts):
            first, *tensors = part(tensors)
            scores = first.reshape(1, -1)
            if k == len(policies) or policies[k].decide(scores)[0]:
                break
        answer, index = whole([sample[None]])
        same = np.array_equal(answer.reshape(1, -1), scores[:, :classes])
        bad += not (same and int(index.reshape(-1)[0]) == k)
    return bad
