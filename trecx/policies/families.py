"""Families of exit policies: each orders the samples by how safe it is to stop, and turns any
place in that order into an integer policy.

A family is fitted to one exit on the calibration split (most have nothing to fit). The fitted
family gives every sample a score; `policy(limit)` stops exactly where the score is at least
`limit`. Calibration is then the choice of one limit for each exit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trecx.errors import InputError
from trecx.policies.device import (
    NEVER,
    Confidence,
    DevicePolicy,
    Margin,
    TableSum,
    TopClassThresholds,
)
from trecx.policies.gate import fit_gate
from trecx.policies.outputs import ChainOutputs
from trecx.policies.rules import (
    ENTROPY_UNITS,
    ClassThresholds,
    Entropy,
    LearnedConfidence,
    MaxSoftmax,
    Rule,
    TopMargin,
    dequantize,
    entropy_table,
)

_INT8 = np.arange(-128, 128)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A family fitted to one exit; the base class of the classes below.

    units: values of the exit output; classes: how many of them are class scores.
    scale, zero_point: quantisation of the exit output.
    """

    units: int
    classes: int
    scale: float
    zero_point: int

    name: ClassVar[str]
    uses_data: ClassVar[bool] = False  # whether fitting looks at the calibration samples
    extra_units: ClassVar[int] = 0  # values that follow the class scores
    shared: ClassVar[bool] = False  # whether all exits have one limit

    def __post_init__(self) -> None:
        if self.units != self.classes + self.extra_units:
            raise InputError(
                f"policy {self.name!r} needs an exit output of {self.classes + self.extra_units} "
                f"values for {self.classes} classes, this one has {self.units}: {self._advice()}"
            )

    @classmethod
    def fit(cls, data: ChainOutputs, k: int) -> Fitted:
        """Fit to exit k of `data`."""
        return cls(data.outputs[k].shape[1], data.classes, *data.quant(k))

    def scores(self, q: np.ndarray) -> np.ndarray:
        """float64 (N,); the larger, the safer to stop; -inf: never stop."""
        raise NotImplementedError

    def policy(self, limit: float) -> DevicePolicy:
        """The policy that stops where scores(q) >= limit; limit inf: never."""
        raise NotImplementedError

    def rule(self, limit: float) -> Rule | None:
        """The host rule of `policy(limit)`, threshold half-way between int8 steps; None: never."""
        raise NotImplementedError

    def _advice(self) -> str:
        fitting = sorted(
            name for name, f in FAMILIES.items() if self.classes + f.extra_units == self.units
        )
        return f"use {' or '.join(fitting)}" if fitting else "no policy reads such an exit"

    def _probability(self, q: int) -> float:
        """Probability half a step below the int8 value q, within 0..1."""
        return min(max(self.scale * (q - 0.5 - self.zero_point), 0.0), 1.0)


class MaxSoftmaxFamily(Fitted):
    """Order by the largest probability."""

    name = "max_softmax"

    def scores(self, q: np.ndarray) -> np.ndarray:
        top = q.max(axis=1).astype(np.float64)
        return np.where(top > self.zero_point, top, -np.inf)  # the rule p > threshold needs p > 0

    def policy(self, limit: float) -> TopClassThresholds:
        return TopClassThresholds((_clipped(limit, self.zero_point + 1, NEVER),) * self.classes)

    def rule(self, limit: float) -> MaxSoftmax | None:
        threshold = self.policy(limit).thresholds[0]
        return None if threshold == NEVER else MaxSoftmax(self._probability(threshold))


class SharedMaxSoftmaxFamily(MaxSoftmaxFamily):
    """One threshold for all exits, as Shallow-Deep Networks do (arXiv 1810.07052)."""

    name = "shared_max_softmax"
    shared = True


@dataclass(frozen=True, eq=False)
class ClassGateFamily(Fitted):
    """Order by a logistic model of logit(p_max) with one bias for each predicted class.

    table: score of (class, int8 top value), float64 (classes, 256), increasing in the value.
    """

    table: np.ndarray

    name = "class_gate"
    uses_data = True

    @classmethod
    def fit(cls, data: ChainOutputs, k: int) -> ClassGateFamily:
        scale, zero_point = data.quant(k)
        units = data.outputs[k].shape[1]
        cls(units, data.classes, scale, zero_point, np.empty(0))  # refuses what it cannot read
        correct = data.correct()
        values = _logits(dequantize(_INT8, scale, zero_point), scale)
        q = data.outputs[k]
        top = q.argmax(axis=1)
        model = fit_gate(
            values[q.max(axis=1).astype(np.int16) + 128],
            top,
            correct[k] >= correct[-1],
            data.classes,
        )
        table = model.score(values[None, :], np.arange(data.classes)[:, None])
        table[:, zero_point >= _INT8] = -np.inf
        return cls(units, data.classes, scale, zero_point, table)

    def scores(self, q: np.ndarray) -> np.ndarray:
        return self.table[q.argmax(axis=1), q.max(axis=1).astype(np.int16) + 128]

    def policy(self, limit: float) -> TopClassThresholds:
        # Scores increase with the value, so the number of values below the limit is the threshold.
        below = (self.table < limit).sum(axis=1)
        return TopClassThresholds(tuple(int(n) - 128 for n in below))

    def rule(self, limit: float) -> ClassThresholds | None:
        thresholds = self.policy(limit).thresholds
        if all(t == NEVER for t in thresholds):
            return None
        return ClassThresholds(
            tuple(1.0 if t == NEVER else self._probability(t) for t in thresholds)
        )


class EntropyFamily(Fitted):
    """Order by the entropy of the class probabilities, smallest first."""

    name = "entropy"

    def scores(self, q: np.ndarray) -> np.ndarray:
        return -self.policy(0).sums(q).astype(np.float64)

    def policy(self, limit: float) -> TableSum:
        largest = int(np.floor(np.clip(-limit, -1, 2**31 - 1)))
        return TableSum(entropy_table(self.scale, self.zero_point), largest)

    def rule(self, limit: float) -> Entropy | None:
        units = self.policy(limit).limit
        return None if units < 0 else Entropy((units + 0.5) / ENTROPY_UNITS)


class MarginFamily(Fitted):
    """Order by the difference of the two largest probabilities."""

    name = "margin"

    def scores(self, q: np.ndarray) -> np.ndarray:
        return Margin(0).margins(q).astype(np.float64)

    def policy(self, limit: float) -> Margin:
        return Margin(_clipped(limit, 0, 256))

    def rule(self, limit: float) -> TopMargin | None:
        steps = self.policy(limit).limit
        return None if steps == 256 else TopMargin(min(max(steps - 0.5, 0.0) * self.scale, 1.0))


class ConfidenceFamily(Fitted):
    """Order by the learned confidence, the value after the class scores."""

    name = "confidence"
    extra_units = 1

    def scores(self, q: np.ndarray) -> np.ndarray:
        return q[:, -1].astype(np.float64)

    def policy(self, limit: float) -> Confidence:
        return Confidence(self.units - 1, _clipped(limit, -128, NEVER))

    def rule(self, limit: float) -> LearnedConfidence | None:
        value = self.policy(limit).limit
        return None if value == NEVER else LearnedConfidence(self._probability(value))


FAMILIES: dict[str, type[Fitted]] = {
    cls.name: cls
    for cls in (
        MaxSoftmaxFamily,
        SharedMaxSoftmaxFamily,
        ClassGateFamily,
        EntropyFamily,
        MarginFamily,
        ConfidenceFamily,
    )
}


def family(name: str) -> type[Fitted]:
    """The family of that name; InputError that lists the known ones."""
    if name not in FAMILIES:
        raise InputError(f"unknown exit policy {name!r}: known are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


def _logits(p: np.ndarray, scale: float) -> np.ndarray:
    """logit(p), with p kept half a quantisation step away from 0 and 1."""
    p = np.clip(p, scale / 2, 1 - scale / 2)
    return np.log(p / (1 - p))


def _clipped(limit: float, low: int, high: int) -> int:
    """The integer limit with the same meaning: rounded up, within low..high."""
    return int(np.ceil(np.clip(limit, low, high)))
