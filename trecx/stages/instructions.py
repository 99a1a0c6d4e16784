"""What every path through a chain costs in instructions, counted on an emulated board."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from trecx.errors import InputError, VerificationError
from trecx.ir.graph import Graph
from trecx.policies import NEVER, Confidence, DevicePolicy, PathCosts, TopClassThresholds
from trecx.stages.chain import Chain
from trecx.stages.compiling import compile_for
from trecx.stages.running import build
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board

UNIT = "instructions"


def require_counter(target: str) -> None:
    """InputError for an unknown board, or one without an instruction counter."""
    if load_board(target).is_host:
        raise InputError(
            f"instructions are counted on emulated boards, {target!r} is none: see trecx boards"
        )


def instruction_costs(
    graphs: list[Graph], base: Graph | None, target: str, x: np.ndarray
) -> PathCosts:
    """Mean instructions of an inference that stops at each segment, decision included.

    target: name of an emulated board. x: int8 samples (N, ...), a few: the instructions depend on
    the data very little. base: the network without exits, counted on the same samples.
    Raises the errors of compiling, building and running.
    """
    require_counter(target)
    paths = [
        _count(graphs, _stopping_at(graphs, k), k, target, x).mean() for k in range(len(graphs))
    ]
    reference = None if base is None else float(_count([base], (), 0, target, x).mean())
    return PathCosts(tuple(float(path) for path in paths), UNIT, reference)


def _stopping_at(graphs: list[Graph], k: int) -> tuple[DevicePolicy, ...]:
    """Policies with which every inference stops at segment k."""
    classes = graphs[-1].outputs[0].size
    sizes = [graph.outputs[0].size for graph in graphs[:-1]]
    return tuple(_fixed(size, classes, number == k) for number, size in enumerate(sizes))


def _fixed(units: int, classes: int, stop: bool) -> DevicePolicy:
    limit = -128 if stop else NEVER
    if units > classes:
        return Confidence(units - 1, limit)
    return TopClassThresholds((limit,) * units)


def _count(
    graphs: list[Graph],
    policies: tuple[DevicePolicy, ...],
    segment: int,
    target: str,
    x: np.ndarray,
) -> np.ndarray:
    """Instructions of each sample, int64 (N,), all of which stop at `segment`."""
    digest = hashlib.sha256(f"{segment}".encode()).hexdigest()
    chain = Chain("counted", graphs, policies, digest, [])
    with tempfile.TemporaryDirectory() as folder:
        firmware = build(compile_for(chain, target), target, Path(folder))
        result = run_batch(firmware, firmware.board, x.reshape(len(x), -1), jobs=1)
    if not np.all(result.exit_index == segment):
        raise VerificationError(f"not every inference stopped at segment {segment} as it must")
    return result.instructions
