"""The int8 outputs of a chain on a data split, by the integer interpreter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.policies import ChainOutputs, SplitRole

BATCH = 256


def quantise(x: np.ndarray, graph: Graph) -> np.ndarray:
    """float32 inputs (N, ...) as int8 (N, height, ...) of the graph: round(x / scale) + zero
    point, ties to even, clipped."""
    tensor = graph.inputs[0]
    q = np.rint(x / np.float32(tensor.scale)) + tensor.zero_point
    return np.clip(q, -128, 127).astype(np.int8).reshape(-1, *tensor.shape[1:])


def run_chain(graphs: list[Graph], x: np.ndarray) -> list[np.ndarray]:
    """First output of every segment, int8 (N, units), for int8 inputs (N, *input shape)."""
    tensors, found = [x], []
    for graph in graphs:
        results = run_graph(graph, tensors)
        found.append(results[0].reshape(len(x), -1))
        tensors = results[1:] or results
    return found


def run_in_batches(
    graphs: list[Graph], x: np.ndarray, progress: Callable[[int, int], None]
) -> list[np.ndarray]:
    """As `run_chain`, a batch at a time."""
    pieces = []
    for start in range(0, len(x), BATCH):
        pieces.append(run_chain(graphs, x[start : start + BATCH]))
        progress(min(start + BATCH, len(x)), len(x))
    return [np.concatenate(column) for column in zip(*pieces, strict=True)]


def chain_outputs(
    graphs: list[Graph],
    samples,
    split: SplitRole,
    *,
    limit: int | None = None,
    base: Graph | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ChainOutputs:
    """Outputs of every exit for the samples of a split (trecx.task.Samples).

    limit: at most so many samples, evenly spread. base: the model without exits, run beside.
    """
    indices = spread(len(samples), limit)
    collected: list[list[np.ndarray]] = []
    for start in range(0, len(indices), BATCH):
        chosen = indices[start : start + BATCH]
        x = samples.inputs(chosen)
        outputs = run_chain(graphs, quantise(x, graphs[0]))
        if base is not None:
            outputs += run_chain([base], quantise(x, base))
        collected.append(outputs)
        if progress is not None:
            progress(min(start + BATCH, len(indices)), len(indices))
    columns = [np.concatenate(column) for column in zip(*collected, strict=True)]
    quants = tuple((g.outputs[0].scale, g.outputs[0].zero_point) for g in graphs)
    return ChainOutputs(
        tuple(columns[: len(graphs)]),
        np.asarray(samples.labels)[indices],
        split,
        quants,
        columns[-1] if base is not None else None,
    )


def spread(count: int, limit: int | None) -> np.ndarray:
    """Indices of at most `limit` samples, evenly spread over 0..count-1."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(np.int64)
