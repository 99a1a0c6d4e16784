"""Overthinking: samples that an early exit gets right and the full depth gets wrong.

(The destructive kind in the terms of Kaya, Hong and Dumitras, "Shallow-Deep Networks", arXiv
1810.07052.) Each mitigation is measured by how many of those it recovers, and what it breaks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from trecx.errors import InputError
from trecx.policies.bootstrap import Estimate, Resamples
from trecx.policies.device import DevicePolicy
from trecx.policies.outputs import ChainOutputs, PathCosts, stop_segments
from trecx.policies.rules import dequantize

WEIGHTS = np.arange(17) / 16
"""Candidate weights of the exits' probabilities beside the final output's."""


@dataclass(frozen=True)
class Mitigation:
    """recovered: samples that it gets right, of the `overthought` ones of the compared full depth.
    broken: samples that the full depth gets right and it gets wrong. gain: its accuracy minus that
    of the compared full depth."""

    name: str
    accuracy: Estimate
    gain: Estimate
    recovered: int
    overthought: int
    broken: int


@dataclass(frozen=True)
class Overthinking:
    """All shares are of all samples.

    overthought: some exit right, full depth wrong; overthought_count: how many. needless: an exit
    is right and so is the full depth. only_full: the full depth alone is right. none: nobody is.
    oracle_*: of stopping at the first exit that is right, which no policy can know.
    """

    split: str
    samples: int
    segment_accuracy: tuple[Estimate, ...]
    overthought_count: int
    overthought: Estimate
    needless: Estimate
    only_full: Estimate
    none: Estimate
    oracle_accuracy: Estimate
    oracle_cost: float
    oracle_reduction: float
    cost_unit: str
    mitigations: tuple[Mitigation, ...]

    def to_json(self) -> dict:
        return {"report": "overthinking"} | asdict(self)


def analyse_overthinking(
    data: ChainOutputs,
    costs: PathCosts,
    policies: tuple[DevicePolicy, ...] | None = None,
    calibration: ChainOutputs | None = None,
    without_assistance: ChainOutputs | None = None,
    resamples: Resamples | None = None,
) -> Overthinking:
    """Analyse `data`.

    policies: the calibrated exits, as one mitigation: a sample that stops cannot be overthought.
    calibration: to choose the weight of "both outputs at the end". without_assistance: outputs, for
    the same samples, of the same network trained without exit assistance; what assistance recovers
    is measured against it.
    """
    resamples = resamples or Resamples()
    correct = data.correct()
    full, some_exit = correct[-1], correct[:-1].any(axis=0)
    shares = np.stack(
        [
            *correct,
            some_exit & ~full,
            some_exit & full,
            ~some_exit & full,
            ~some_exit & ~full,
            some_exit | full,
        ],
        axis=1,
    )
    estimates = resamples.estimates(shares.astype(np.float64))
    n = len(correct)
    stops = np.where(correct.any(axis=0), np.argmax(correct, axis=0), data.exits)
    oracle_cost = float(np.array(costs.stop)[stops].mean())

    mitigations = []
    if policies is not None:
        answer = np.take_along_axis(correct, stop_segments(policies, data)[None], axis=0)[0]
        mitigations.append(_measure("calibrated exit", answer, full, some_exit, resamples))
    if calibration is not None:
        weight = choose_weight(calibration)
        answer = combined_answers(data, weight) == data.labels
        name = f"both outputs at the end (exit weight {weight:g})"
        mitigations.append(_measure(name, answer, full, some_exit, resamples))
    if without_assistance is not None:
        mitigations.append(_assistance(data, without_assistance, resamples))
    return Overthinking(
        split=data.split.value,
        samples=data.samples,
        segment_accuracy=tuple(estimates[:n]),
        overthought_count=int((some_exit & ~full).sum()),
        overthought=estimates[n],
        needless=estimates[n + 1],
        only_full=estimates[n + 2],
        none=estimates[n + 3],
        oracle_accuracy=estimates[n + 4],
        oracle_cost=oracle_cost,
        oracle_reduction=1 - oracle_cost / costs.reference,
        cost_unit=costs.unit,
        mitigations=tuple(mitigations),
    )


def combined_answers(data: ChainOutputs, weight: float) -> np.ndarray:
    """Class of (1 - weight) * final + weight * mean of the exits' probabilities, int64 (N,)."""
    p = [dequantize(q[:, : data.classes], *data.quant(k)) for k, q in enumerate(data.outputs)]
    return np.argmax((1 - weight) * p[-1] + weight * np.mean(p[:-1], axis=0), axis=1)


def choose_weight(calibration: ChainOutputs) -> float:
    """The weight of `combined_answers` that is most accurate on the calibration split."""
    accuracies = [np.mean(combined_answers(calibration, w) == calibration.labels) for w in WEIGHTS]
    return float(WEIGHTS[int(np.argmax(accuracies))])


def _assistance(data: ChainOutputs, without: ChainOutputs, resamples: Resamples) -> Mitigation:
    if not np.array_equal(data.labels, without.labels):
        raise InputError("the outputs without assistance must be of the same samples, in order")
    correct = without.correct()
    some_exit = correct[:-1].any(axis=0)
    return _measure("exit assistance", data.correct()[-1], correct[-1], some_exit, resamples)


def _measure(
    name: str, answer: np.ndarray, full: np.ndarray, some_exit: np.ndarray, resamples: Resamples
) -> Mitigation:
    columns = np.stack([answer, answer.astype(np.int8) - full], axis=1)
    accuracy, gain = resamples.estimates(columns.astype(np.float64))
    overthought = some_exit & ~full
    recovered = int((answer & overthought).sum())
    broken = int((full & ~answer).sum())
    return Mitigation(name, accuracy, gain, recovered, int(overthought.sum()), broken)
