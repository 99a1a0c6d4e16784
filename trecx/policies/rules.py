"""Exit rules as they are defined in the literature, on real-valued exit outputs, and their exact
integer device forms.

A rule decides on the dequantised output `p = scale * (q - zero_point)`, float64 of shape
(N, units). `to_device` gives the integer policy that takes the same decision for every int8
output. This is exact, not approximate: a float32 scale times a 9-bit integer, and a difference of
two such products, are exact in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
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

SOFTMAX_SCALE = 1 / 256
SOFTMAX_ZERO_POINT = -128
ENTROPY_UNITS = 2**20
"""Fixed-point units in one nat: the resolution in which entropies are summed and compared."""

_INT8 = np.arange(-128, 128)


def dequantize(
    q: np.ndarray, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
) -> np.ndarray:
    """Real values of an int8 output: float64 of the same shape."""
    return float(np.float32(scale)) * (q.astype(np.int16) - zero_point)


class Rule:
    """Interface of the rules below; all are frozen dataclasses."""

    name: ClassVar[str]

    def decide(self, p: np.ndarray) -> np.ndarray:
        """Whether to stop, bool (N,), for dequantised exit outputs p, float64 (N, units)."""
        raise NotImplementedError

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> DevicePolicy:
        """The integer policy for an exit output of `units` values, scale and zero point."""
        raise NotImplementedError

    def to_manifest(self) -> dict:
        """{"rule": name, field: value, ...}, for reports; what runs is the device form."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"rule": self.name} | {
            k: list(v) if isinstance(v, tuple) else v for k, v in values.items()
        }


@dataclass(frozen=True)
class MaxSoftmax(Rule):
    """Stop when the largest probability is greater than `threshold` (T-RecX, arXiv 2207.06613)."""

    name: ClassVar[str] = "max_softmax"
    threshold: float

    def __post_init__(self) -> None:
        require_probability("the exit threshold", self.threshold)

    def decide(self, p: np.ndarray) -> np.ndarray:
        return p.max(axis=1) > self.threshold

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> TopClassThresholds:
        return ClassThresholds((self.threshold,) * units).to_device(units, scale, zero_point)


@dataclass(frozen=True)
class ClassThresholds(Rule):
    """Stop when the largest probability is greater than the threshold of the predicted class."""

    name: ClassVar[str] = "class_gate"
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        for value in self.thresholds:
            require_probability("the exit threshold", value)

    def decide(self, p: np.ndarray) -> np.ndarray:
        return p.max(axis=1) > np.array(self.thresholds)[np.argmax(p, axis=1)]

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> TopClassThresholds:
        values = dequantize(_INT8, scale, zero_point)
        policy = TopClassThresholds(tuple(_first(values > t) for t in self.thresholds))
        policy.validate(units)
        return policy


@dataclass(frozen=True)
class Entropy(Rule):
    """Stop when the entropy of the class probabilities, in nats, is at most `limit`
    (BranchyNet, Teerapittayanon et al. 2016).

    Each term -p ln p is rounded to 1/ENTROPY_UNITS nat before it is summed, so that the sum is
    exact both here and in 32-bit integers.
    """

    name: ClassVar[str] = "entropy"
    limit: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit >= 0):
            raise InputError(f"an entropy limit must be 0 or above, got {self.limit}")

    def decide(self, p: np.ndarray) -> np.ndarray:
        return entropy_terms(p).sum(axis=1) <= self.limit * ENTROPY_UNITS

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> TableSum:
        limit = min(math.floor(self.limit * ENTROPY_UNITS), 2**31 - 1)
        policy = TableSum(entropy_table(scale, zero_point), limit)
        policy.validate(units)
        return policy


@dataclass(frozen=True)
class TopMargin(Rule):
    """Stop when the largest probability exceeds the second largest by at least `limit`."""

    name: ClassVar[str] = "margin"
    limit: float

    def __post_init__(self) -> None:
        require_probability("the margin limit", self.limit)

    def decide(self, p: np.ndarray) -> np.ndarray:
        top_two = np.partition(p, -2, axis=1)[:, -2:]
        return top_two[:, 1] - top_two[:, 0] >= self.limit

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> Margin:
        steps = float(np.float32(scale)) * np.arange(256)
        reached = np.flatnonzero(steps >= self.limit)
        policy = Margin(int(reached[0]) if reached.size else 256)
        policy.validate(units)
        return policy


@dataclass(frozen=True)
class LearnedConfidence(Rule):
    """Stop when the confidence, the last value of the exit output, is at least `limit`
    (EENet, arXiv 2409.05336: 0.5; PTEENet, arXiv 2501.02508: adjustable)."""

    name: ClassVar[str] = "confidence"
    limit: float = 0.5

    def __post_init__(self) -> None:
        require_probability("the confidence limit", self.limit)

    def decide(self, p: np.ndarray) -> np.ndarray:
        return p[:, -1] >= self.limit

    def to_device(
        self, units: int, scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
    ) -> Confidence:
        return Confidence(units - 1, _first(dequantize(_INT8, scale, zero_point) >= self.limit))


RULES: dict[str, type[Rule]] = {
    cls.name: cls for cls in (MaxSoftmax, ClassThresholds, Entropy, TopMargin, LearnedConfidence)
}


def rule_from_manifest(entry: dict) -> Rule:
    """The rule that `Rule.to_manifest` described."""
    name = entry.get("rule") if isinstance(entry, dict) else None
    if name not in RULES:
        raise InputError(f"unknown exit rule {name!r}: known are {', '.join(sorted(RULES))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "rule"}
    try:
        return RULES[name](**values)
    except TypeError as error:
        raise InputError(f"exit rule {name!r} has wrong fields {sorted(values)}") from error


def entropy_terms(p: np.ndarray) -> np.ndarray:
    """-p ln p in fixed point, int64; 0 where p is not in the open interval from 0 to 1."""
    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 1.0)
    return np.rint(-safe * np.log(safe) * ENTROPY_UNITS).astype(np.int64)


def entropy_table(
    scale: float = SOFTMAX_SCALE, zero_point: int = SOFTMAX_ZERO_POINT
) -> tuple[int, ...]:
    """`entropy_terms` of every int8 value, for `TableSum`."""
    return tuple(int(v) for v in entropy_terms(dequantize(_INT8, scale, zero_point)))


def require_probability(what: str, value: float) -> None:
    """InputError unless 0 <= value <= 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(f"{what} must be from 0 to 1, got {value!r}")


def _first(reached: np.ndarray) -> int:
    """Smallest int8 value at which the monotone condition holds; NEVER when at none."""
    return int(_INT8[np.argmax(reached)]) if reached.any() else NEVER
