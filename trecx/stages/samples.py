"""The samples that `run` takes: a task's test split, or a .npy file of the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.errors import DataError, InputError
from trecx.ir.graph import Graph
from trecx.stages.chain import Chain
from trecx.stages.data import DataChoice
from trecx.stages.outputs import quantise, spread
from trecx.task import DataSplits, find_task


@dataclass(frozen=True, eq=False)
class RunSamples:
    """int8 inputs (N, ...), their labels int (N,) or None, and where they come from."""

    x: np.ndarray
    labels: np.ndarray | None
    name: str
    synthetic: bool = False


def choose_samples(
    chain: Chain,
    input_file: Path | None,
    label_file: Path | None,
    data: DataChoice,
    limit: int | None,
) -> RunSamples:
    """Samples of the files when they are given, else of the test split of the bundle's task."""
    graph = chain.graphs[0]
    if input_file is not None:
        return from_files(input_file, label_file, graph, limit)
    if label_file is not None:
        raise InputError("--labels goes with --input: give the samples too")
    if chain.bundle is None:
        raise InputError("a .tflite file has no task with test data: give samples with --input")
    return from_split(data.load(find_task(chain.bundle.task)), graph, limit)


def from_split(data: DataSplits, graph: Graph, limit: int | None) -> RunSamples:
    """At most `limit` samples of the test split, evenly spread, quantised for `graph`."""
    chosen = spread(len(data.test), limit)
    labels = np.asarray(data.test.labels)[chosen] if len(data.labels) > 1 else None
    return RunSamples(
        quantise(data.test.inputs(chosen), graph),
        labels,
        f"{data.name}, test split",
        data.synthetic,
    )


def from_files(inputs: Path, labels: Path | None, graph: Graph, limit: int | None) -> RunSamples:
    """Samples of .npy files: inputs int8 (already quantised) or float (N, *input shape); labels
    int (N,). Raises DataError when a file cannot be read or has the wrong shape."""
    x = _load(inputs)
    shape = graph.inputs[0].shape[1:]
    if x.ndim < 1 or x.shape[1:] != shape or not len(x):
        raise DataError(
            f"{inputs}: inputs must have shape (N, {', '.join(map(str, shape))}) with N >= 1, "
            f"got {x.shape}"
        )
    if x.dtype.kind not in "fiu" or (x.dtype.kind in "iu" and x.dtype != np.int8):
        raise DataError(
            f"{inputs}: inputs must be int8 (quantised) or floating point, got {x.dtype}"
        )
    y = None if labels is None else _load(labels)
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iu"):
        raise DataError(
            f"{labels}: labels must be integers of shape ({len(x)},), got {y.dtype} {y.shape}"
        )
    chosen = spread(len(x), limit)
    if not np.isfinite(x[chosen]).all():
        raise DataError(f"{inputs}: inputs must be finite, found NaN or infinity")
    x = x[chosen] if x.dtype == np.int8 else quantise(x[chosen].astype(np.float32), graph)
    return RunSamples(x, None if y is None else y[chosen], str(inputs))


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a .npy file: {error}") from None
