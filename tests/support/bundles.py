"""Bundles of the benchmark's networks with T-RecX exits and random weights, made in a moment.

Shapes, labels and tasks are real, so every command works on them; nothing was learned.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.reference_models import MODELS
from tests.support import trecx_chains
from tests.support.patterns import int8_patterns
from trecx.bundle import Bundle, DataFacts, write_bundle
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.policies import MaxSoftmax
from trecx.task import find_task
from trecx.tflite.cut import cut
from trecx.tflite.exporter import write_graph


def random_bundle(path: Path, task: str = "kws") -> Bundle:
    """Write a two-segment bundle of ic, kws or vww whose threshold half of the patterns reach."""
    full = joined(getattr(trecx_chains, task)())
    content = write_graph(full)
    x = input_patterns(full, 64)
    early = run_graph(full, [x])[0]
    output = full.outputs[0]
    confidence = (np.median(early.max(axis=1)) - output.zero_point) * output.scale
    return write_bundle(
        path,
        task=task,
        labels=find_task(task).labels,
        data=DataFacts("random patterns", synthetic=True),
        full=content,
        segments=cut(content, [full.outputs[0].name]),
        base=write_graph(MODELS[task]()),
        policies=[MaxSoftmax(confidence).to_device(output.size, output.scale, output.zero_point)],
    )


def input_patterns(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    """int8 (count, *input shape) that make the outputs of a network differ."""
    return int8_patterns(np.random.default_rng(seed), count, graph.inputs[0].shape[1:])


def joined(chain: list[Graph]) -> Graph:
    """The chain of two as one network with both outputs, exit first."""
    stem, tail = chain
    early, handoff = stem.outputs
    feeds = dict(zip(tail.inputs, [handoff], strict=True))
    # The two segments were built apart and use the same names.
    for tensor in {t for op in tail.operators for t in (*op.inputs, *op.outputs) if t is not None}:
        tensor.name = f"tail/{tensor.name}"
    operators = [
        *stem.operators,
        *(
            dataclasses.replace(op, inputs=[feeds.get(t, t) for t in op.inputs])
            for op in tail.operators
        ),
    ]
    operators = [dataclasses.replace(op, index=k) for k, op in enumerate(operators)]
    return Graph("network", stem.inputs, [early, *tail.outputs], operators)
