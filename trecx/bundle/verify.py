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
from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.interpreter import run_graph
from trecx.policies import DevicePolicy
from trecx.tflite.link import link, unlink
from trecx.tflite.runtime import Runtime, find_runtime

# Equality is proved from the files' contents where they hold the same operators; so many samples
# are run both ways beside the proof.
_BOTH_WAYS = 32
_CASCADE_SAMPLES = 8
_BATCH = 32


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

    The segments run on the integer interpreter. Where they hold the operators and constants of
    the uncut network, that proves them equal: then segments and uncut network run whole on the
    first samples, and on the others only the segments that lead to an exit decision. Otherwise all
    run on all samples. The cascade is taken apart and compared with the segments byte by byte,
    and run on tflite-runtime or LiteRT where one is installed. progress: called with (samples
    done, all).

    Raises BundleError when the bundle cannot be read and InputError when `inputs` do not fit it;
    what does not agree is in the result.
    """
    bundle = read_bundle(path)
    x = random_inputs(bundle, samples) if inputs is None else _checked_inputs(bundle, inputs)
    graphs, policies = bundle.graphs(), bundle.exit_policies()
    checks = [Check("hashes", True, "the manifest's hashes are those of its files")]
    stops, found = _compare_with_full(graphs, policies, bundle.full_graph(), x, progress)
    checks += found
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
    policies: Sequence[DevicePolicy],
    full: Graph,
    x: np.ndarray,
    progress: Callable[[int, int], None] | None,
) -> tuple[np.ndarray, list[Check]]:
    """The segment at which each sample stops, and whether segments equal the uncut network."""
    place = {t.name: i for i, t in enumerate(full.outputs)}
    proved = [_same_operators(graph, full) for graph in graphs]
    compared = min(len(x), _BOTH_WAYS) if all(proved) else len(x)
    stops = []
    bad = [0] * len(graphs)
    for start in range(0, len(x), _BATCH):
        batch = x[start : start + _BATCH]
        if start < compared:
            expected = run_graph(full, [batch])
            outputs = [q.reshape(len(batch), -1) for q in _run_chain(graphs, batch)]
            for k, found in enumerate(outputs):
                wanted = expected[place.get(graphs[k].outputs[0].name, k)]
                bad[k] += int((found != wanted.reshape(len(batch), -1)).sum())
            stops.append(_stops(policies, outputs))
        else:
            stops.append(_run_until_stop(graphs, policies, batch))
        if progress is not None:
            progress(start + len(batch), len(x))
    checks = []
    for k, graph in enumerate(graphs):
        what = "the same operators and constants" if proved[k] else "other operators or constants"
        ran = f"{bad[k]} of {compared * graph.outputs[0].size} bytes differ on {compared} samples"
        checks.append(Check(f"{graph.name} equals full", not bad[k], f"{what}; {ran}"))
    return np.concatenate(stops), checks


def _same_operators(segment: Graph, full: Graph) -> bool:
    """True when each operator of the segment is one of `full`, on tensors of the same names."""
    by_output = {op.output.name: op for op in full.operators}
    if len(by_output) != len(full.operators):
        return False  # names that are not unique prove nothing
    return all(_same_operator(op, by_output.get(op.output.name)) for op in segment.operators)


def _same_operator(a: Operator, b: Operator | None) -> bool:
    return (
        b is not None
        and (a.kind, a.attrs, len(a.inputs)) == (b.kind, b.attrs, len(b.inputs))
        and _same_tensor(a.output, b.output)
        and all(_same_tensor(p, q) for p, q in zip(a.inputs, b.inputs, strict=True))
    )


def _same_tensor(a: Tensor | None, b: Tensor | None) -> bool:
    """The same name, type, quantisation, and the same bytes when constant."""
    if a is None or b is None:
        return a is b
    quant = a.quant is b.quant or (a.quant is not None and a.quant.same_as(b.quant))
    if not quant or (a.shape, a.dtype, a.is_constant) != (b.shape, b.dtype, b.is_constant):
        return False
    return a.data.tobytes() == b.data.tobytes() if a.is_constant else a.name == b.name


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


def _run_until_stop(
    graphs: list[Graph], policies: Sequence[DevicePolicy], x: np.ndarray
) -> np.ndarray:
    """Segment at which each sample stops, found without the last segment."""
    stops = np.full(len(x), len(policies))
    running = np.arange(len(x))
    tensors = [x]
    for k, policy in enumerate(policies):
        first, *tensors = run_graph(graphs[k], tensors)
        goes_on = ~policy.decide(first.reshape(len(running), -1))
        stops[running[~goes_on]] = k
        running = running[goes_on]
        tensors = [t[goes_on] for t in tensors]
        if not running.size:
            break
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
    segments, policies = bundle.segment_bytes(), bundle.manifest["policies"]
    try:
        if any(link(segments, policies, memory_plan=plan) == cascade for plan in (True, False)):
            found = f"{len(segments)} segments, the same operators, constants and policies"
            return Check(name, True, found)
        _, inside = unlink(cascade)
    except UnsupportedModelError as error:
        writer = bundle.manifest["tool"]["version"]
        if writer != trecx.__version__:
            return Check(name, True, f"not compared: linked by trecx {writer}, see the run below")
        return Check(name, False, str(error))
    if inside != policies:
        return Check(name, False, "other exit policies than in the manifest")
    return Check(name, False, "other operators or constants than in the segments")


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
        found = whole([sample[None]])
        wanted = [scores[0, :classes], np.array([k])]
        bad += len(found) != len(wanted) or not all(
            np.array_equal(a.reshape(-1), b) for a, b in zip(found, wanted, strict=True)
        )
    return bad
